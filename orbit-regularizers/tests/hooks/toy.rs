//! The toy problem of these tests.

use orbit_hook::testing::{HostSpace, ToyRun};
use orbit_hook::{Hook, Param, ParamKind, Phases, Result, Step};
use orbit_regularizers::{HookEntry, Use};

pub(crate) const STEPS: u64 = 8;

pub(crate) const STEP: Step = Step { number: 1, total: STEPS, learning_rate: 0.5 };

/// One config per built-in, each of which changes something within eight steps of the toy run.
pub(crate) const BUILT_INS: [&str; 8] = [
    "orbit = { max_drift = 0.1 }",
    "soup = { every_steps = 3 }",
    "interpolate = { alpha = 0.25 }",
    "ema = { decay = 0.5 }",
    "ball = { radius = 0.4 }",
    "l2_sp = { strength = 2.0 }",
    "decay = { strength = 1.0 }",
    "kl = { strength = 0.5 }",
];

/// A hook's config from what stands after `use.` in a file.
pub(crate) fn parse(config: &str) -> Result<Use, toml::de::Error> {
    toml::from_str::<HookEntry>(&format!("use.{config}")).map(|entry| entry.r#use)
}

pub(crate) fn build(config: &str) -> Box<dyn Hook> {
    parse(config).unwrap().build().unwrap()
}

/// One parameter of each of these kinds, starting at these entries.
pub(crate) fn space_of(params: &[(ParamKind, &[f32])]) -> HostSpace {
    let param = |(i, (kind, start)): (usize, &(ParamKind, &[f32]))| Param {
        name: format!("param.{i}"),
        shape: vec![start.len()],
        kind: *kind,
    };
    let weights = params.iter().map(|(_, start)| start.to_vec()).collect();
    HostSpace::new(params.iter().enumerate().map(param).collect(), weights).unwrap()
}

/// A base parameter and a new one.
pub(crate) fn space(base: &[f32], new: &[f32]) -> HostSpace {
    space_of(&[(ParamKind::Base, base), (ParamKind::New, new)])
}

/// A space after an update: `base` has moved from `origin`.
pub(crate) fn moved(base: &[f32], origin: &[f32], new: &[f32]) -> HostSpace {
    let mut space = space(origin, new);
    space.set_weights(vec![base.to_vec(), new.to_vec()]).unwrap();
    space.begin(Phases::WEIGHTS);
    space
}

/// A whole toy run from weights of both signs.
pub(crate) fn run(hooks: Vec<Box<dyn Hook>>) -> Result<ToyRun> {
    let start: [(ParamKind, &[f32]); 3] = [
        (ParamKind::Base, &[0.9, -0.7, 0.4, -0.2, 0.1]),
        (ParamKind::New, &[0.3, -0.3]),
        (ParamKind::Base, &[-0.05, 0.6, -0.9]),
    ];
    let mut run = ToyRun::start(hooks, space_of(&start), STEPS)?;
    run.steps(STEPS)?;
    run.finish()?;
    Ok(run)
}
