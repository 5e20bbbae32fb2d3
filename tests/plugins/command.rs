//! `orbit plugin new | list | check`, from the outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use orbit_regularizers::plugin::platform;
use serde_json::Value;

use super::bad::Bad;
use super::library;
use crate::program::{ROOT, orbit};

/// What `check` says of a plugin.
struct Checked {
    code: Option<i32>,
    stderr: String,
    report: Value,
}

/// `orbit plugin`, which sees no plugins but those that it is told of.
fn plugin(args: &[&str]) -> Command {
    let mut command = orbit();
    command.env_remove("ORBIT_PLUGIN_PATH").env("XDG_DATA_HOME", "/nowhere").arg("plugin").args(args);
    command
}

fn check(path: &Path, args: &[&str]) -> Checked {
    let output = plugin(&["check", "--json"]).arg(path).args(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Checked { code: output.status.code(), stderr, report }
}

impl Checked {
    fn tests(&self) -> &[Value] {
        self.report["tests"].as_array().unwrap_or_else(|| panic!("no report: {}", self.stderr))
    }

    /// Status and reason of a test.
    fn test(&self, name: &str) -> (&str, &str) {
        let test = self.tests().iter().find(|test| test["name"] == name).unwrap();
        (test["status"].as_str().unwrap(), test["reason"].as_str().unwrap())
    }

    fn failed(&self) -> Vec<&str> {
        let failed = self.tests().iter().filter(|test| test["status"] == "failed");
        failed.map(|test| test["name"].as_str().unwrap()).collect()
    }

    /// The test has failed with these words, and the checker has gone on to the end.
    #[track_caller]
    fn fails(&self, name: &str, words: &[&str]) {
        let (status, reason) = self.test(name);
        assert_eq!((self.code, status), (Some(1), "failed"), "{name}: {reason}\n{}", self.stderr);
        for word in words {
            assert!(reason.contains(word), "no {word:?} in {name}: {reason}");
        }
        assert_eq!(self.tests().last().unwrap()["name"], "time");
    }
}

/// A folder with a manifest for a library.
fn folder(place: &Path, id: &str, file: &Path, sha256: Option<&str>) -> PathBuf {
    fs::create_dir_all(place).unwrap();
    let sha256 = sha256.map(|digest| format!("sha256 = {digest:?}\n")).unwrap_or_default();
    let head = format!("id = {id:?}\nversion = \"0.1.0\"\nabi = 1\nlicence = \"MIT\"\nexample = {{ radius = 0.3 }}\n");
    let text = format!("{head}[library.{}]\nfile = {file:?}\n{sha256}", platform());
    fs::write(place.join("plugin.toml"), text).unwrap();
    place.to_owned()
}

#[test]
fn every_example_passes() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["l2-ball", "kl-anchor", "orbit", "weight-average", "l2-ball-c"] {
        let manifest = fs::read_to_string(Path::new(ROOT).join("plugins").join(name).join("plugin.toml")).unwrap();
        let lines = manifest.lines().map(|line| match line.starts_with("file = ") {
            true => format!("file = {:?}\n", library(name)),
            false => format!("{line}\n"),
        });
        let manifest: String = lines.collect();
        let place = dir.path().join(name);
        fs::create_dir(&place).unwrap();
        fs::write(place.join("plugin.toml"), manifest).unwrap();
        let checked = check(&place, &[]);
        assert_eq!((checked.code, checked.failed()), (Some(0), vec![]), "{name}: {:#}", checked.report);
        assert_eq!(checked.report["id"], name);
        assert_eq!(checked.report["sha256"].as_str().unwrap().len(), 64);
    }
}

