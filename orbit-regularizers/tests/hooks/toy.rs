//! The toy problem of these tests.

use orbit_hook::testing::{HostSpace, ToyRun};
use orbit_hook::{Hook, Param, ParamKind, Phases, Result, Step};
use orbit_regularizers::{HookEntry, Use};

pub(crate) const STEPS: u64 = 8;

pub(crate) const STEP: Step = Step { number: 1, total: STEPS, learning_rate: 0.5 };

pub(crate) const STAGES: u64 = 3;

/// One config per built-in, each of which changes something within the toy run.
pub(crate) const BUILT_INS: [&str; 16] = [
    "orbit = { max_drift = 0.1 }",
    "soup = { every_steps = 3 }",
    "interpolate = { alpha = 0.25 }",
    "ema = { decay = 0.5 }",
    "ball = { radius = 0.4 }",
    "l2_sp = { strength = 2.0 }",
    "decay = { strength = 1.0 }",
    "kl = { strength = 0.5 }",
    "lwf = { strength = 0.5 }",
    "ewc = { strength = 2.0 }",
    "mas = { strength = 1.0 }",
    "si = { strength = 0.5, damping = 0.1 }",
    "o_lora = { strength = 0.2 }",
    "freeze = { layers = 1 }",
    "half = { seed = 1 }",
    "instruction_vector = { vectors = [\"tests/vector.safetensors\"] }",
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

/// Parameters of these names and shapes, starting at numbers of both signs; those with "lora" in their name are new.
pub(crate) fn named(params: &[(&str, &[usize])]) -> HostSpace {
    let param = |(name, shape): &(&str, &[usize])| Param {
        name: (*name).to_owned(),
        shape: shape.to_vec(),
        kind: if name.contains("lora") { ParamKind::New } else { ParamKind::Base },
    };
    let params: Vec<Param> = params.iter().map(param).collect();
    let start = |entry: usize| ((7 * entry + 3) % 16) as f32 / 8.0 - 0.95;
    let weights = params.iter().map(|param| (0..param.len()).map(start).collect()).collect();
    HostSpace::new(params, weights).unwrap()
}

/// A toy run that is about to begin, over the end of a small decoder, with a file "importance".
pub(crate) fn start(hooks: Vec<Box<dyn Hook>>) -> Result<ToyRun> {
    let mut space = named(&[
        ("model.embed_tokens.weight", &[5, 1]),
        ("model.layers.0.mlp.up_proj.weight", &[1, 3]),
        ("model.layers.0.mlp.up_proj.weight.lora.a", &[1, 3]),
        ("model.layers.0.mlp.down_proj.weight", &[3, 1]),
        ("model.norm.weight", &[4]),
    ]);
    space.insert_file("importance", vec![vec![1.0; 5], vec![0.5; 3], vec![2.0; 3], vec![0.0; 3], vec![1.0; 4]])?;
    ToyRun::start(hooks, space, STEPS)
}

/// A whole toy run of [`STAGES`].
pub(crate) fn run(hooks: Vec<Box<dyn Hook>>) -> Result<ToyRun> {
    let mut run = start(hooks)?;
    for stage in 1..=STAGES {
        run.steps(STEPS)?;
        run.finish()?;
        if stage < STAGES {
            run.next_stage()?;
        }
    }
    Ok(run)
}
