use crate::testing::run::{gradients, pass};
use crate::testing::{HostSpace, ToyRun};
use crate::{Error, ErrorKind, ForwardPlan, Hook, Param, ParamKind, Phases, Result, Step};

/// Makes a hook from its config; every call gives the same.
type Make<'a> = &'a dyn Fn() -> Box<dyn Hook>;

/// How many steps a stage of a checked run takes; half of them before the restart.
const STEPS: u64 = 8;

/// One of [`CHECKS`].
pub type Check = fn(&dyn Fn() -> Box<dyn Hook>) -> Result<()>;

/// What [`check`] goes through, in order and by name, for those who want to know of each how it went.
pub const CHECKS: [(&str, Check); 11] = [
    ("its name", is_named),
    ("its phases", keeps_to_its_phases),
    ("the same run twice", repeats),
    ("a restart half way", |make| resumes(make, 1)),
    ("a second stage", |make| same(&stages(make, mixed(), 2)?, &stages(make, mixed(), 2)?, CHANGES)),
    ("a restart in a second stage", |make| resumes(make, 2)),
    ("no parameters", |make| runs_or_refuses(make, Vec::new())),
    ("parameters without entries", |make| runs_or_refuses(make, without_entries())),
    ("new parameters only", |make| runs_or_refuses(make, vec![param("rows", &[4, 2], ParamKind::New)])),
    ("an origin of zeros", |make| runs_or_refuses(make, vec![param("zeros", &[3], ParamKind::Base)])),
    ("base and new parameters", |make| stages(make, mixed(), 1).map(drop)),
];

/// What every hook must be able to do, whatever it is for, on the [`ToyRun`].
///
/// - It has a name, and the same one each time.
/// - It acts only in the phases it names: a method of another phase leaves everything as it was.
/// - Twice the same run gives the same bits.
/// - A run that is stopped half way, saved, and taken up by a fresh hook gives the same bits as one that is not.
/// - The same holds of a run that goes through a second stage, and is stopped half way through that.
/// - No parameters, parameters without entries, nothing but new parameters, exact zeros: nothing of this is an error, unless the
///   hook is for certain parameters and `attach` refuses others with an error of kind [`ErrorKind::Config`]. It must not refuse
///   those of a small decoder with LoRA factors.
/// - It writes no vector where it is read-only: [`HostSpace`] answers that with an error, which fails whichever check ran.
///
/// `make` should choose options with which the hook does something in 8 steps near weights of size 1. The error says which
/// check failed.
pub fn check(make: &dyn Fn() -> Box<dyn Hook>) -> Result<()> {
    CHECKS.into_iter().try_for_each(|(title, check)| within(title, check(make)))
}

fn within<T>(title: &str, result: Result<T>) -> Result<T> {
    result.map_err(|error| Error::new(error.kind(), format!("{title}: {error}")))
}

fn ensure(holds: bool, message: impl Into<String>) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::failed(message)) }
}

fn is_named(make: Make<'_>) -> Result<()> {
    let (a, b) = (make(), make());
    ensure(!a.name().is_empty(), "the name is empty")?;
    ensure(a.name() == b.name(), format!("called \"{}\" once and \"{}\" the next time", a.name(), b.name()))
}

fn keeps_to_its_phases(make: Make<'_>) -> Result<()> {
    ensure(make().phases() == make().phases(), "two hooks of one config name different phases")?;
    let others = Phases::ALL.into_iter().filter(|(phase, _)| !make().phases().contains(*phase));
    for (phase, name) in others {
        ensure(!acts(make, phase)?, format!("it acts in {name} but phases() does not name it"))?;
    }
    Ok(())
}

