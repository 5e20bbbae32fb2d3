//! Parameters to run a hook on, and the calls of one step, for what `ToyRun` does not do to hooks.

use orbit_core::hook::testing::{HostPass, HostSpace};
use orbit_core::hook::{ForwardPlan, Hook, Param, ParamKind, Phases, Result, Step};

/// How many rows of logits a pass has, at most: what they cost must not hide the parameters.
const ROWS: usize = 64;

/// Parameters of these shapes, loaded with a model.
pub(super) fn params(shapes: &[&[usize]]) -> Vec<Param> {
    let named = shapes.iter().enumerate();
    named.map(|(i, shape)| Param { name: format!("p{i}"), shape: shape.to_vec(), kind: ParamKind::Base }).collect()
}

/// A few parameters of both kinds, one of them new.
pub(super) fn few() -> Vec<Param> {
    let mut few = params(&[&[4, 3], &[2], &[3], &[2, 3]]);
    few[3].kind = ParamKind::New;
    few
}

/// Numbers of both signs near 1, none of them zero.
pub(super) fn weights(params: &[Param]) -> Vec<Vec<f32>> {
    let fill = |param: &Param| (0..param.len()).map(|entry| ((5 * entry + 2) % 13) as f32 / 6.5 - 0.95).collect();
    params.iter().map(fill).collect()
}

/// A space of these parameters, at its start.
pub(super) fn space(params: Vec<Param>) -> Result<HostSpace> {
    let weights = weights(&params);
    HostSpace::new(params, weights)
}

/// Attaches a hook as the host does.
pub(super) fn attach(hook: &mut dyn Hook, space: &mut HostSpace) -> Result<()> {
    space.begin(Phases::NONE);
    hook.attach(space)
}

/// One step, as the host takes it, with gradients that lead away from the start.
pub(super) fn step(hook: &mut dyn Hook, space: &mut HostSpace, number: u64) -> Result<()> {
    let step = at(number);
    losses(hook, space, &step)?;
    space.set_gradients(gradients(space))?;
    space.begin(Phases::GRADIENTS);
    if hook.phases().contains(Phases::GRADIENTS) {
        hook.gradients(&step, space)?;
    }
    descend(space)?;
    space.begin(Phases::WEIGHTS);
    if hook.phases().contains(Phases::WEIGHTS) { hook.weights(&step, space) } else { Ok(()) }
}

/// The calls about a forward pass.
pub(super) fn losses(hook: &mut dyn Hook, space: &HostSpace, step: &Step) -> Result<()> {
    if hook.phases().contains(Phases::FORWARD) {
        hook.forward(step, &mut ForwardPlan::default())?;
    }
    if hook.phases().contains(Phases::LOSS) { hook.loss(step, &mut pass(space)) } else { Ok(()) }
}

pub(super) fn at(number: u64) -> Step {
    Step { number, total: 100, learning_rate: 0.1 }
}

/// Half the weights, and a little more, so that none is zero.
pub(super) fn gradients(space: &HostSpace) -> Vec<Vec<f32>> {
    space.weights().iter().map(|entries| entries.iter().map(|weight| 0.5 * weight + 0.3).collect()).collect()
}

fn descend(space: &mut HostSpace) -> Result<()> {
    let part = |(weights, gradients): (&Vec<f32>, &Vec<f32>)| {
        weights.iter().zip(gradients).map(|(weight, gradient)| weight - 0.1 * gradient).collect()
    };
    let weights = space.weights().iter().zip(space.gradients()).map(part).collect();
    space.set_weights(weights)
}

/// Logits made of the weights, two to a row; every other row is an answer.
fn pass(space: &HostSpace) -> HostPass {
    let student = rows(space.weights());
    let answer = (0..student.len()).map(|row| row % 2 == 1).collect();
    HostPass::new(student, rows(space.start()), answer)
}

fn rows(entries: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let flat: Vec<f64> = entries.iter().flatten().take(2 * ROWS).map(|&entry| entry.into()).collect();
    flat.chunks_exact(2).map(<[f64]>::to_vec).collect()
}
