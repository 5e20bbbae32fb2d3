//! Hooks that go through the C tables behave as if they did not.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use orbit_hook::abi::table::Plugin;
use orbit_hook::abi::{Export, ForeignHook, Refused, plugin, table};
use orbit_hook::testing::{HostPass, HostSpace, ToyRun, check};
use orbit_hook::{
    Edit, Entry, ErrorKind, FISHER, ForwardPlan, Hook, Param, ParamKind, Pass, Phases, Positions, Result, SENSITIVITY,
    Site, Space, State, Step, Value, Vector::*,
};
use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

/// Uses every operation of both vocabularies, in every phase, and remembers things in every way.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Everything {
    pull: f32,
    #[serde(skip)]
    steps: u64,
    #[serde(skip)]
    sum: f64,
}

impl Hook for Everything {
    fn name(&self) -> &str {
        "everything"
    }
    fn phases(&self) -> Phases {
        let phases = Phases::FORWARD | Phases::LOSS | Phases::GRADIENTS | Phases::WEIGHTS | Phases::FINISH;
        phases | Phases::FISHER | Phases::SENSITIVITY
    }
    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        space.copy(Slot(3), Weights)
    }
    fn forward(&mut self, _: &Step, plan: &mut ForwardPlan) -> Result<()> {
        plan.taps.push(Site::Head(1, 2));
        plan.edits.push(edit());
        Ok(())
    }
    fn loss(&mut self, step: &Step, pass: &mut dyn Pass) -> Result<()> {
        let reference = pass.reference(&ForwardPlan { taps: vec![Site::Logits], edits: vec![edit(); 2] })?;
        let here = pass.tapped(Site::Head(1, 2))?;
        let here = pass.select(here, Positions::PromptEnd)?;
        let rows = pass.rows(here)?;
        pass.log("rows", rows as f64);
        let (logits, original) = (pass.logits()?, pass.of(reference, Site::Logits)?);
        let all = (pass.select(logits, Positions::All)?, pass.select(original, Positions::All)?);
        let answer = (pass.select(logits, Positions::Answer)?, pass.select(original, Positions::Answer)?);
        let (kl, mse) = (pass.kl(all.0, all.1, 2.0)?, pass.mse(answer.0, answer.1)?);
        self.sum += pass.scalar(mse)?;
        pass.log("mse", self.sum);
        pass.add_loss("kl", step.learning_rate, kl)?;
        pass.add_loss("mse", 0.5, mse)
    }
    fn gradients(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        let size = space.dot(Gradients, Gradients)?;
        space.fma(Gradients, self.pull, Weights, None)?;
        space.fma(Gradients, self.pull, Weights, Some(Slot(3)))?;
        space.scale(Slot(255), 0.5)?;
        space.lerp(Slot(255), Gradients, 0.25)?;
        space.log("size", size);
        Ok(())
    }
    fn weights(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        self.steps += step.number;
        let (distance, flips) = (space.distance(Weights, Origin)?, space.flips(Weights, Origin)?);
        space.log("far", distance + flips);
        let parts: Vec<usize> = (0..space.params().len()).collect();
        for part in parts.into_iter().filter(|part| space.params()[*part].kind == ParamKind::Base).collect::<Vec<_>>() {
            space.lerp(Weights.at(part), Origin.at(part), self.pull)?;
        }
        let mut seen = 0;
        space.visit(Weights, &mut |param, entries| {
            seen += param.name.len() + param.shape.len();
            entries.iter_mut().for_each(|entry| *entry *= 1.25);
        })?;
        space.log("seen", seen as f64);
        Ok(())
    }
    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        space.read(Slot(4), FISHER)?;
        space.read(Slot(5), SENSITIVITY)?;
        space.lerp(Weights, Slot(3), 0.5)
    }
    fn save(&self, state: &mut State) -> Result<()> {
        state.put("steps", Entry::Count(self.steps));
        state.put("sum", Entry::Number(self.sum));
        Ok(())
    }
    fn load(&mut self, state: &State) -> Result<()> {
        self.steps = state.count("steps")?;
        self.sum = state.number("sum")?;
        Ok(())
    }
}

fn edit() -> Edit {
    let (file, name) = ("vector.safetensors".into(), "vector".into());
    Edit { site: Site::AttnOut(9), at: Positions::PromptEnd, file, name, scale: 0.25 }
}

static EVERYTHING: Plugin = plugin::<Everything>("everything", "1.2.3");

fn native() -> Box<dyn Hook> {
    Box::new(Everything { pull: 0.1, steps: 0, sum: 0.0 })
}

