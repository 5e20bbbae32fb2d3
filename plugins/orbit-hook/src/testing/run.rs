use crate::testing::{HostPass, HostSpace, Term};
use crate::{ForwardPlan, Hook, Phases, Result, State, Step};

/// How far a step of the toy optimizer goes along the gradient.
const LEARNING_RATE: f32 = 0.1;

/// A training run small enough to read: gradient descent that pulls every entry towards a fixed target in -0.5 to 0.5.
///
/// Hooks are called as a host calls them: in list order, in the phases they name. Loss terms are recorded but not
/// differentiated; the logits they see are the weights, two to a row, beside those of the stage's start. The one training
/// example gives the estimates: the gradient's squares and its absolute values.
///
/// ```
/// # use orbit_hook::{Hook, Phases, Result, Space, Step, Vector::*};
/// # struct Freeze;
/// # impl Hook for Freeze {
/// #     fn name(&self) -> &str { "freeze" }
/// #     fn phases(&self) -> Phases { Phases::GRADIENTS }
/// #     fn gradients(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> { space.scale(Gradients, 0.0) }
/// # }
/// use orbit_hook::{Param, ParamKind, testing::{HostSpace, ToyRun}};
///
/// let params = vec![Param { name: "w".into(), shape: vec![2], kind: ParamKind::Base }];
/// let mut run = ToyRun::start(vec![Box::new(Freeze)], HostSpace::new(params, vec![vec![1.0, 2.0]])?, 3)?;
/// run.steps(3)?;
/// run.finish()?;
/// assert_eq!(run.space.weights(), [[1.0, 2.0]]);
/// # Ok::<(), orbit_hook::Error>(())
/// ```
pub struct ToyRun {
    /// The parameters.
    pub space: HostSpace,
    /// What hooks added to the loss, over all steps.
    pub terms: Vec<Term>,
    hooks: Vec<(Phases, Box<dyn Hook>)>,
    number: u64,
    total: u64,
}

impl ToyRun {
    /// Attaches the hooks to a run of `total` steps.
    pub fn start(hooks: Vec<Box<dyn Hook>>, space: HostSpace, total: u64) -> Result<Self> {
        let hooks = hooks.into_iter().map(|hook| (hook.phases(), hook)).collect();
        let mut run = Self { space, terms: Vec::new(), hooks, number: 0, total };
        run.space.begin(Phases::NONE);
        run.each(None, |hook, space| hook.attach(space))?;
        Ok(run)
    }

    /// Takes `count` steps.
    pub fn steps(&mut self, count: u64) -> Result<()> {
        (0..count).try_for_each(|_| self.step())
    }

    /// Ends the stage, and the run if no other stage is begun.
    pub fn finish(&mut self) -> Result<()> {
        let gradients = gradients(self.space.weights());
        self.space.begin(Phases::FINISH);
        self.each(Some(Phases::FINISH), |hook, space| {
            estimate(hook.phases(), &gradients, space)?;
            hook.finish(space)
        })
    }

    /// Begins another stage with the same hooks, whose origin is the weights as they are now. It has as many steps.
    pub fn next_stage(&mut self) -> Result<()> {
        self.number = 0;
        self.space.begin_stage();
        self.each(None, |hook, space| hook.attach(space))
    }

    /// What the hooks would save now.
    pub fn saved(&self) -> Result<Vec<State>> {
        let save = |(_, hook): &(Phases, Box<dyn Hook>)| {
            let mut state = State::new();
            hook.save(&mut state)?;
            Ok(state)
        };
        self.hooks.iter().map(save).collect()
    }

    /// Stops here and goes on with `hooks`, freshly made, as after a restart.
    pub fn resume(self, hooks: Vec<Box<dyn Hook>>) -> Result<Self> {
        let mut run = Self::start(hooks, self.space.restarted()?, self.total)?;
        run.space.restore(&self.space);
        for ((_, hook), state) in run.hooks.iter_mut().zip(self.saved()?) {
            hook.load(&state)?;
        }
        Ok(Self { number: self.number, terms: self.terms, ..run })
    }

    fn step(&mut self) -> Result<()> {
        self.number += 1;
        let step = Step { number: self.number, total: self.total, learning_rate: LEARNING_RATE.into() };
        self.losses(&step)?;
        self.space.begin(Phases::GRADIENTS);
        self.space.set_gradients(gradients(self.space.weights()))?;
        self.each(Some(Phases::GRADIENTS), |hook, space| hook.gradients(&step, space))?;
        self.space.set_weights(descend(self.space.weights(), self.space.gradients()))?;
        self.space.begin(Phases::WEIGHTS);
        self.each(Some(Phases::WEIGHTS), |hook, space| hook.weights(&step, space))
    }

    fn losses(&mut self, step: &Step) -> Result<()> {
        for (phases, hook) in &mut self.hooks {
            if phases.contains(Phases::FORWARD) {
                hook.forward(step, &mut ForwardPlan::default())?;
            }
            if phases.contains(Phases::LOSS) {
                let mut pass = pass(&self.space);
                hook.loss(step, &mut pass)?;
                self.terms.extend_from_slice(pass.terms());
            }
        }
        Ok(())
    }

    /// Calls `act` for every hook that names `phase`, or for all of them.
    fn each(
        &mut self,
        phase: Option<Phases>,
        mut act: impl FnMut(&mut dyn Hook, &mut HostSpace) -> Result<()>,
    ) -> Result<()> {
        for (index, (phases, hook)) in self.hooks.iter_mut().enumerate() {
            if phase.is_none_or(|phase| phases.contains(phase)) {
                self.space.serve(index);
                act(hook.as_mut(), &mut self.space)?;
            }
        }
        Ok(())
    }
}

/// Puts there what `phases` ask for, and nothing else.
fn estimate(phases: Phases, gradients: &[Vec<f32>], space: &mut HostSpace) -> Result<()> {
    space.clear_estimates();
    let of = |f: fn(f32) -> f32| gradients.iter().map(|entries| entries.iter().map(|g| f(*g)).collect()).collect();
    if phases.contains(Phases::FISHER) {
        space.insert_estimate(Phases::FISHER, of(|g| g * g))?;
    }
    if phases.contains(Phases::SENSITIVITY) {
        space.insert_estimate(Phases::SENSITIVITY, of(f32::abs))?;
    }
    Ok(())
}

/// A pass whose logits are the weights, two to a row; every other row is an answer.
pub(super) fn pass(space: &HostSpace) -> HostPass {
    let student = rows(space.weights());
    let answer = (0..student.len()).map(|row| row % 2 == 1).collect();
    HostPass::new(student, rows(space.start()), answer)
}

fn rows(entries: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let flat: Vec<f64> = entries.iter().flatten().map(|&entry| entry.into()).collect();
    flat.chunks_exact(2).map(<[f64]>::to_vec).collect()
}

/// The gradient of half the squared distance to the target.
pub(super) fn gradients(weights: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let target = |param: usize, entry: usize| ((7 * param + 3 * entry) % 11) as f32 / 10.0 - 0.5;
    let gradient = |(param, weights): (usize, &Vec<f32>)| {
        weights.iter().enumerate().map(|(entry, weight)| weight - target(param, entry)).collect()
    };
    weights.iter().enumerate().map(gradient).collect()
}

fn descend(weights: &[Vec<f32>], gradients: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let descend = |(weights, gradients): (&Vec<f32>, &Vec<f32>)| {
        weights.iter().zip(gradients).map(|(weight, gradient)| weight - LEARNING_RATE * gradient).collect()
    };
    weights.iter().zip(gradients).map(descend).collect()
}
