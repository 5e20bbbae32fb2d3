//! What there is to know of a corpus before training on it.

mod show;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{INTERACTIONS, ITEMS, PREPARED, Prepared, SHORT, Times};
use crate::corpus::{ReadReport, TimedCorpus, hex};
use crate::{Corpus, Error, OnBadRow, Result, Split};

/// The temporal split that is looked at: nine tenths of the interactions come before its test targets.
const CUTS: [f64; 2] = [0.8, 0.9];

/// What was found in a corpus. Its [`Display`](std::fmt::Display) is the text to show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Rows read, and rows that cannot be used.
    pub read: ReadReport,
    /// Files that are no longer what `prepared.json` says was written.
    pub changed: Vec<String>,
    /// What times are; none if there are no times.
    pub times: Option<Times>,
    /// How many users there are.
    pub users: usize,
    /// How many items.
    pub items: usize,
    /// How many interactions.
    pub interactions: usize,
    /// Interactions of a user; none without users.
    pub per_user: Option<Spread>,
    /// Interactions of an item, of those that were met.
    pub per_item: Option<Spread>,
    /// Users with fewer than three interactions, of whom nothing can be held out.
    pub short_users: usize,
    /// Items that nobody met.
    pub never_met: usize,
    /// Interactions equal to an earlier one in user, item and time; none if times are not recorded.
    pub duplicates: Option<usize>,
    /// Interactions with an item that the user met before, duplicates among them.
    pub repeats: usize,
    /// What training sees of the test.
    pub leakage: Leakage,
    /// Interactions at the same time; none if times are not recorded.
    pub ties: Option<Ties>,
    /// What items say of themselves.
    pub text: TextCoverage,
}

/// The least, the middle and the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// The least.
    pub min: usize,
    /// The middle one; of two the lower.
    pub median: usize,
    /// The most.
    pub max: usize,
}

/// What training sees of the test, in the leave-one-out split and in a temporal one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leakage {
    /// Users with a test target when the last item of each is left out.
    pub held_out: usize,
    /// Of these, how many met that item before: to repeat the history is to know the answer.
    pub met_before: usize,
    /// Of these, how many have their test target earlier than the last interaction that trains, of any user: the model
    /// has seen the future. None if times are not recorded.
    pub foreseen: Option<usize>,
    /// The temporal split at 80% and 90% of the interactions; none if times are not recorded.
    pub temporal: Option<TemporalLeakage>,
}

/// A temporal split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TemporalLeakage {
    /// Validation targets are from here on.
    pub validation_from: f64,
    /// Test targets are from here on.
    pub test_from: f64,
    /// Interactions that train.
    pub train: usize,
    /// Of these, how many are not before the first test target: none, if the split is right.
    pub later: usize,
    /// Users with a validation target.
    pub validation: usize,
    /// Users with a test target.
    pub test: usize,
}

/// Interactions of one user at the same time, whose order says nothing or, worse, is that of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ties {
    /// The share of users with three or more interactions whose validation and test targets tie.
    pub targets: f64,
    /// The share of interactions that tie with another.
    pub interactions: f64,
    /// Whether preparing shuffled them; none if that is not known.
    pub shuffled: Option<bool>,
}

/// How many items have texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextCoverage {
    /// Items with a title.
    pub titles: usize,
    /// Items with each of the other fields.
    pub fields: BTreeMap<String, usize>,
    /// Items without any text.
    pub bare: usize,
}

/// Checks a folder that was prepared, or any with `interactions.jsonl` and `items.jsonl`. Rows that cannot be used are
/// counted.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use orbit_data::prepare;
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("items.jsonl"), "{\"id\": 7, \"title\": \"Tea\"}\n{\"id\": 8}\n")?;
/// std::fs::write(folder.path().join("interactions.jsonl"), r#"{"user": 1, "item": 7, "time": 9}"#)?;
/// let report = prepare::check(folder.path())?;
/// assert_eq!((report.never_met, report.short_users, report.text.titles), (1, 1, 1));
/// assert!(report.to_string().contains("items with a title: 1 of 2"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A file that is not there or cannot be read, a `prepared.json` of another version.
pub fn check(dir: &Path) -> Result<CheckReport> {
    let prepared = prepared(dir)?;
    let read = Corpus::read_timed(&dir.join(INTERACTIONS), &dir.join(ITEMS), OnBadRow::Skip)?;
    let TimedCorpus { corpus, times, report } = read;
    let recorded = prepared.as_ref().is_none_or(|prepared| prepared.times != Times::Positions);
    let mut checked = check_corpus(&corpus, times.as_deref().filter(|_| recorded));
    checked.read = report;
    if let Some(prepared) = prepared {
        checked.times = Some(prepared.times);
        checked.changed = changed(dir, &prepared)?;
        checked.ties.iter_mut().for_each(|ties| ties.shuffled = Some(prepared.counts.shuffled));
    }
    Ok(checked)
}