fn foreign() -> Box<dyn Hook> {
    Box::new(ForeignHook::create(&EVERYTHING, r#"{"pull": 0.1}"#).unwrap())
}

fn space() -> HostSpace {
    let param = |name: &str, shape: &[usize], kind| Param { name: name.into(), shape: shape.into(), kind };
    let params = vec![param("layers.0.weight", &[2, 2], ParamKind::Base), param("rows", &[2], ParamKind::New)];
    HostSpace::new(params, vec![vec![0.9, -0.4, 0.2, -0.8], vec![0.3, -0.6]]).unwrap()
}

fn run(hook: Box<dyn Hook>) -> ToyRun {
    let mut run = ToyRun::start(vec![hook], space(), 6).unwrap();
    run.steps(6).unwrap();
    run.finish().unwrap();
    run
}

#[test]
fn both_ways_keep_the_contract() {
    check(&native).unwrap();
    check(&foreign).unwrap();
}

#[test]
fn both_ways_give_the_same_bits() {
    let (native, foreign) = (run(native()), run(foreign()));
    assert_eq!(native.space.weights(), foreign.space.weights());
    assert_eq!(native.space.logged(), foreign.space.logged());
    assert_eq!(native.terms, foreign.terms);
    let State { .. } = &native.saved().unwrap()[0];
    let bytes = native.saved().unwrap()[0].to_bytes();
    assert_eq!(foreign.saved().unwrap()[0].get("plugin"), Some(&Entry::Bytes(bytes)));
}

#[test]
fn the_table_tells_who_it_is() {
    assert_eq!((EVERYTHING.id(), EVERYTHING.release()), ("everything", "1.2.3"));
    let schema = EVERYTHING.schema().unwrap();
    assert!(schema.contains("\"pull\"") && !schema.contains("\"steps\""), "{schema}");
}

#[test]
fn a_bad_configuration_is_an_error_that_names_the_key() {
    for (config, part) in [
        ("{}", "missing field `pull`"),
        (r#"{"pul": 1}"#, "unknown field `pul`, expected `pull`"),
        (r#"{"pull": "far"}"#, "invalid type: string \"far\", expected f32"),
        ("[0.1]", "the configuration is not a JSON object"),
        ("", "the configuration is not a JSON object"),
    ] {
        let error = ForeignHook::create(&EVERYTHING, config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(part), "{config}: {error}");
    }
}

/// Does one wrong thing.
#[derive(Clone, Deserialize, JsonSchema)]
struct Faulty {
    fault: String,
    #[serde(skip)]
    kept: Option<u64>,
}

impl Faulty {
    fn at(&self, place: &str) {
        assert!(self.fault != place, "told to panic in {place}");
    }
}

impl Hook for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }
    fn phases(&self) -> Phases {
        Phases::LOSS | Phases::GRADIENTS | Phases::WEIGHTS
    }
    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        self.at("attach");
        Ok(())
    }
    fn loss(&mut self, _: &Step, pass: &mut dyn Pass) -> Result<()> {
        let logits = pass.logits()?;
        let kept = *self.kept.get_or_insert(logits.0);
        pass.select(Value(kept), Positions::All).map(drop)
    }
    fn gradients(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        match self.fault.as_str() {
            "weights in gradients" => space.scale(Weights, 0.5),
            "nan" => space.lerp(Gradients, Weights, f32::NAN),
            "visit" => space.visit(Gradients, &mut |_, _| panic!("told to panic in visit")),
            "nan in visit" => space.visit(Gradients, &mut |_, entries| entries.fill(f32::NAN)),
            _ => Ok(()),
        }
    }
    fn weights(&mut self, _: &Step, _: &mut dyn Space) -> Result<()> {
        self.at("weights");
        Ok(())
    }
    fn save(&self, _: &mut State) -> Result<()> {
        self.at("save");
        Ok(())
    }
}

static FAULTY: Plugin = plugin::<Faulty>("faulty", "1.0.0");

fn faulty(fault: &str) -> ForeignHook {
    ForeignHook::create(&FAULTY, &format!(r#"{{"fault": "{fault}"}}"#)).unwrap()
}

const STEP: Step = Step { number: 1, total: 2, learning_rate: 0.1 };

#[test]
fn a_panic_is_an_error_and_the_last_call() {
    let mut hook = faulty("weights");
    let error = hook.weights(&STEP, &mut space()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert_eq!(error.to_string(), "the plugin panicked: told to panic in weights");
    let error = hook.gradients(&STEP, &mut space()).unwrap_err();
    assert_eq!(error.to_string(), "the plugin has panicked before and is not called again");

    let error = faulty("attach").attach(&mut space()).unwrap_err();
    assert_eq!(error.to_string(), "the plugin panicked: told to panic in attach");
    let error = faulty("save").save(&mut State::new()).unwrap_err();
    assert_eq!(error.to_string(), "the plugin panicked: told to panic in save");
    let mut space = space();
    space.begin(Phases::GRADIENTS);
    let error = faulty("visit").gradients(&STEP, &mut space).unwrap_err();
    assert_eq!(error.to_string(), "the plugin panicked: told to panic in visit");
}

#[test]
fn what_may_not_be_written_is_not() {
    let mut space = space();
    space.begin(Phases::GRADIENTS);
    let before = space.gradients().to_vec();
    for (fault, kind, message) in [
        ("weights in gradients", ErrorKind::Phase, "weights can be written only in the phases weights and finish"),
        ("nan", ErrorKind::Failed, "the share of lerp is NaN: nothing was written"),
        ("nan in visit", ErrorKind::Failed, "entry 0 of layers.0.weight was set to NaN: it was not written"),
    ] {
        let error = faulty(fault).gradients(&STEP, &mut space).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        assert_eq!(space.gradients(), before);
    }
}

#[test]
fn a_value_of_an_earlier_pass_is_refused() {
    let pass = || HostPass::new(vec![vec![1.0, 2.0]], vec![vec![0.0, 1.0]], vec![true]);
    let mut hook = faulty("");
    hook.loss(&STEP, &mut pass()).unwrap();
    let error = hook.loss(&STEP, &mut pass()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);
    assert!(error.to_string().contains("another forward pass"), "{error}");
}

#[test]
fn another_version_is_refused_with_both_numbers() {
    let newer = Plugin::check_head(4096, table::VERSION + 6).unwrap_err();
    assert_eq!(newer, Refused::Version { plugin: 7 });
    assert!(newer.to_string().starts_with("it was built for plugin interface 7, and this program reads 1 to 1"));
    assert_eq!(Plugin::check_head(4096, 0), Err(Refused::Version { plugin: 0 }));
    assert!(matches!(Plugin::check_head(16, table::VERSION), Err(Refused::Short { size: 16, .. })));
    assert_eq!(Plugin::check_head(EVERYTHING.size, EVERYTHING.version), Ok(()));
}

#[test]
#[allow(unsafe_code, reason = "a table made by hand")]
fn a_table_that_could_not_be_resumed_is_refused() {
    static ONE_WAY: Plugin = Plugin { load: None, ..plugin::<Everything>("one-way", "1.0.0") };
    // SAFETY: both are tables of this version that live for ever.
    let accepted = unsafe { [Plugin::accept(&ONE_WAY), Plugin::accept(&EVERYTHING)] };
    assert_eq!(accepted.map(|table| table.map(drop)), [Err(Refused::OneWay), Ok(())]);
}

/// What is missing from a table would be missing for plugins alone.
#[test]
fn every_operation_of_the_traits_is_in_the_tables() {
    let tables = include_str!("../src/abi/table.rs");
    for (source, name) in [(include_str!("../src/space.rs"), "Space"), (include_str!("../src/pass.rs"), "Pass")] {
        let methods = block(source, &format!("pub trait {name} {{"));
        let methods: BTreeSet<&str> = words(methods, "    fn ").collect();
        let fields: BTreeSet<&str> = words(block(tables, &format!("pub struct {name} {{")), "    pub ").collect();
        let missing: Vec<&&str> = methods.difference(&fields).collect();
        assert!(methods.len() > 8 && missing.is_empty(), "{name}: {missing:?}");
    }
}

fn block<'a>(source: &'a str, head: &str) -> &'a str {
    let (_, rest) = source.split_once(head).unwrap();
    rest.split_once("\n}").unwrap().0
}

fn words<'a>(block: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = block.lines().filter_map(move |line| line.strip_prefix(before));
    lines.map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
}

/// A configuration that is not itself a hook.
#[derive(Deserialize, JsonSchema)]
enum Choice {
    Pull(f32),
}

impl Export for Choice {
    fn hook(self) -> Box<dyn Hook> {
        let Self::Pull(pull) = self;
        Box::new(Everything { pull, steps: 0, sum: 0.0 })
    }
}

#[test]
fn a_configuration_may_choose_its_hook() {
    static TABLE: Plugin = plugin::<Choice>("choice", "1.0.0");
    let chosen = run(Box::new(ForeignHook::create(&TABLE, r#"{"Pull": 0.1}"#).unwrap()));
    assert_eq!(chosen.space.weights(), run(native()).space.weights());
}

fn entries() -> impl Strategy<Value = Entry> {
    prop_oneof![
        any::<u64>().prop_map(Entry::Count),
        any::<u64>().prop_map(|bits| Entry::Number(f64::from_bits(bits))),
        prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..9).prop_map(Entry::Floats),
        ".{0,9}".prop_map(Entry::Text),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Entry::Bytes),
    ]
}

proptest! {
    #[test]
    fn any_state_survives_as_bytes(entries in prop::collection::btree_map(".{0,9}", entries(), 0..6)) {
        let mut state = State::new();
        for (name, entry) in entries {
            state.put(&name, entry);
        }
        let bytes = state.to_bytes();
        // By bytes: a NaN does not equal itself.
        prop_assert_eq!(State::from_bytes(&bytes).unwrap().to_bytes(), bytes.clone());
        for end in 0..bytes.len() {
            prop_assert!(State::from_bytes(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn hostile_bytes_are_an_error_or_a_state(mut bytes in prop::collection::vec(any::<u8>(), 0..64), form in 0..2_u8) {
        if let Some(first) = bytes.first_mut() {
            *first = form;
        }
        if let Err(error) = State::from_bytes(&bytes) {
            prop_assert_eq!(error.kind(), ErrorKind::State);
        }
    }
}
