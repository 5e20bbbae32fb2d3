//! A run that was stopped, saved and taken up again is the run that was not, and a damaged checkpoint is refused.

use std::fs;
use std::num::NonZeroU64;
use std::path::Path;

use orbit_core::hook::{Error as HookError, Hook, Phases, Result as HookResult, State};
use orbit_core::{AdamW, Entry, Fit, StepReport, host_weights};
use orbit_models::Decoder;
use orbit_regularizers::{Ball, Decay, Ema, Freeze, Half, Interpolate, Kl, L2Sp, Lwf, Metric, Orbit, Soup};

use crate::tiny::{Language, constant, decoder, finish};

const HALF: u64 = 4;

/// Makes a hook, the same each time.
pub(crate) type Make = Box<dyn Fn() -> Box<dyn Hook> + Sync>;

/// Makes copies of a hook.
pub(crate) fn of<H: Hook + Clone + Sync + 'static>(hook: H) -> Make {
    Box::new(move || Box::new(hook.clone()))
}

/// Every built-in, with options under which it does something within the run, but for those that begin with a second stage.
pub(crate) fn built_ins() -> Vec<(&'static str, Make)> {
    vec![
        ("orbit", of(Orbit::new(Metric::Flips, 0.01))),
        ("orbit by l2", of(Orbit::new(Metric::L2, 0.4))),
        ("soup", of(Soup::new(NonZeroU64::new(3).unwrap()))),
        ("interpolate", of(Interpolate::new(0.3))),
        ("ema", of(Ema::new(0.7))),
        ("ball", of(Ball::new(0.5))),
        ("l2_sp", of(L2Sp { new_strength: 0.1, ..L2Sp::new(0.1) })),
        ("decay", of(Decay::new(0.5))),
        ("kl", of(Kl::new(0.5))),
        ("lwf", of(Lwf::default())),
        ("freeze", of(Freeze { from_stage: NonZeroU64::MIN, ..Freeze::new(1) })),
        ("half", of(Half::new(1))),
    ]
}

/// A run of twice [`HALF`] steps of a decoder with new tokens.
fn start(hooks: Vec<Box<dyn Hook>>) -> Fit<Decoder, Language> {
    let model = decoder().with_new_tokens(3, 1);
    let entries = hooks.into_iter().map(Entry::new).collect();
    Fit::new(model, entries, Language { micro: 4 }, AdamW::default(), constant(1e-2, 2 * HALF)).unwrap()
}

fn half(fit: &mut Fit<Decoder, Language>) -> Vec<StepReport> {
    (0..HALF).map(|_| fit.step().unwrap().unwrap()).collect()
}

/// Reports as text without what the clock says.
fn timeless(reports: Vec<StepReport>) -> Vec<String> {
    let timeless = |report| StepReport { seconds: 0.0, hook_seconds: 0.0, ..report };
    reports.into_iter().map(|report| format!("{:?}", timeless(report))).collect()
}

fn bits(fit: &Fit<Decoder, Language>) -> Vec<u32> {
    host_weights(&fit.model()).concat().into_iter().map(f32::to_bits).collect()
}

/// Compares a run that is resumed half way with one that is not.
fn resumes(title: &str, make: &dyn Fn() -> Vec<Box<dyn Hook>>) {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = dir.path().join("step-4");

    let mut whole = start(make());
    half(&mut whole);
    let second_half = finish(&mut whole);

    let mut stopped = start(make());
    half(&mut stopped);
    stopped.save(&checkpoint).unwrap();

    let mut resumed = start(make());
    resumed.load(&checkpoint).unwrap();
    assert!(bits(&stopped) == bits(&resumed), "{title}: the weights differ when loaded");
    assert_eq!((resumed.steps(), resumed.acted()), (HALF, stopped.acted()), "{title}");
    assert_eq!(timeless(finish(&mut resumed)), timeless(second_half), "{title}: the reports differ");
    assert!(bits(&whole) == bits(&resumed), "{title}: the weights differ at the end");
    assert_eq!(resumed.acted(), whole.acted(), "{title}");
    let idle = whole.acted().iter().filter(|(_, steps)| *steps == 0).count();
    assert!(idle == 0 || make().len() > 2, "{title} did nothing: {:?}", whole.acted());
}

#[test]
fn every_hook_goes_on_as_if_nothing_had_happened() {
    resumes("no hook", &Vec::new);
    for (title, make) in built_ins() {
        resumes(title, &|| vec![make()]);
    }
}

#[test]
fn so_do_several_at_once() {
    let hooks = built_ins();
    for pair in [[0, 4], [4, 4], [2, 8], [5, 6]] {
        let title = pair.map(|at| hooks[at].0).join(" and ");
        resumes(&title, &|| pair.iter().map(|&at| hooks[at].1()).collect());
    }
    resumes("all of them", &|| hooks.iter().map(|(_, make)| make()).collect());
}

#[test]
fn a_run_that_has_ended_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("end");
    let make = || -> Vec<Box<dyn Hook>> { vec![Box::new(Interpolate::new(0.5))] };
    let mut ended = start(make());
    finish(&mut ended);
    ended.save(&path).unwrap();
    let mut resumed = start(make());
    resumed.load(&path).unwrap();
    assert!(resumed.step().unwrap().is_none());
    assert!(bits(&ended) == bits(&resumed), "the weights were merged a second time");
}

