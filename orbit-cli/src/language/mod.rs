//! Language ability: suites scored by log-likelihood, as lm-evaluation-harness does it, and what of it is left.

mod result;
pub(crate) mod sample;
mod scorer;

use anyhow::{Context, Result};
use orbit_data::TextTokenizer;
use orbit_data::statistics::bootstrap;
use orbit_data::text::{self, Group, Tasks};
use orbit_models::LanguageModel;

use crate::config::Text as TextConfig;
use crate::progress::Progress;
use crate::report;
pub(crate) use result::{Item, Metric, SuiteResult};
use scorer::Scorer;

/// Tokens a window of running text, where the model has room for them.
pub(crate) const WINDOW: usize = 1024;
const RESAMPLES: usize = 1000;
/// Of the bootstrap: the same for every run, so that intervals can be compared.
const SEED: u64 = 0;

/// A suite ready to be scored.
pub(crate) struct Suite {
    name: String,
    tasks: Tasks,
    /// In which it is reported.
    group: Option<Group>,
    /// Running text: tokens to score.
    limit: Option<usize>,
    /// Whether the usual figure is the one normalised by length.
    normalised: bool,
    /// Whether the figure is a probability.
    asked: bool,
}

/// How suites are scored.
#[derive(Clone, Copy)]
pub(crate) struct How {
    /// Tokens a forward pass, at most.
    pub(crate) batch_tokens: usize,
    /// Whether what every item came to is kept.
    pub(crate) samples: bool,
    /// Whether running text is also scored in the rolling windows of lm-evaluation-harness, which are as long as the model reads.
    pub(crate) rolling: bool,
    pub(crate) quiet: bool,
}

impl How {
    /// The figures alone.
    pub(crate) fn plain(batch_tokens: usize, quiet: bool) -> Self {
        Self { batch_tokens, samples: false, rolling: false, quiet }
    }
}

/// Reads the suites that a run names.
pub(crate) fn suites(config: &TextConfig) -> Result<Vec<Suite>> {
    let mut suites = Vec::new();
    if config.embedded {
        for (name, tasks) in text::embedded() {
            suites.push(Suite { name, tasks, group: None, limit: None, normalised: false, asked: false });
        }
    }
    for task in &config.tasks {
        // Its endings are of very different lengths.
        let normalised = task.kind == text::Suite::Hellaswag;
        let group = task.belongs_to();
        let (name, tasks, asked) = (task.name.clone(), task.read()?, task.ask.is_some());
        suites.push(Suite { name, tasks, group, limit: task.limit, normalised, asked });
    }
    Ok(suites)
}

/// Scores every suite. The model's new tokens take part, as they do when it is used.
///
/// # Errors
/// When a score is not finite, or a suite has nothing to score: the error names suite and item.
pub(crate) fn measure(
    model: &LanguageModel,
    tokenizer: &TextTokenizer,
    suites: &[Suite],
    how: How,
) -> Result<Vec<SuiteResult>> {
    let total: usize = suites.iter().map(|suite| suite.items()).sum();
    let mut progress = Progress::new("language", 0, total as u64, how.quiet);
    let mut done = 0;
    let mut tick = |items: usize| {
        done += items as u64;
        progress.set(done, &[]);
    };
    let mut scorer = Scorer { model, tokenizer, how, tick: &mut tick };
    let results = suites.iter().map(|suite| scorer.suite(suite).with_context(|| format!("suite {}", suite.name)));
    let results = results.collect::<Result<Vec<_>>>()?;
    progress.finish();
    Ok(results)
}

impl Suite {
    /// The items of each type, for a suite whose items have one.
    pub(crate) fn kinds(&self) -> Vec<(String, Vec<usize>)> {
        self.tasks.kinds().into_iter().map(|(kind, items)| (kind.to_owned(), items)).collect()
    }

    /// Roughly how much there is to do.
    fn items(&self) -> usize {
        match &self.tasks {
            Tasks::Passage(text) => self.limit.unwrap_or(text.len() / 4) / WINDOW + 1,
            tasks => tasks.len(),
        }
    }

    /// What its score is, unless it is running text.
    fn metric(&self) -> Metric {
        match (self.group, self.normalised) {
            (Some(Group::Bias), _) => Metric::Stereotype,
            _ if self.asked => Metric::Probability,
            (_, true) => Metric::AccNorm,
            (_, false) => Metric::Acc,
        }
    }
}

/// The results as a report shows them, beside those of the model before training.
pub(crate) fn summary(results: &[SuiteResult], before: Option<&[SuiteResult]>) -> report::Text {
    // Paired: a resample draws the same items of a suite before and after.
    let was = |suite: &SuiteResult| {
        before?.iter().find(|other| other.name == suite.name && other.items.len() == suite.items.len())
    };
    let kept = |suite: &SuiteResult| suite.metric.retention(suite.score(), was(suite)?.score(), suite.chance);
    let kept_of = |suite: &SuiteResult, drawn: &[usize]| {
        suite.metric.retention(suite.resampled(drawn), was(suite)?.resampled(drawn), suite.chance)
    };
    let suites = results.iter().map(|suite| {
        let score = report::SuiteScore {
            score: suite.score(),
            chance: suite.chance,
            retention: kept(suite),
            ci: suite.interval(),
            metric: suite.metric.name().into(),
            group: suite.group,
            items: suite.items.len() as u64,
        };
        (suite.name.clone(), score)
    });
    let accuracy = |suite: &&SuiteResult| matches!(suite.metric, Metric::Acc | Metric::AccNorm);
    let accuracies = results.iter().filter(accuracy).map(SuiteResult::score);
    let sizes: Vec<usize> = results.iter().map(|suite| suite.items.len()).collect();
    let interval = bootstrap(&sizes, RESAMPLES, SEED, |drawn| {
        mean(results.iter().zip(drawn).filter_map(|(suite, drawn)| kept_of(suite, drawn)))
    });
    report::Text {
        suites: suites.collect(),
        mean: mean(accuracies),
        retention: mean(results.iter().filter_map(kept)),
        ci: interval.map(|interval| [interval.low, interval.high]),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