fn prepared(dir: &Path) -> Result<Option<Prepared>> {
    let path = dir.join(PREPARED);
    let text = match fs::read_to_string(&path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|source| Error::io(&path, source))?,
    };
    let prepared: Prepared = serde_json::from_str(&text).map_err(|error| Error::file(&path, error.to_string()))?;
    if prepared.format > super::FORMAT {
        let reason = format!("format {}, and this build reads up to {}", prepared.format, super::FORMAT);
        return Err(Error::file(path, reason));
    }
    Ok(Some(prepared))
}

fn changed(dir: &Path, prepared: &Prepared) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    for (name, digest) in &prepared.digests {
        let path = dir.join(name);
        if digest_of(&path).map_err(|source| Error::io(&path, source))? != *digest {
            changed.push(name.clone());
        }
    }
    Ok(changed)
}

fn digest_of(path: &Path) -> io::Result<String> {
    let (mut reader, mut hash) = (BufReader::new(File::open(path)?), Sha256::new());
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(bytes);
        let length = bytes.len();
        reader.consume(length);
    }
}

/// Checks a corpus; `times` has those of every user's history, in rising order, and is none where they are not known.
///
/// ```
/// use orbit_data::{Corpus, Item, User};
/// let items = (0..3).map(|i| Item { id: i.to_string(), ..Item::default() }).collect();
/// let corpus = Corpus { items, users: vec![User { id: "u".into(), history: vec![2, 0, 2] }] };
/// let report = orbit_data::prepare::check_corpus(&corpus, Some(&[vec![1.0, 5.0, 5.0]]));
/// assert_eq!((report.leakage.met_before, report.repeats, report.never_met), (1, 1, 1));
/// assert_eq!(report.ties.unwrap().targets, 1.0);
/// ```
pub fn check_corpus(corpus: &Corpus, times: Option<&[Vec<f64>]>) -> CheckReport {
    let mut of_item = vec![0; corpus.items.len()];
    for &item in corpus.users.iter().flat_map(|user| &user.history) {
        // An item that is not there is for the readers to refuse.
        of_item.get_mut(item as usize).into_iter().for_each(|count| *count += 1);
    }
    let of_user: Vec<_> = corpus.users.iter().map(|user| user.history.len()).collect();
    CheckReport {
        read: ReadReport::default(),
        changed: Vec::new(),
        times: times.map(kind_of),
        users: corpus.users.len(),
        items: corpus.items.len(),
        interactions: corpus.interactions(),
        short_users: of_user.iter().filter(|&&count| count < SHORT as usize).count(),
        per_user: spread(of_user),
        never_met: of_item.iter().filter(|&&count| count == 0).count(),
        per_item: spread(of_item.into_iter().filter(|&count| count > 0).collect()),
        duplicates: times.map(|times| duplicates(corpus, times)),
        repeats: corpus.users.iter().map(|user| user.history.len() - distinct(user.history.iter())).sum(),
        leakage: leakage(corpus, times),
        ties: times.map(ties),
        text: text(corpus),
    }
}

fn kind_of(times: &[Vec<f64>]) -> Times {
    let days = times.iter().flatten().all(|time| time % 86_400.0 == 0.0);
    if days { Times::Days } else { Times::Recorded }
}

fn spread(mut counts: Vec<usize>) -> Option<Spread> {
    counts.sort_unstable();
    Some(Spread { min: *counts.first()?, median: counts[(counts.len() - 1) / 2], max: *counts.last()? })
}

fn distinct<T: std::hash::Hash + Eq>(values: impl Iterator<Item = T>) -> usize {
    values.collect::<HashSet<_>>().len()
}

fn duplicates(corpus: &Corpus, times: &[Vec<f64>]) -> usize {
    let of_user = |(user, times): (&crate::User, &Vec<f64>)| {
        user.history.len() - distinct(user.history.iter().zip(times.iter().map(|time| time.to_bits())))
    };
    corpus.users.iter().zip(times).map(of_user).sum()
}