/// Whether calling the method of `phase` changes anything.
fn acts(make: Make<'_>, phase: Phases) -> Result<bool> {
    let mut run = ToyRun::start(Vec::new(), space(mixed())?, STEPS)?;
    run.steps(1)?;
    let mut space = run.space;
    let mut hook = make();
    // Weights have left the origin here, unlike at a real attach, so that there is something to act on.
    space.begin(Phases::NONE);
    hook.attach(&mut space)?;
    space.set_gradients(gradients(space.weights()))?;
    space.begin(phase);

    let step = Step { number: 2, total: STEPS, learning_rate: 0.1 };
    let mut plan = ForwardPlan::default();
    let mut pass = pass(&space);
    let before = space.bits();
    match phase {
        Phases::FORWARD => hook.forward(&step, &mut plan)?,
        Phases::LOSS => hook.loss(&step, &mut pass)?,
        Phases::GRADIENTS => hook.gradients(&step, &mut space)?,
        Phases::WEIGHTS => hook.weights(&step, &mut space)?,
        _ => hook.finish(&mut space)?,
    }
    let quiet = pass.terms().is_empty() && pass.logged().is_empty() && plan == ForwardPlan::default();
    Ok(!quiet || space.bits() != before)
}

fn repeats(make: Make<'_>) -> Result<()> {
    same(&stages(make, mixed(), 1)?, &stages(make, mixed(), 1)?, CHANGES)
}

/// A run that is taken up by a fresh hook half way through its last stage.
fn resumes(make: Make<'_>, stages_in_all: u64) -> Result<()> {
    let mut run = ToyRun::start(vec![make()], space(mixed())?, STEPS)?;
    for _ in 1..stages_in_all {
        run.steps(STEPS)?;
        run.finish()?;
        run.next_stage()?;
    }
    run.steps(STEPS / 2)?;
    let mut run = run.resume(vec![make()])?;
    run.steps(STEPS - STEPS / 2)?;
    run.finish()?;
    same(&run, &stages(make, mixed(), stages_in_all)?, FORGETS)
}

fn runs_or_refuses(make: Make<'_>, params: Vec<Param>) -> Result<()> {
    match ToyRun::start(vec![make()], space(params.clone())?, STEPS) {
        Err(error) if error.kind() == ErrorKind::Config => Ok(()),
        _ => stages(make, params, 1).map(drop),
    }
}

/// Why two runs may differ, and what to do about it.
const CHANGES: &str =
    "nothing may depend on time, on addresses, on threads, on an earlier run or on chance without a seed";
const FORGETS: &str =
    "what the hook remembers from one step to the next must go through save and load, or be in a slot";

/// A whole run of so many stages, one or more.
fn stages(make: Make<'_>, params: Vec<Param>, count: u64) -> Result<ToyRun> {
    let mut run = ToyRun::start(vec![make()], space(params)?, STEPS)?;
    for stage in 1..=count {
        run.steps(STEPS)?;
        run.finish()?;
        if stage < count {
            run.next_stage()?;
        }
    }
    Ok(run)
}

fn same(a: &ToyRun, b: &ToyRun, advice: &str) -> Result<()> {
    ensure(a.terms == b.terms, format!("the loss terms differ: {advice}"))?;
    ensure(a.space.bits() == b.space.bits(), format!("weights, slots or logged numbers differ: {advice}"))?;
    ensure(a.saved()? == b.saved()?, format!("the saved states differ: {advice}"))
}

fn without_entries() -> Vec<Param> {
    vec![param("a", &[0], ParamKind::Base), param("b", &[2, 0], ParamKind::New)]
}

/// Those of a small decoder with LoRA factors, for hooks that go by names.
fn mixed() -> Vec<Param> {
    let layer = |name: &str| format!("model.layers.0.{name}");
    vec![
        param("model.embed_tokens.weight", &[4, 3], ParamKind::Base),
        param("zeros", &[2], ParamKind::Base),
        param("model.norm.weight", &[3], ParamKind::Base),
        param("rows", &[2, 3], ParamKind::New),
        param(&layer("self_attn.q_proj.weight"), &[2, 3], ParamKind::Base),
        param(&layer("self_attn.o_proj.weight"), &[3, 2], ParamKind::Base),
        param(&layer("mlp.up_proj.weight"), &[4, 3], ParamKind::Base),
        param(&layer("mlp.down_proj.weight"), &[3, 4], ParamKind::Base),
        param(&layer("mlp.down_proj.weight.lora.b"), &[3, 1], ParamKind::New),
        param(&layer("mlp.down_proj.weight.lora.a"), &[1, 4], ParamKind::New),
    ]
}