/// Runs a command in a folder as a person would, without what this test was built with.
#[track_caller]
fn builds(folder: &Path, program: &str, args: &[&str]) {
    let mut command = Command::new(program);
    command.current_dir(folder).args(args).env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Checks the plugin in this folder by the text that a person reads.
#[track_caller]
fn passes(folder: &Path, id: &str) {
    let output = plugin(&["check", "."]).current_dir(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for part in [&format!("plugin   {id} 0.1.0"), " 0 failed, 0 skipped", "sha256 = \""] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn a_new_plugin_in_rust_builds_without_network_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&["new", "soft-pull"]).current_dir(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let folder = dir.path().join("soft-pull");
    builds(&folder, env!("CARGO"), &["build", "--release", "--offline", "--locked", "--quiet"]);
    builds(&folder, env!("CARGO"), &["test", "--release", "--offline", "--locked", "--quiet"]);
    passes(&folder, "soft-pull");
}

#[test]
fn a_new_plugin_in_c_builds_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("deep/pull");
    let made = plugin(&["new", "soft-pull", "--lang", "c", "--out"]).arg(&folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    builds(&folder, "make", &["--quiet", "CFLAGS=-O2 -Wall -Wextra -Wpedantic -Werror"]);
    passes(&folder, "soft-pull");
}

#[track_caller]
fn mistake(output: &Output, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in {stderr}");
    }
}

#[test]
fn mistakes_exit_with_2_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let new = |args: &[&str]| plugin(&["new"]).args(args).current_dir(dir.path()).output().unwrap();
    mistake(&new(&["My Ball"]), &["My Ball", "small letters"]);
    mistake(&new(&["../ball"]), &["small letters"]);
    mistake(&new(&["serde"]), &["choose another"]);
    fs::create_dir(dir.path().join("ball")).unwrap();
    mistake(&new(&["ball"]), &["is there already", "--out"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(dir.path().join("ball")).unwrap().count(), 0);

    let checked = |args: &[&str]| plugin(&["check"]).args(args).current_dir(dir.path()).output().unwrap();
    mistake(&checked(&["nothing"]), &["there is no plugin \"nothing\"", "ORBIT_PLUGIN_PATH"]);
    fs::write(dir.path().join("text.so"), "not a library").unwrap();
    mistake(&checked(&["text.so"]), &["text.so", "not a dynamic library"]);
    mistake(&checked(&["text.so", "--config", "[1]"]), &["--config", "JSON object"]);
    mistake(&checked(&["text.so", "--timeout", "0"]), &["--timeout"]);
}

#[test]
fn what_cannot_be_loaded_fails_the_first_tests_and_skips_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let ball = library("l2-ball");
    let wrong = check(&folder(&dir.path().join("wrong"), "l2-ball", &ball, Some(&"0".repeat(64))), &[]);
    wrong.fails("manifest and digest", &["SHA-256", "write the new digest into plugin.toml"]);
    assert_eq!(wrong.test("load").0, "skipped");
    let missing = check(&folder(&dir.path().join("missing"), "l2-ball", Path::new("none.so"), None), &[]);
    missing.fails("manifest and digest", &["none.so", "build the plugin first"]);
    let other = check(&folder(&dir.path().join("other"), "another", &ball, None), &[]);
    other.fails("load", &["it is plugin l2-ball", "its manifest says another"]);

    if cfg!(target_os = "linux") {
        let mut bytes = fs::read(&ball).unwrap();
        // e_machine: another architecture than this one.
        let machine: u16 = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        fs::write(dir.path().join("foreign.so"), bytes).unwrap();
        let foreign = check(&dir.path().join("foreign.so"), &[]);
        foreign.fails("manifest and digest", &["this program runs on", "build it for"]);
    }
    let bad = |bad: Bad| check(&bad.build(dir.path()), &[]);
    bad(Bad { entry: "not_the_entry", ..Bad::new("nameless") }).fails("manifest and digest", &["orbit_hook_entry"]);
    bad(Bad { version: "7", ..Bad::new("future") }).fails("load", &["interface 7", "reads 1 to 1", "newer program"]);
    bad(Bad { size: "16", ..Bad::new("short") }).fails("load", &["16 bytes"]);
    bad(Bad { create: "return fail(error, \"no\");", ..Bad::new("picky") }).fails("config: good", &["no", "--config"]);
}

#[test]
fn a_plugin_that_kills_its_process_fails_by_name_and_the_checker_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let weights =
        |name: &'static str, weights: &'static str| check(&Bad { weights, ..Bad::new(name) }.build(dir.path()), &[]);
    let aborts = weights("aborts", "abort();");
    aborts.fails("writes in turn", &["SIGABRT", "in weights, step 1", "must return an error"]);
    assert_eq!(aborts.test("a thousand in turn").0, "passed");
    let faults = weights("faults", "volatile uintptr_t address = 8; *(volatile int *)address = 1;");
    faults.fails("contract: the same run twice", &["SIGSEGV", "in weights, step 1", "memory that is not its own"]);
    let leaves = weights("leaves", "exit(3);");
    leaves.fails("one entry", &["exit code 3", "never end the process"]);
    let corrupts = weights("corrupts", "void *volatile twice = instance; free(twice); free(twice);");
    corrupts.fails("one entry", &["SIGABRT", "in weights, step 1", "freed it twice"]);
}

#[test]
fn a_plugin_that_hangs_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let hangs = Bad { weights: "for (volatile int n = 0; ; n = 1) (void)n;", ..Bad::new("hangs") };
    let hangs = check(&hangs.build(dir.path()), &["--timeout", "1"]);
    hangs.fails("one entry", &["ran longer than 1 s and was ended", "in weights, step 1", "--timeout"]);
    assert_eq!(hangs.test("contract: its name").0, "passed");
}