fn ties(times: &[Vec<f64>]) -> Ties {
    let share = |some: usize, all: usize| if all == 0 { 0.0 } else { some as f64 / all as f64 };
    let long: Vec<_> = times.iter().filter(|times| times.len() >= SHORT as usize).collect();
    let targets = long.iter().filter(|times| times[times.len() - 2] == times[times.len() - 1]).count();
    let runs = times.iter().flat_map(|times| times.chunk_by(|a, b| a == b)).map(<[f64]>::len);
    let tied = runs.filter(|&length| length > 1).sum();
    let all = times.iter().map(Vec::len).sum();
    Ties { targets: share(targets, long.len()), interactions: share(tied, all), shuffled: None }
}

fn text(corpus: &Corpus) -> TextCoverage {
    let mut fields = BTreeMap::new();
    for (name, _) in corpus.items.iter().flat_map(|item| &item.fields).filter(|(_, text)| !text.is_empty()) {
        *fields.entry(name.clone()).or_default() += 1;
    }
    let titles = corpus.items.iter().filter(|item| !item.title.is_empty()).count();
    let bare = corpus.items.iter().filter(|item| item.title.is_empty() && item.fields.values().all(String::is_empty));
    TextCoverage { titles, fields, bare: bare.count() }
}

fn leakage(corpus: &Corpus, times: Option<&[Vec<f64>]>) -> Leakage {
    let split = Split::leave_one_out(corpus);
    let targets = || split.users().iter().filter_map(|user| user.test());
    Leakage {
        held_out: targets().count(),
        met_before: targets().filter(|(history, target)| history.contains(target)).count(),
        foreseen: times.map(|times| foreseen(&split, times)),
        temporal: times.and_then(|times| temporal(corpus, times)),
    }
}

fn foreseen(split: &Split<'_>, times: &[Vec<f64>]) -> usize {
    let users = || split.users().iter().zip(times);
    let last = users().filter_map(|(user, times)| times.get(user.train().len().checked_sub(1)?)).copied();
    let last = last.fold(f64::NEG_INFINITY, f64::max);
    let test = users().filter_map(|(user, times)| times.get(user.test()?.0.len()));
    test.filter(|&&time| time < last).count()
}

fn temporal(corpus: &Corpus, times: &[Vec<f64>]) -> Option<TemporalLeakage> {
    let [validation_from, test_from] = crate::split::quantiles(times, CUTS)?;
    let split = Split::temporal(corpus, times, CUTS).ok()?;
    let trained = split.users().iter().zip(times).map(|(user, times)| &times[..user.train().len()]);
    let later = trained.flatten().filter(|&&time| time >= test_from).count();
    Some(TemporalLeakage {
        validation_from,
        test_from,
        train: split.users().iter().map(|user| user.train().len()).sum(),
        later,
        validation: split.users().iter().filter(|user| user.validation().is_some()).count(),
        test: split.users().iter().filter(|user| user.test().is_some()).count(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::{Item, User};

    fn corpus(items: u32, histories: &[&[u32]]) -> Corpus {
        let items = (0..items).map(|i| Item { id: i.to_string(), ..Item::default() }).collect();
        let users = histories.iter().map(|history| User { id: String::new(), history: history.to_vec() });
        Corpus { items, users: users.collect() }
    }

    /// By hand. User 0 ends with item 0 again, at 30; user 1's last training row is at 40, so that 30 is foreseen.
    #[test]
    fn what_leaks_is_counted() {
        let corpus = corpus(6, &[&[0, 1, 0], &[2, 2, 3, 4], &[1]]);
        let times = [vec![10.0, 20.0, 30.0], vec![40.0, 40.0, 50.0, 50.0], vec![5.0]];
        let report = check_corpus(&corpus, Some(&times));
        assert_eq!((report.leakage.held_out, report.leakage.met_before), (2, 1));
        assert_eq!(report.leakage.foreseen, Some(1));
        assert_eq!((report.duplicates, report.repeats), (Some(1), 2));
        assert_eq!((report.never_met, report.short_users), (1, 1));
        assert_eq!(report.per_user, Some(Spread { min: 1, median: 3, max: 4 }));
        assert_eq!(report.ties, Some(Ties { targets: 0.5, interactions: 0.5, shuffled: None }));
        let temporal = report.leakage.temporal.unwrap();
        assert_eq!((temporal.later, temporal.train), (0, 6));
    }

    #[test]
    fn without_times_nothing_is_said_of_them() {
        let report = check_corpus(&corpus(2, &[&[0, 1, 0]]), None);
        assert_eq!((report.duplicates, &report.ties, report.leakage.foreseen), (None, &None, None));
        assert!(report.to_string().contains("times are not recorded"));
        assert_eq!(check_corpus(&corpus(0, &[]), Some(&[])).per_user, None);
    }
}
