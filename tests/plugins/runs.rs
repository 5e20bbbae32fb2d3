//! Plugins in runs of the program.

use std::fs;
use std::path::{Path, PathBuf};

use super::{compile, library};
use crate::program::{done, json, orbit, run_file, stderr};

/// A run file whose one hook is a plugin with this config.
fn run(dir: &Path, library: &Path, config: &str) -> PathBuf {
    run_file(dir, &format!("[[hooks]]\nuse.plugin = {{ path = {library:?}, config = {{ {config} }} }}"))
}

fn train(run: &Path, out: &Path) -> std::process::Output {
    orbit().arg("train").arg(run).arg("--out").arg(out).output().unwrap()
}

#[test]
fn a_run_with_a_plugin_reports_it_down_to_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let file = run(dir.path(), &library("l2-ball"), "radius = 0.3");
    done(orbit().arg("train").arg(&file).arg("--out").arg(&out));
    let report = json(&out.join("report.json"));
    let noted = json(&out.join("plugins.json"));
    assert_eq!(report["runs"][0]["hooks"], serde_json::json!(["l2-ball"]));
    assert_eq!(report["runs"][0]["plugins"], noted);
    assert_eq!(noted[0]["id"], "l2-ball");
    assert!(report["runs"][0]["drift"]["l2"].as_f64().unwrap() <= 0.3 * (1.0 + 1e-6));
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains(noted[0]["sha256"].as_str().unwrap()));
    let explained = done(orbit().arg("explain").arg(&file));
    assert!(explained.contains("weights      1. l2-ball"), "{explained}");
}

#[test]
fn a_wrong_option_is_an_error_at_its_line_before_anything_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    for (config, parts) in [
        ("radiuss = 0.3", ["radiuss = 0.3", "^^^^^^^", "unknown option `radiuss`", "did you mean `radius`?"]),
        ("radius = \"far\"", ["radius = \"far\"", "^^^^^^", "is not of type \"number\"", "plugin l2-ball"]),
        ("radius = -1", ["config = {", "^^^^^^", "radius must be above 0, got -1", "plugin l2-ball"]),
        ("", ["config = {", "^^^^^^", "\"radius\" is a required property", "plugin l2-ball"]),
    ] {
        let output = train(&run(dir.path(), &library("l2-ball"), config), &out);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        for part in parts.into_iter().chain(["at line "]) {
            assert!(message.contains(part), "no {part:?} in {message}");
        }
    }
    let output = train(&run(dir.path(), Path::new("nowhere"), ""), &out);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is no plugin \"nowhere\""), "{}", stderr(&output));
    assert!(!out.exists(), "a run that cannot start leaves nothing");
}

/// A ball in C that also does `act` in its weights phase; `step` is at hand.
fn c_plugin(dir: &Path, name: &str, act: &str) -> PathBuf {
    let source = fs::read_to_string(Path::new(crate::program::ROOT).join("plugins/l2-ball-c/l2_ball_c.c")).unwrap();
    let changed = source.replace("    (void)step;\n", &format!("    {act}\n"));
    assert_ne!(source, changed);
    let (source, out) = (dir.join(format!("{name}.c")), dir.join(format!("{name}.so")));
    fs::write(&source, changed).unwrap();
    compile(&source, &out);
    out
}

#[test]
fn a_plugin_that_fails_ends_the_run_on_a_checkpoint_that_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let failing = "if (step->number == 8) return fail(error, ORBIT_FAILED, \"the sun is down\");";
    let plugin = c_plugin(dir.path(), "ball", failing);
    let out = dir.path().join("out");
    let output = train(&run(dir.path(), &plugin, "radius = 0.3"), &out);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    for part in ["hook 1 \"l2-ball-c\" in weights: the sun is down", "step-00000005", "orbit resume"] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    let left: Vec<_> = fs::read_dir(out.join("checkpoints")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["step-00000005"]);

    // Mended, it is another library: the run goes on when it is told to.
    c_plugin(dir.path(), "ball", "(void)step; (void)0;");
    let refused = orbit().arg("resume").arg(&out).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--allow-changed-plugins"), "{}", stderr(&refused));
    done(orbit().arg("resume").arg(&out).arg("--allow-changed-plugins"));

    // And ends as one that never failed.
    let whole = dir.path().join("whole");
    done(orbit().arg("train").arg(run(dir.path(), &plugin, "radius = 0.3")).arg("--out").arg(&whole));
    let model = |out: &Path| fs::read(out.join("model/model.safetensors")).unwrap();
    assert!(model(&out) == model(&whole));
}

#[test]
fn what_a_plugin_may_not_write_ends_the_run_and_names_it() {
    let dir = tempfile::tempdir().unwrap();
    for (name, act, part) in [
        (
            "nan",
            "(void)step; { OrbitStatus s = space->scale(space, whole(ORBIT_WEIGHTS), NAN, error); if (s) return s; }",
            "the factor of scale is NaN: nothing was written",
        ),
        (
            "origin",
            "(void)step; { OrbitStatus s = space->scale(space, whole(ORBIT_ORIGIN), 2, error); if (s) return s; }",
            "Origin is never writable",
        ),
        (
            "gradients",
            "(void)step; { OrbitStatus s = space->scale(space, whole(ORBIT_GRADIENTS), 2, error); if (s) return s; }",
            "there are no Gradients in weights",
        ),
    ] {
        let plugin = c_plugin(dir.path(), name, act);
        let output = train(&run(dir.path(), &plugin, "radius = 0.3"), &dir.path().join(name));
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("l2-ball-c") && message.contains(part), "no {part:?} in {message}");
    }
}
