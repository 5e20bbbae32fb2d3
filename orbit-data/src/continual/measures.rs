//! What a study says of a suite or a group of them.

use serde::{Deserialize, Serialize};

use super::{BOOTSTRAP_SEED, Estimate, RESAMPLES, Scores, Study, SuiteRuns};
use crate::statistics::{Interval, resample};
use crate::text::Group;
use crate::{Error, Result};

/// What was kept and lost of a suite, or on the mean over a group of suites, as means over seeds. The formulas are those of
/// [`Scores`]; FG, the final drop and the most that can be forgotten are shares, not percent.
///
/// Intervals are 95% of a bootstrap over seeds and, within each suite, over items. Both are drawn anew in every resample,
/// and the items that are drawn are those of all drawn seeds and all stages, before training too: the runs answered the same
/// questions, so an easy draw is easy for all of them, and must not be averaged away as if each run had drawn its own. With
/// one seed the interval is over items alone and says nothing of other seeds. There is none where more than one resample in
/// forty has no value, as retention where the score before training is hardly above chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// The score before training.
    pub before: Estimate,
    /// The score after the last stage.
    pub last: Estimate,
    /// FG of Luo et al. (arXiv 2308.08747), [`Scores::forgotten`]: the mean over stages of the part of the first score that
    /// is gone. More is worse; of a measure of bias, more is less bias, as in the paper.
    pub forgotten: Estimate,
    /// The part of the first score that is gone after the last stage, [`Scores::final_drop`].
    pub final_drop: Estimate,
    /// The largest FG before all suites are at chance, [`Scores::most_forgettable`]. None for a measure of bias, which has no
    /// floor.
    pub most_forgettable: Option<Estimate>,
    /// The share of what was above chance that is left, [`Scores::retention`], over the suites in which every run was above
    /// chance before training. None where there is no such suite, and for a measure of bias.
    pub retention: Option<Estimate>,
    /// For a measure of bias alone: how far the score is from neutral, `|score - 0.5|`. Less is better.
    pub from_neutral: Option<FromNeutral>,
}

/// How far a measure of bias is from neutral.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FromNeutral {
    /// Before training.
    pub before: Estimate,
    /// After the last stage.
    pub last: Estimate,
}

/// A suite, and whether its retention counts.
struct Column<'a> {
    suite: &'a SuiteRuns,
    kept: bool,
}

impl<'a> Column<'a> {
    fn new(suite: &'a SuiteRuns) -> Self {
        Self { suite, kept: !suite.is_bias() && suite.above_chance() }
    }
}

/// To which suites a measure applies, and what it is of a column of scores.
type Measure = (fn(&Column<'_>) -> bool, fn(&Scores, &Column<'_>, usize) -> Result<Option<f64>>);

/// In the order of [`Measures`].
const MEASURES: [Measure; 8] = [
    (|_| true, |scores, _, at| scores.before(at).map(Some)),
    (|_| true, |scores, _, at| scores.after(scores.last_stage(), at).map(Some)),
    (|_| true, |scores, _, at| scores.forgotten(at).map(Some)),
    (|_| true, |scores, _, at| scores.final_drop(at).map(Some)),
    (|column| !column.suite.is_bias(), |scores, column, at| scores.most_forgettable(at, column.suite.chance).map(Some)),
    (|column| column.kept, |scores, column, at| scores.retention(at, column.suite.chance)),
    (|column| column.suite.is_bias(), |scores, column, at| Ok(Some((scores.before(at)? - column.suite.chance).abs()))),
    (
        |column| column.suite.is_bias(),
        |scores, column, at| Ok(Some((scores.after(scores.last_stage(), at)? - column.suite.chance).abs())),
    ),
];

impl Study {
    /// Measures a suite, by its index.
    ///
    /// # Errors
    /// When there is no such suite, or a run scored 0 on it before training, so that no part of that can be forgotten.
    pub fn of_suite(&self, index: usize) -> Result<Measures> {
        let suite = self.suites().get(index);
        let missing = || Error::Invalid(format!("there is no suite {index}, from 0, of {}", self.suites().len()));
        self.measure(&[suite.ok_or_else(missing)?])
    }