/// A checkpoint of a run with hooks that keep slots and state.
fn saved(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("step-4");
    let mut fit = start(keepers());
    half(&mut fit);
    fit.save(&path).unwrap();
    path
}

fn keepers() -> Vec<Box<dyn Hook>> {
    vec![Box::new(Ema::new(0.7)), Box::new(Orbit::new(Metric::L2, 0.4))]
}

/// That loading is an error, after which the run is as it was; gives the error.
fn refusal(path: &Path, hooks: Vec<Box<dyn Hook>>) -> String {
    let mut fit = start(hooks);
    let before = bits(&fit);
    let error = fit.load(path).unwrap_err().to_string();
    assert!(before == bits(&fit), "the weights have changed: {error}");
    assert_eq!(fit.steps(), 0, "{error}");
    assert_eq!(fit.step().unwrap().unwrap().step, 1, "{error}");
    error
}

const FILES: [&str; 5] =
    ["manifest.json", "weights.safetensors", "optimizer.safetensors", "slots.safetensors", "hooks.json"];

#[test]
fn a_checkpoint_holds_the_files_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut names: Vec<String> = fs::read_dir(saved(dir.path()))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected = FILES.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn damage_to_any_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = saved(dir.path());
    for file in FILES {
        let target = path.join(file);
        let whole = fs::read(&target).unwrap();
        let refused = |damaged: Option<Vec<u8>>, how: &str| {
            match damaged {
                Some(bytes) => fs::write(&target, bytes).unwrap(),
                None => fs::remove_file(&target).unwrap(),
            }
            let error = refusal(&path, keepers());
            assert!(error.contains(file), "{file} {how}: {error}");
            fs::write(&target, &whole).unwrap();
        };
        for at in [0, 9, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            refused(Some(flipped), "with a flipped bit");
        }
        refused(Some(whole[..whole.len() / 2].to_vec()), "cut short");
        refused(Some(Vec::new()), "emptied");
        refused(None, "missing");
    }
    start(keepers()).load(&path).unwrap();
}

/// The manifest vouches for the other files; it must not be trusted itself.
#[test]
fn every_bit_of_the_manifest_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = saved(dir.path());
    let manifest = path.join("manifest.json");
    let whole = fs::read(&manifest).unwrap();
    let mut fit = start(keepers());
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&manifest, flipped).unwrap();
        assert!(fit.load(&path).is_err(), "byte {at} of the manifest does not matter");
    }
    assert_eq!(fit.steps(), 0);
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = saved(dir.path());
    let error = refusal(&path, vec![Box::new(Ema::new(0.7))]);
    assert!(error.ends_with(r#"was saved with the hooks ["ema", "orbit"], this run has ["ema"]"#), "{error}");
    let error = refusal(&path, keepers().into_iter().rev().collect());
    assert!(error.contains(r#"this run has ["orbit", "ema"]"#), "{error}");

    let mut other = decoder().config().clone();
    other.initializer_range = 0.2;
    let other = Decoder::random(other, 7, &crate::tiny::flex().autodiff());
    let mut fit = Fit::new(other, Vec::new(), Language { micro: 4 }, AdamW::default(), constant(1e-2, 8)).unwrap();
    let error = fit.load(&path).unwrap_err().to_string();
    assert!(error.contains("began from other weights"), "{error}");
    assert!(error.contains("step-4"), "{error}");
}

#[test]
fn a_newer_format_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = saved(dir.path());
    fs::write(path.join("manifest.json"), r#"{"format": 3, "what": {"nobody": "knows"}}"#).unwrap();
    let error = refusal(&path, keepers());
    assert!(error.contains("has format 3, this build reads up to 2"), "{error}");
    assert!(refusal(&dir.path().join("nowhere"), keepers()).contains("nowhere"));
}

/// A hook whose state cannot be taken back.
struct Forgetful;

impl Hook for Forgetful {
    fn name(&self) -> &str {
        "orbit"
    }
    fn phases(&self) -> Phases {
        Phases::NONE
    }
    fn load(&mut self, _: &State) -> HookResult<()> {
        Err(HookError::failed("I forgot"))
    }
}

#[test]
fn a_hook_that_cannot_load_leaves_the_weights() {
    let dir = tempfile::tempdir().unwrap();
    let path = saved(dir.path());
    let error = refusal(&path, vec![Box::new(Ema::new(0.7)), Box::new(Forgetful)]);
    assert_eq!(error, "hook 2 \"orbit\" in load: I forgot");
}

#[test]
fn a_checkpoint_is_written_once_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("step-4");
    let partial = dir.path().join("step-4.partial");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("rubbish"), "left by a crash").unwrap();
    let fit = start(keepers());
    fit.save(&path).unwrap();
    assert!(!partial.exists() && !path.join("rubbish").exists());
    let error = fit.save(&path).unwrap_err().to_string();
    assert!(error.contains("step-4: is there already"), "{error}");
    start(keepers()).load(&path).unwrap();
    let deep = dir.path().join("a/b/step-1.5");
    fit.save(&deep).unwrap();
    start(keepers()).load(&deep).unwrap();
}
