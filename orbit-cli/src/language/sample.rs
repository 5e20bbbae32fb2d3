//! What a model did with every item of its suites, so that two models can be compared item by item.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use orbit_data::statistics::mcnemar;
use serde::{Deserialize, Serialize};

use super::SuiteResult;

/// An item of a suite: a line of `--log-samples`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) suite: String,
    /// The item's place in the suite, from 0.
    pub(crate) doc_id: usize,
    /// What the model read. Several, where every choice has a text of its own.
    pub(crate) prompts: Vec<String>,
    /// What it was to continue with.
    pub(crate) choices: Vec<String>,
    /// Of each choice, in nats.
    pub(crate) log_likelihoods: Vec<f64>,
    /// The right choice, from 0.
    pub(crate) target: usize,
    /// 1 or 0: whether the model is right by the log-likelihood, and by the log-likelihood a character.
    pub(crate) acc: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acc_norm: Option<f64>,
}

/// Writes the samples of all suites, a line each.
pub(crate) fn write(results: &[SuiteResult], path: &Path) -> Result<()> {
    let mut text = String::new();
    for sample in results.iter().flat_map(|result| &result.samples) {
        text += &(serde_json::to_string(sample)? + "\n");
    }
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// How two models differ on the items of a suite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Difference {
    pub(crate) suite: String,
    pub(crate) measure: &'static str,
    pub(crate) items: usize,
    /// The share of right answers of each.
    pub(crate) first: f64,
    pub(crate) second: f64,
    /// Items that one has right and the other wrong.
    pub(crate) only_first: u64,
    pub(crate) only_second: u64,
    /// Of McNemar's exact test, two-sided: how likely a difference as large is if neither model is better.
    pub(crate) p: f64,
}

/// Compares two logs suite by suite.
///
/// # Errors
/// When a log cannot be read, or the two are not of the same items.
pub(crate) fn compare(first: &Path, second: &Path) -> Result<Vec<Difference>> {
    let (a, b) = (by_suite(first)?, by_suite(second)?);
    if !a.keys().eq(b.keys()) {
        let names = |suites: &BTreeMap<String, Vec<Sample>>| suites.keys().cloned().collect::<Vec<_>>().join(", ");
        bail!("{} has the suites {}, and {} has {}", first.display(), names(&a), second.display(), names(&b));
    }
    let mut differences = Vec::new();
    for (suite, one) in &a {
        let other = &b[suite];
        let same = one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b));
        if !same {
            bail!("suite {suite}: the two logs are of different items, so that nothing can be paired");
        }
        let pairs = |of: &dyn Fn(&Sample) -> Option<f64>| -> Option<Vec<(bool, bool)>> {
            one.iter().zip(other).map(|(a, b)| Some((of(a)? > 0.5, of(b)? > 0.5))).collect()
        };
        let acc = pairs(&|sample| Some(sample.acc)).map(|pairs| Difference::of(suite, "acc", &pairs));
        let normalised = pairs(&|sample| sample.acc_norm).map(|pairs| Difference::of(suite, "acc_norm", &pairs));
        differences.extend(acc.into_iter().chain(normalised));
    }
    Ok(differences)
}

impl Difference {
    fn of(suite: &str, measure: &'static str, pairs: &[(bool, bool)]) -> Self {
        let count = |wanted: (bool, bool)| pairs.iter().filter(|pair| **pair == wanted).count() as u64;
        let (only_first, only_second, both) = (count((true, false)), count((false, true)), count((true, true)));
        let items = pairs.len();
        let share = |right: u64| right as f64 / items.max(1) as f64;
        Self {
            suite: suite.to_owned(),
            measure,
            items,
            first: share(both + only_first),
            second: share(both + only_second),
            only_first,
            only_second,
            p: mcnemar(only_first, only_second),
        }
    }
}

/// Whether two samples are of the same item, asked in the same way.
fn is_same(a: &Sample, b: &Sample) -> bool {
    (a.doc_id, &a.prompts, &a.choices, a.target) == (b.doc_id, &b.prompts, &b.choices, b.target)
}

fn by_suite(path: &Path) -> Result<BTreeMap<String, Vec<Sample>>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut suites: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let sample: Sample =
            serde_json::from_str(line).with_context(|| format!("{}:{number}: no sample", path.display()))?;
        suites.entry(sample.suite.clone()).or_default().push(sample);
    }
    if suites.is_empty() {
        bail!("{}: there is no sample in it: `orbit eval --log-samples` writes them", path.display());
    }
    Ok(suites)
}

/// The comparison as a table for a terminal.
pub(crate) fn table(differences: &[Difference]) -> String {
    let head = ["suite", "measure", "items", "first", "second", "only first", "only second", "p"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(differences.iter().map(|d| {
        [
            d.suite.clone(),
            d.measure.to_owned(),
            d.items.to_string(),
            format!("{:.3}", d.first),
            format!("{:.3}", d.second),
            d.only_first.to_string(),
            d.only_second.to_string(),
            format!("{:.3}", d.p),
        ]
    }));
    let widths: Vec<usize> =
        (0..head.len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(at, (cell, width))| match at {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let note = "p: McNemar's exact test, two-sided\n";
    rows.iter().map(line).collect::<String>() + note
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn sample(doc_id: usize, acc: f64, acc_norm: Option<f64>) -> Sample {
        Sample {
            suite: "arc".into(),
            doc_id,
            prompts: vec![format!("Question: {doc_id}\nAnswer:")],
            choices: vec![" a".into(), " b".into()],
            log_likelihoods: vec![-1.0, -2.0],
            target: 0,
            acc,
            acc_norm,
        }
    }

    fn log(samples: Vec<Sample>) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines: String = samples.iter().map(|sample| serde_json::to_string(sample).unwrap() + "\n").collect();
        std::fs::write(file.path(), lines).unwrap();
        file
    }

    #[test]
    fn models_are_compared_item_by_item() {
        let right = |count: usize| (0..10).map(|at| sample(at, f64::from(u8::from(at < count)), None)).collect();
        let (eight, two) = (log(right(8)), log(right(2)));
        let differences = compare(eight.path(), two.path()).unwrap();
        let [difference] = &differences[..] else { panic!("{differences:?}") };
        assert_eq!((difference.only_first, difference.only_second, difference.items), (6, 0, 10));
        assert_eq!((difference.first, difference.second), (0.8, 0.2));
        assert!((difference.p - 2.0 / 64.0).abs() < 1e-12);
        assert!(table(&differences).contains("arc    acc         10  0.800   0.200"), "{}", table(&differences));
    }

    #[test]
    fn logs_of_other_items_are_not_compared() {
        let (one, two) = (log(vec![sample(0, 1.0, None)]), log(vec![sample(1, 1.0, None)]));
        assert!(compare(one.path(), two.path()).unwrap_err().to_string().contains("different items"));
        assert!(compare(one.path(), log(vec![]).path()).unwrap_err().to_string().contains("there is no sample"));
        let both = log(vec![sample(0, 1.0, Some(0.0))]);
        let measures: Vec<&str> = compare(both.path(), both.path()).unwrap().iter().map(|d| d.measure).collect();
        assert_eq!(measures, ["acc", "acc_norm"]);
    }
}