    /// Measures the suites of a group, each with the same weight, however many items it has.
    ///
    /// # Errors
    /// As [`of_suite`](Self::of_suite), and when no suite is in the group.
    pub fn of_group(&self, group: Group) -> Result<Measures> {
        let suites: Vec<&SuiteRuns> = self.suites().iter().filter(|suite| suite.group == Some(group)).collect();
        if suites.is_empty() {
            return Err(Error::Invalid(format!("no suite of the study is in the group {group}")));
        }
        self.measure(&suites)
    }

    fn measure(&self, suites: &[&SuiteRuns]) -> Result<Measures> {
        let columns: Vec<Column<'_>> = suites.iter().map(|&suite| Column::new(suite)).collect();
        let sizes: Vec<usize> = [self.seeds()].into_iter().chain(suites.iter().map(|suite| suite.items())).collect();
        let whole: Vec<Vec<usize>> = sizes.iter().map(|&size| (0..size).collect()).collect();
        let runs = self.runs(&columns, &whole)?;
        let mut values = [None; MEASURES.len()];
        for (value, measure) in values.iter_mut().zip(&MEASURES) {
            *value = mean(measure, &runs, &columns)?;
        }
        // A draw of items that were all wrong before training has no part that could be forgotten.
        let redrawn = resample(&sizes, RESAMPLES, BOOTSTRAP_SEED, |drawn| match self.runs(&columns, drawn) {
            Ok(runs) => MEASURES.map(|measure| mean(&measure, &runs, &columns).ok().flatten()),
            Err(_) => [None; MEASURES.len()],
        });
        assemble(values, &redrawn)
    }

    /// The scores of a draw: first the runs drawn, then the items of each suite.
    fn runs(&self, columns: &[Column<'_>], drawn: &[Vec<usize>]) -> Result<Vec<Scores>> {
        let (seeds, items) = drawn.split_first().ok_or_else(|| Error::Invalid("nothing is drawn".into()))?;
        let suites = columns.iter().map(|column| column.suite);
        seeds.iter().map(|&seed| self.scores_of(suites.clone(), seed, items)).collect()
    }
}

/// The mean of a measure over the columns to which it applies, and over runs. None where it applies to no column or has no
/// value for one.
fn mean(measure: &Measure, runs: &[Scores], columns: &[Column<'_>]) -> Result<Option<f64>> {
    let (applies, of) = measure;
    let (mut sum, mut count) = (0.0, 0.0);
    for scores in runs {
        for (at, column) in columns.iter().enumerate().filter(|(_, column)| applies(column)) {
            let Some(value) = of(scores, column, at)? else { return Ok(None) };
            sum += value;
            count += 1.0;
        }
    }
    Ok((count > 0.0).then(|| sum / count))
}

fn assemble(values: [Option<f64>; MEASURES.len()], redrawn: &[Vec<f64>; MEASURES.len()]) -> Result<Measures> {
    let estimate = |at: usize| {
        let enough = redrawn[at].len() * 40 >= RESAMPLES * 39;
        let interval = enough.then(|| Interval::percentile(&redrawn[at])).flatten();
        Some(Estimate { value: values[at]?, interval })
    };
    let [before, last, forgotten, final_drop, most_forgettable, retention, neutral_before, neutral_last] =
        std::array::from_fn(estimate);
    let (Some(before), Some(last), Some(forgotten), Some(final_drop)) = (before, last, forgotten, final_drop) else {
        return Err(Error::Invalid("there is no suite to measure".into()));
    };
    let from_neutral = neutral_before.zip(neutral_last).map(|(before, last)| FromNeutral { before, last });
    Ok(Measures { before, last, forgotten, final_drop, most_forgettable, retention, from_neutral })
}
