//! The hooks of a run, in order.

use globset::{Glob, GlobMatcher};
use orbit_hook::{ForwardPlan, Hook, Param, Pass, Phases, Step};

use crate::space::{BurnSpace, Slots, Vectors, phase_name};
use crate::{Error, Result};

/// A hook with the conditions under which the host calls it.
pub struct Entry {
    /// The hook.
    pub hook: Box<dyn Hook>,
    /// Which parameters it sees: a pattern with `*` and `?` on dotted names, matched from the start of the name or from after
    /// any dot. `layers.*` is `model.layers.0.mlp.up_proj.weight` and all its neighbours. None is all.
    pub only: Option<String>,
    /// It runs on steps whose number this divides.
    pub every: u64,
}

impl Entry {
    /// A hook that sees every parameter on every step.
    pub fn new(hook: Box<dyn Hook>) -> Self {
        Self { hook, only: None, every: 1 }
    }
}

/// A hook in place: its conditions resolved, its slots and its record.
pub(crate) struct Placed {
    pub(crate) hook: Box<dyn Hook>,
    pub(crate) name: String,
    pub(crate) position: usize,
    pub(crate) phases: Phases,
    every: u64,
    covered: Vec<usize>,
    params: Vec<Param>,
    pub(crate) slots: Slots,
    /// On how many steps it changed something; the end of the run counts as one.
    pub(crate) acted: u64,
    /// The last step that is counted in `acted`.
    pub(crate) counted: u64,
}

/// A number that a hook reported, under `hook.key`.
pub(crate) type Log = Vec<(String, f64)>;

/// The hooks of a run. The list is the order, in every phase.
#[derive(Default)]
pub(crate) struct Stack(pub(crate) Vec<Placed>);

impl Stack {
    /// Resolves every entry against the parameters and attaches it.
    pub(crate) fn attach(entries: Vec<Entry>, vectors: &mut Vectors) -> Result<Self> {
        let mut stack = Self::default();
        for (index, entry) in entries.into_iter().enumerate() {
            let mut placed = Placed::new(entry, index + 1, &vectors.trained.params)?;
            placed.in_space(Phases::NONE, vectors, &mut Log::new(), |hook, space| hook.attach(space))?;
            stack.0.push(placed);
        }
        Ok(stack)
    }

    /// Attaches every hook again, with its slots and its own state as they are: a new stage begins.
    pub(crate) fn attach_again(&mut self, vectors: &mut Vectors) -> Result<()> {
        for placed in &mut self.0 {
            placed.in_space(Phases::NONE, vectors, &mut Log::new(), |hook, space| hook.attach(space))?;
            (placed.acted, placed.counted) = (0, 0);
        }
        Ok(())
    }

    /// Whether any hook acts in a phase.
    pub(crate) fn has(&self, phase: Phases) -> bool {
        self.0.iter().any(|placed| placed.phases.contains(phase))
    }

    /// What the hooks ask of a forward pass; `check` is asked after each, so that an error names the one who caused it.
    pub(crate) fn forward(
        &mut self,
        step: &Step,
        mut check: impl FnMut(&ForwardPlan) -> orbit_hook::Result<()>,
    ) -> Result<ForwardPlan> {
        let mut plan = ForwardPlan::default();
        for placed in self.due(Phases::FORWARD, step) {
            let planned = placed.hook.forward(step, &mut plan).and_then(|()| check(&plan));
            planned.map_err(|e| placed.failed(Phases::FORWARD, e))?;
        }
        Ok(plan)
    }

    /// Lets every hook add its terms; `pass` is told whose turn it is.
    pub(crate) fn loss<P: Pass>(&mut self, step: &Step, pass: &mut P, turn: impl Fn(&mut P, &str)) -> Result<()> {
        for placed in self.due(Phases::LOSS, step) {
            turn(pass, &placed.name);
            placed.hook.loss(step, pass).map_err(|e| placed.failed(Phases::LOSS, e))?;
            placed.count(step.number);
        }
        Ok(())
    }