#[test]
fn a_plugin_that_breaks_the_rules_is_told_which() {
    let dir = tempfile::tempdir().unwrap();
    let bad = |bad: Bad| check(&bad.build(dir.path()), &[]);
    let scale = |vector: &str, by: &str| format!("return space->scale(space, whole({vector}), {by}, error);");
    let early = scale("ORBIT_WEIGHTS", "0.5f");
    let early = Bad { phases: "ORBIT_GRADIENTS_PHASE", gradients: &early, ..Bad::new("early") };
    bad(early).fails("writes in turn", &["in gradients, step 1", "weights can be written only", "move the write"]);
    let silent = "(void)space->scale(space, whole(ORBIT_WEIGHTS), 0.5f, error);";
    let silent = Bad { phases: "ORBIT_GRADIENTS_PHASE", gradients: silent, ..Bad::new("silent") };
    bad(silent).fails("writes in turn", &["went on as if `scale` had been done", "return what the host returns"]);
    let nan = scale("ORBIT_WEIGHTS", "NAN");
    bad(Bad { weights: &nan, ..Bad::new("nan") }).fails("finite numbers stay finite", &["scale is NaN"]);
    let logs = Bad { weights: "return space->log(space, text(\"drift\"), NAN, error);", ..Bad::new("logs") };
    bad(logs).fails("finite numbers stay finite", &["NaN as `drift`", "division by zero"]);
    let global = Bad {
        weights: "static float n; n += 1; return space->log(space, text(\"n\"), n, error);",
        ..Bad::new("global")
    };
    let global = bad(global);
    global.fails("contract: the same run twice", &["nothing may depend on"]);
    global.fails("two side by side", &["not in globals"]);
    let leaks = Bad {
        create: "volatile char *leak = malloc(65536); for (int i = 0; i < 65536; i++) leak[i] = 1;",
        ..Bad::new("leaks")
    };
    bad(leaks).fails("a thousand in turn", &["destroy must free what create made"]);
}

#[test]
fn a_plugin_that_mishandles_its_state_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let forgets = check(&Bad::forgetting("forgets").build(dir.path()), &[]);
    forgets.fails("contract: a restart half way", &["save and load"]);
    let trusting = "if (state.len < 8) abort();\n memcpy(&instance->steps, state.lent, 8);";
    let trusting = check(&Bad { load: trusting, ..Bad::counting("trusting") }.build(dir.path()), &[]);
    trusting.fails("state: cut short", &["SIGABRT", "a state cut to 0 of 8 bytes"]);
    trusting.fails("state: empty", &["an empty state"]);
    assert_eq!(trusting.test("state: flipped bits").0, "passed");
    let sound = check(&Bad::counting("sound").build(dir.path()), &[]);
    assert_eq!((sound.code, sound.failed()), (Some(0), vec![]), "{:#}", sound.report);
}

#[test]
fn plugins_are_listed_by_their_manifests_alone() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let ball = library("l2-ball");
    folder(&at("good"), "l2-ball", &ball, None);
    folder(&at("lies"), "l2-ball", &ball, Some(&"0".repeat(64)));
    fs::create_dir(at("empty")).unwrap();
    // A library that ends the process which loads it: listing does not.
    let dies = "__attribute__((constructor)) static void die(void) { _exit(9); }";
    folder(&at("dies"), "dies", &Bad { more: dies, ..Bad::new("dies") }.build(dir.path()), None);
    let list = |args: &[&str]| {
        let output = plugin(&["list"])
            .args(args)
            .env("ORBIT_PLUGIN_PATH", dir.path())
            .current_dir(at("empty"))
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let text = list(&[]);
    for part in ["l2-ball  0.1.0", "dies     0.1.0", "MIT", &platform(), "refused", "lies", "SHA-256"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(!text.contains("empty"), "{text}");
    let why = list(&["--why"]);
    assert!(why.contains("empty: a folder without a plugin.toml") && why.contains("plugins: "), "{why}");
    let json: Value = serde_json::from_str(&list(&["--json"])).unwrap();
    assert_eq!(json["plugins"][1]["manifest"]["id"], "l2-ball");
    assert_eq!(json["plugins"][1]["sha256"].as_str().unwrap().len(), 64);
    assert!(json["refused"][0]["reason"].as_str().unwrap().contains("SHA-256"));

    // By its id, though its folder is called otherwise.
    let by_id = plugin(&["check", "l2-ball"]).env("ORBIT_PLUGIN_PATH", dir.path()).output().unwrap();
    assert!(by_id.status.success(), "{}", String::from_utf8_lossy(&by_id.stderr));
    let dies = check(&at("dies"), &[]);
    dies.fails("load", &["exit code 9", "while it was loaded"]);
}