fn param(name: &str, shape: &[usize], kind: ParamKind) -> Param {
    Param { name: name.to_owned(), shape: shape.to_vec(), kind }
}

/// Starts at numbers of both signs, none of them on the toy's targets; parameters called "zeros" start at zero.
fn space(params: Vec<Param>) -> Result<HostSpace> {
    let start = |entry: usize| ((5 * entry + 2) % 13) as f32 / 6.5 - 0.95;
    let fill = |param: &Param| match param.name.as_str() {
        "zeros" => vec![0.0; param.len()],
        _ => (0..param.len()).map(start).collect(),
    };
    let weights = params.iter().map(fill).collect();
    HostSpace::new(params, weights)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::{ErrorKind, Space, State, Vector::*};

    /// A hook that does what `fault` says and otherwise counts its steps into a slot.
    #[derive(Default)]
    struct Counting {
        fault: &'static str,
        count: u64,
        stages: u64,
    }

    impl Hook for Counting {
        fn name(&self) -> &str {
            if self.fault == "nameless" { "" } else { "counting" }
        }
        fn phases(&self) -> Phases {
            if self.fault == "undeclared" { Phases::NONE } else { Phases::WEIGHTS }
        }
        fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
            self.stages += 1;
            let refuses = match self.fault {
                "picky" => !space.params().iter().any(|param| param.name.contains("layers")),
                "refuses all" => true,
                _ => false,
            };
            if refuses { Err(Error::config("not for these parameters")) } else { Ok(()) }
        }
        fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
            self.count += 1;
            space.fma(Weights, self.count as f32, Weights, None)?;
            match self.fault {
                "forgets stages" => space.fma(Weights, self.stages as f32, Weights, None),
                "writes origin" => space.copy(Origin, Weights),
                "writes gradients" => space.scale(Gradients, 0.5),
                "needs an origin" => space.copy(Weights.at(3), Origin.at(3)),
                _ => Ok(()),
            }
        }
        fn save(&self, state: &mut State) -> Result<()> {
            state.put("count", crate::Entry::Count(self.count));
            Ok(())
        }
        fn load(&mut self, state: &State) -> Result<()> {
            if self.fault != "forgets" {
                self.count = state.count("count")?;
            }
            Ok(())
        }
    }

    fn fails(fault: &'static str) -> Error {
        check(&|| Box::new(Counting { fault, ..Counting::default() })).unwrap_err()
    }

    #[test]
    fn a_good_hook_passes() {
        check(&|| Box::new(Counting::default())).unwrap();
    }

    #[test]
    fn a_hook_may_refuse_parameters_that_it_is_not_for() {
        check(&|| Box::new(Counting { fault: "picky", ..Counting::default() })).unwrap();
        let error = fails("refuses all");
        assert_eq!(error.to_string(), "its phases: not for these parameters");
    }

    #[test]
    fn every_fault_is_found() {
        assert_eq!(fails("nameless").to_string(), "its name: the name is empty");
        assert_eq!(fails("undeclared").to_string(), "its phases: it acts in weights but phases() does not name it");
        let forgets = fails("forgets").to_string();
        assert!(forgets.starts_with("a restart half way: weights, slots or logged numbers differ"), "{forgets}");
        let forgets = fails("forgets stages").to_string();
        assert!(forgets.starts_with("a restart in a second stage: weights, slots or logged"), "{forgets}");
        assert_eq!(fails("writes origin").kind(), ErrorKind::Phase);
        assert_eq!(fails("writes gradients").kind(), ErrorKind::Phase);
        assert_eq!(
            fails("needs an origin").to_string(),
            "the same run twice: rows is new in this run and has no origin"
        );
    }

    #[test]
    fn two_runs_that_differ_are_found() {
        let made = std::cell::Cell::new(0);
        let make = || -> Box<dyn Hook> {
            made.set(made.get() + 1);
            Box::new(Counting { count: made.get(), ..Counting::default() })
        };
        assert!(check(&make).unwrap_err().to_string().starts_with("the same run twice"));
    }
}
