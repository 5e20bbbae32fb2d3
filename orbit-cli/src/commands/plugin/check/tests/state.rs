//! What a hook saves, given back whole and damaged: a checkpoint may have lain on a bad disk.

use anyhow::{Result, bail};
use orbit_core::hook::testing::ToyRun;
use orbit_core::hook::{self, Entry, Hook, State};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::child::Subject;
use super::super::drive::{attach, few, space, step};
use super::super::verdict::Verdict;

/// How many damaged states one test tries, at most.
const MOST: usize = 4096;

/// What was loaded is saved again as the same bytes.
pub(super) fn round_trip(subject: &Subject) -> Result<Verdict> {
    let mut run = ToyRun::start(vec![subject.made()], space(few())?, 8)?;
    run.steps(4)?;
    let before = run.saved()?;
    let after = run.resume(vec![subject.made()])?.saved()?;
    if before != after {
        bail!("what it saves after loading is not what it has loaded: load must take back all that save gives");
    }
    Ok(match bytes_of(&before[0]) {
        None => Verdict::skipped("it saves nothing of its own"),
        Some((_, bytes)) => Verdict::passed(format!("{} bytes", bytes.len())),
    })
}

pub(super) fn empty(subject: &Subject) -> Result<Verdict> {
    hostile(subject, |_| vec![("an empty state".into(), Vec::new())])
}

pub(super) fn cut_short(subject: &Subject) -> Result<Verdict> {
    hostile(subject, |whole| {
        let lengths = (0..whole.len()).step_by(whole.len().div_ceil(MOST).max(1));
        lengths
            .map(|length| (format!("a state cut to {length} of {} bytes", whole.len()), whole[..length].to_vec()))
            .collect()
    })
}

pub(super) fn random(subject: &Subject) -> Result<Verdict> {
    hostile(subject, |whole| {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        // As long as the whole one half of the time: a length that fits is believed more readily.
        let lengths = (0..256).map(|n| if n % 2 == 0 { whole.len() } else { n });
        lengths
            .map(|length| {
                let mut bytes = vec![0; length];
                rng.fill_bytes(&mut bytes);
                (format!("{length} random bytes as state"), bytes)
            })
            .collect()
    })
}

pub(super) fn flipped(subject: &Subject) -> Result<Verdict> {
    hostile(subject, |whole| {
        let bits = (0..8 * whole.len()).step_by((8 * whole.len()).div_ceil(MOST).max(1));
        let flip = |bit: usize| {
            let mut bytes = whole.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            (format!("a state with bit {} of byte {} flipped", bit % 8, bit / 8), bytes)
        };
        bits.map(flip).collect()
    })
}

/// Gives damaged states to fresh hooks, and takes a step with those that go on.
fn hostile(subject: &Subject, damage: impl FnOnce(&[u8]) -> Vec<(String, Vec<u8>)>) -> Result<Verdict> {
    let state = saved(subject)?;
    let Some((name, whole)) = bytes_of(&state) else {
        return Ok(Verdict::skipped("it saves nothing of its own"));
    };
    let (mut taken, mut refused) = (0, 0);
    for (what, bytes) in damage(whole) {
        let mut state = State::new();
        state.put(name, Entry::Bytes(bytes));
        match load(subject, &state, &what)? {
            Ok(()) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    Ok(Verdict::passed(format!("{refused} refused, {taken} taken")))
}

/// What a hook saves after a few steps.
fn saved(subject: &Subject) -> Result<State> {
    let (mut hook, mut space, mut state) = (subject.hook("")?, space(few())?, State::new());
    attach(&mut hook, &mut space)?;
    for number in 1..=4 {
        step(&mut hook, &mut space, number)?;
    }
    hook.save(&mut state)?;
    Ok(state)
}

/// The bytes that the plugin itself has made.
fn bytes_of(state: &State) -> Option<(&str, &[u8])> {
    state.iter().find_map(|(name, entry)| match entry {
        Entry::Bytes(bytes) => Some((name, bytes.as_slice())),
        _ => None,
    })
}

/// What a fresh hook says of a state. If it takes it, it must live with it: an error later is one of its own.
fn load(subject: &Subject, state: &State, what: &str) -> Result<hook::Result<()>> {
    let mut hook = subject.hook(&format!(", with {what}"))?;
    let mut space = space(few())?;
    attach(&mut hook, &mut space)?;
    let loaded = hook.load(state);
    if loaded.is_ok() {
        let _ = step(&mut hook, &mut space, 5);
        let _ = hook.save(&mut State::new());
    }
    Ok(loaded)
}
