//! The tests, one idea a file.

mod configs;
mod contract;
mod instances;
mod numbers;
mod phases;
mod schema;
mod sizes;
mod speed;
mod state;

use anyhow::Result;

use super::child::Subject;
use super::verdict::Verdict;

/// What a test asks of a plugin. An error says what is wrong with the plugin.
type Run = Box<dyn Fn(&Subject) -> Result<Verdict>>;

/// One test.
pub(super) struct Test {
    pub(super) name: String,
    pub(super) needs: Needs,
    /// What there is not when this one fails.
    pub(super) proves: Option<Needs>,
    pub(super) run: Run,
}

/// What must be there for a test to make sense, each with what comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Needs {
    File,
    Library,
    Hook,
}

impl Needs {
    /// Why a test is skipped without it.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::File => "there is no library that can be loaded",
            Self::Library => "the library does not load",
            Self::Hook => "there is no hook without a config that it takes",
        }
    }
}

/// All tests that run the plugin, in order.
pub(super) fn all() -> Vec<Test> {
    let mut tests = vec![
        Test { proves: Some(Needs::Library), ..test("load", Needs::File, load) },
        Test { proves: Some(Needs::Hook), ..test("config: good", Needs::Library, configs::good) },
        test("config: {}", Needs::Library, configs::nothing),
        test("config: empty text", Needs::Library, configs::empty),
        test("config: not an object", Needs::Library, configs::not_an_object),
        test("config: unknown key", Needs::Library, configs::unknown_key),
        test("config: huge", Needs::Library, configs::huge),
        test("schema", Needs::Library, schema::schema),
        test("writes in turn", Needs::Hook, phases::writes_in_turn),
        test("called out of turn", Needs::Hook, phases::called_out_of_turn),
    ];
    tests.extend(contract::tests());
    tests.extend([
        test("one entry", Needs::Hook, sizes::one_entry),
        test("4 million entries", Needs::Hook, sizes::large),
        test("finite numbers stay finite", Needs::Hook, numbers::stay_finite),
        test("NaN and infinity", Needs::Hook, numbers::poisoned),
        test("state: saved and loaded", Needs::Hook, state::round_trip),
        test("state: empty", Needs::Hook, state::empty),
        test("state: cut short", Needs::Hook, state::cut_short),
        test("state: random bytes", Needs::Hook, state::random),
        test("state: flipped bits", Needs::Hook, state::flipped),
        test("two side by side", Needs::Hook, instances::side_by_side),
        test("a thousand in turn", Needs::Hook, instances::thousand),
        test("time", Needs::Hook, speed::speed),
    ]);
    tests
}

fn test(name: &str, needs: Needs, run: impl Fn(&Subject) -> Result<Verdict> + 'static) -> Test {
    Test { name: name.to_owned(), needs, proves: None, run: Box::new(run) }
}

/// That this runs at all is the test: the library was loaded and its table accepted.
fn load(subject: &Subject) -> Result<Verdict> {
    Ok(Verdict::passed(format!("{} {}", subject.library.id(), subject.library.release())))
}
