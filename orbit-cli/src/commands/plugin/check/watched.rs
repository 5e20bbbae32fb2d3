//! A hook that says where it is before it goes there, and an eye on what it is refused.

use std::time::{Duration, Instant};

use orbit_core::hook::abi::ForeignHook;
use orbit_core::hook::{Error, ErrorKind, ForwardPlan, Hook, Param, Pass, Phases, Result, Space, State, Step, Vector};

use super::progress;

/// A plugin's hook under watch.
///
/// - Each call is told before it is made, so that the checker knows in which the process died.
/// - An error names the phase it came from.
/// - A refusal by the host that the hook passes over in silence becomes an error: it has gone on with what it did not get.
pub(super) struct Watched {
    hook: ForeignHook,
    situation: String,
    /// Time spent in the hook, and in the host on its behalf.
    pub(super) spent: Duration,
}

impl Watched {
    pub(super) fn new(hook: ForeignHook, situation: &str) -> Self {
        Self { hook, situation: situation.to_owned(), spent: Duration::ZERO }
    }

    fn watch(&mut self, place: &str, call: impl FnOnce(&mut ForeignHook) -> Result<()>) -> Result<()> {
        progress::at(&format!("in {place}{}", self.situation));
        let begun = Instant::now();
        let result = call(&mut self.hook);
        self.spent += begun.elapsed();
        result.map_err(|error| Error::new(error.kind(), format!("in {place}: {error}")))
    }

    fn in_space(
        &mut self,
        place: &str,
        space: &mut dyn Space,
        call: impl FnOnce(&mut ForeignHook, &mut dyn Space) -> Result<()>,
    ) -> Result<()> {
        let mut space = WatchedSpace { space, refused: None };
        self.watch(place, |hook| {
            call(hook, &mut space)?;
            space.refused.take().map_or(Ok(()), Err)
        })
    }
}

fn at_step(phase: &str, step: &Step) -> String {
    format!("{phase}, step {}", step.number)
}

impl Hook for Watched {
    fn name(&self) -> &str {
        self.hook.name()
    }

    fn phases(&self) -> Phases {
        self.hook.phases()
    }

    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        self.in_space("attach", space, |hook, space| hook.attach(space))
    }

    fn forward(&mut self, step: &Step, plan: &mut ForwardPlan) -> Result<()> {
        self.watch(&at_step("forward", step), |hook| hook.forward(step, plan))
    }

    fn loss(&mut self, step: &Step, pass: &mut dyn Pass) -> Result<()> {
        self.watch(&at_step("loss", step), |hook| hook.loss(step, pass))
    }

    fn gradients(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        self.in_space(&at_step("gradients", step), space, |hook, space| hook.gradients(step, space))
    }

    fn weights(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        self.in_space(&at_step("weights", step), space, |hook, space| hook.weights(step, space))
    }

    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        self.in_space("finish", space, |hook, space| hook.finish(space))
    }

    fn save(&self, state: &mut State) -> Result<()> {
        progress::at(&format!("in save{}", self.situation));
        self.hook.save(state)
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.watch("load", |hook| hook.load(state))
    }
}

/// A space that remembers the first request that no sound hook makes.
struct WatchedSpace<'a> {
    space: &'a mut dyn Space,
    refused: Option<Error>,
}

impl WatchedSpace<'_> {
    /// What does not exist may be asked for; what must not be written, or is not a number, may not be passed over.
    fn note<T>(&mut self, what: &str, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && matches!(error.kind(), ErrorKind::Phase | ErrorKind::Failed)
            && self.refused.is_none()
        {
            let message =
                format!("{error}, and the hook went on as if `{what}` had been done: return what the host returns");
            self.refused = Some(Error::new(error.kind(), message));
        }
        result
    }
}

impl Space for WatchedSpace<'_> {
    fn params(&self) -> &[Param] {
        self.space.params()
    }

    fn dot(&mut self, a: Vector, b: Vector) -> Result<f64> {
        let result = self.space.dot(a, b);
        self.note("dot", result)
    }

    fn distance(&mut self, a: Vector, b: Vector) -> Result<f64> {
        let result = self.space.distance(a, b);
        self.note("distance", result)
    }

    fn flips(&mut self, a: Vector, b: Vector) -> Result<f64> {
        let result = self.space.flips(a, b);
        self.note("flips", result)
    }

    fn copy(&mut self, dst: Vector, src: Vector) -> Result<()> {
        let result = self.space.copy(dst, src);
        self.note("copy", result)
    }

    fn scale(&mut self, dst: Vector, by: f32) -> Result<()> {
        let result = self.space.scale(dst, by);
        self.note("scale", result)
    }

    fn lerp(&mut self, dst: Vector, src: Vector, t: f32) -> Result<()> {
        let result = self.space.lerp(dst, src, t);
        self.note("lerp", result)
    }

    fn fma(&mut self, dst: Vector, a: f32, x: Vector, y: Option<Vector>) -> Result<()> {
        let result = self.space.fma(dst, a, x, y);
        self.note("fma", result)
    }

    fn read(&mut self, slot: Vector, file: &str) -> Result<()> {
        let result = self.space.read(slot, file);
        self.note("read", result)
    }

    fn visit(&mut self, v: Vector, f: &mut dyn FnMut(&Param, &mut [f32])) -> Result<()> {
        let result = self.space.visit(v, f);
        self.note("visit", result)
    }

    fn log(&mut self, key: &str, value: f64) {
        self.space.log(key, value);
    }
}