    /// Runs `gradients` or `weights`; gives the names of the hooks that changed something.
    pub(crate) fn in_space(
        &mut self,
        phase: Phases,
        step: &Step,
        vectors: &mut Vectors,
        log: &mut Log,
    ) -> Result<Vec<String>> {
        let mut acted = Vec::new();
        for placed in self.due(phase, step) {
            let wrote = placed.in_space(phase, vectors, log, |hook, space| match phase {
                Phases::GRADIENTS => hook.gradients(step, space),
                _ => hook.weights(step, space),
            })?;
            if wrote {
                placed.count(step.number);
                acted.push(placed.name.clone());
            }
        }
        Ok(acted)
    }

    pub(crate) fn finish(&mut self, vectors: &mut Vectors, log: &mut Log) -> Result<()> {
        for placed in self.0.iter_mut().filter(|placed| placed.phases.contains(Phases::FINISH)) {
            placed.acted += u64::from(placed.in_space(Phases::FINISH, vectors, log, |hook, space| hook.finish(space))?);
        }
        Ok(())
    }

    /// The hooks that act in `phase` on this step.
    fn due(&mut self, phase: Phases, step: &Step) -> impl Iterator<Item = &mut Placed> {
        let number = step.number;
        self.0.iter_mut().filter(move |placed| placed.phases.contains(phase) && number.is_multiple_of(placed.every))
    }
}

impl Placed {
    fn new(entry: Entry, position: usize, params: &[Param]) -> Result<Self> {
        let Entry { hook, only, every } = entry;
        let name = hook.name().to_owned();
        if every == 0 {
            return Err(Error::config(format!("hooks[{position}].every"), "must be at least 1"));
        }
        let covered = covered(only.as_deref(), params)
            .map_err(|reason| Error::config(format!("hooks[{position}].only"), reason))?;
        let phases = hook.phases();
        let params = covered.iter().map(|&place| params[place].clone()).collect();
        Ok(Self { hook, name, position, phases, every, covered, params, slots: Slots::new(), acted: 0, counted: 0 })
    }

    fn count(&mut self, step: u64) {
        self.acted += u64::from(self.counted != step);
        self.counted = step;
    }

    /// Calls the hook with its view of the vectors; whether it wrote weights or gradients.
    fn in_space(
        &mut self,
        phase: Phases,
        vectors: &mut Vectors,
        log: &mut Log,
        call: impl FnOnce(&mut dyn Hook, &mut BurnSpace<'_>) -> orbit_hook::Result<()>,
    ) -> Result<bool> {
        let mut logged = Log::new();
        let mut space = BurnSpace {
            vectors,
            slots: &mut self.slots,
            params: &self.params,
            covered: &self.covered,
            phase,
            named: self.phases,
            log: &mut logged,
            acted: false,
        };
        let result = call(&mut *self.hook, &mut space);
        let acted = space.acted;
        log.extend(logged.into_iter().map(|(key, value)| (format!("{}.{key}", self.name), value)));
        result.map_err(|e| self.failed(phase, e))?;
        Ok(acted)
    }

    fn failed(&self, phase: Phases, source: orbit_hook::Error) -> Error {
        self.failed_in(phase_name(phase), source)
    }

    pub(crate) fn failed_in(&self, phase: &'static str, source: orbit_hook::Error) -> Error {
        Error::Hook { hook: self.name.clone(), position: self.position, phase, source }
    }
}

/// The places of the parameters that a pattern selects; an error if it is malformed or selects none.
fn covered(only: Option<&str>, params: &[Param]) -> Result<Vec<usize>, String> {
    let Some(pattern) = only else { return Ok((0..params.len()).collect()) };
    let matcher = Glob::new(pattern).map_err(|e| e.to_string())?.compile_matcher();
    let places: Vec<usize> = (0..params.len()).filter(|&place| selects(&matcher, &params[place].name)).collect();
    if places.is_empty() {
        let example = params.first().map_or("none", |param| param.name.as_str());
        return Err(format!("\"{pattern}\" selects no parameter; a name looks like \"{example}\""));
    }
    Ok(places)
}

fn selects(matcher: &GlobMatcher, name: &str) -> bool {
    let tails = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
    std::iter::once(name).chain(tails).any(|tail| matcher.is_match(tail))
}
