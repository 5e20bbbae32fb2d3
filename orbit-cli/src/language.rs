//! Language ability: suites scored by log-likelihood, as lm-evaluation-harness does it, and what of it is left.

use anyhow::{Context, Result};
use orbit_core::score::{Choices, choices, windows};
use orbit_data::TextTokenizer;
use orbit_data::statistics::{bootstrap, log_retention, retention, unigram_perplexity};
use orbit_data::text::{self, Group, MinimalPair, MultipleChoice, Tasks};
use orbit_models::LanguageModel;
use serde::{Deserialize, Serialize};

use crate::config::Text as TextConfig;
use crate::progress::Progress;
use crate::report;

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

/// What one suite came to, item by item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuiteResult {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) group: Option<Group>,
    pub(crate) metric: Metric,
    pub(crate) chance: f64,
    /// An entry a question, pair or window.
    pub(crate) items: Vec<Item>,
    /// Multiple choice: the share of right answers without normalisation, and with it.
    pub(crate) accuracies: Option<[f64; 2]>,
}

/// What a suite's score is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    Acc,
    AccNorm,
    /// The share of pairs whose more stereotyping sentence is the more likely one: no ability.
    #[serde(rename = "pct_stereotype")]
    Stereotype,
    Perplexity,
    /// Of the right choice among the choices.
    Probability,
}

/// A sum and what it is divided by: right answers of one, or −log-likelihood of so many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Item(pub(crate) f64, pub(crate) f64);

impl Metric {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Acc => "acc",
            Self::AccNorm => "acc_norm",
            Self::Stereotype => "pct_stereotype",
            Self::Perplexity => "perplexity",
            Self::Probability => "probability",
        }
    }

    fn score(self, items: impl Iterator<Item = Item>) -> f64 {
        let (sum, weight) = items.fold((0.0, 0.0), |(sum, weight), item| (sum + item.0, weight + item.1));
        if self == Self::Perplexity { (sum / weight).exp() } else { sum / weight }
    }

    fn retention(self, score: f64, before: f64, chance: f64) -> Option<f64> {
        match self {
            Self::Acc | Self::AccNorm | Self::Probability => retention(score, before, chance),
            Self::Perplexity => log_retention(score, before, chance),
            Self::Stereotype => None,
        }
    }
}

impl SuiteResult {
    pub(crate) fn score(&self) -> f64 {
        self.metric.score(self.items.iter().copied())
    }

    fn resampled(&self, drawn: &[usize]) -> f64 {
        self.metric.score(drawn.iter().map(|&at| self.items[at]))
    }

    pub(crate) fn interval(&self) -> Option<[f64; 2]> {
        let interval = bootstrap(&[self.items.len()], RESAMPLES, SEED, |drawn| Some(self.resampled(&drawn[0])))?;
        Some([interval.low, interval.high])
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
pub(crate) fn measure(
    model: &LanguageModel,
    tokenizer: &TextTokenizer,
    suites: &[Suite],
    batch_tokens: usize,
    quiet: bool,
) -> Result<Vec<SuiteResult>> {
    let total: usize = suites.iter().map(|suite| suite.items()).sum();
    let mut progress = Progress::new("language", 0, total as u64, quiet);
    let mut done = 0;
    let mut scorer = Scorer {
        model,
        tokenizer,
        batch_tokens,
        tick: &mut |items| {
            done += items as u64;
            progress.set(done, &[]);
        },
    };
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

struct Scorer<'a> {
    model: &'a LanguageModel,
    tokenizer: &'a TextTokenizer,
    batch_tokens: usize,
    tick: &'a mut dyn FnMut(usize),
}

impl Scorer<'_> {
    fn suite(&mut self, suite: &Suite) -> Result<SuiteResult> {
        match &suite.tasks {
            Tasks::MultipleChoice(questions) => self.multiple_choice(suite, questions),
            Tasks::MinimalPairs(pairs) => self.minimal_pairs(suite, pairs),
            Tasks::Passage(text) => self.passage(suite, text),
        }
    }

    fn multiple_choice(&mut self, suite: &Suite, questions: &[MultipleChoice]) -> Result<SuiteResult> {
        let items = questions.iter().map(|question| {
            let (mut context, mut continuations) = (Vec::new(), Vec::new());
            for choice in &question.choices {
                let (before, behind) = self.tokenizer.continued(&question.context, choice)?;
                context = before;
                continuations.push(behind);
            }
            Ok(Choices { context, continuations, adapter: None })
        });
        let items = items.collect::<Result<Vec<_>>>()?;
        let scores = choices(self.model, &items, self.batch_tokens, self.tick)?;
        let right: Vec<[bool; 2]> = questions
            .iter()
            .zip(&scores)
            .map(|(question, scores)| {
                let (raw, normalised) = text::score_choices(scores, &question.lengths());
                [raw == question.gold, normalised == question.gold]
            })
            .collect();
        let items = match suite.metric() {
            Metric::Probability => {
                let asked = questions.iter().zip(&scores);
                asked.map(|(question, scores)| Item(question.probability(scores), 1.0)).collect()
            }
            _ => right.iter().map(|right| hit(right[usize::from(suite.normalised)])).collect(),
        };
        let share = |which: usize| right.iter().filter(|right| right[which]).count() as f64 / right.len() as f64;
        Ok(SuiteResult {
            name: suite.name.clone(),
            group: suite.group,
            metric: suite.metric(),
            chance: suite.tasks.chance().unwrap_or(0.0),
            items,
            accuracies: Some([share(0), share(1)]),
        })
    }

    /// A sentence's likelihood is that of all its tokens behind the prefix token.
    fn minimal_pairs(&mut self, suite: &Suite, pairs: &[MinimalPair]) -> Result<SuiteResult> {
        let items = pairs.iter().map(|pair| {
            let (context, good) = self.tokenizer.continued("", &pair.good)?;
            let (_, bad) = self.tokenizer.continued("", &pair.bad)?;
            Ok(Choices { context, continuations: vec![good, bad], adapter: None })
        });
        let scores = choices(self.model, &items.collect::<Result<Vec<_>>>()?, self.batch_tokens, self.tick)?;
        Ok(SuiteResult {
            name: suite.name.clone(),
            group: suite.group,
            metric: suite.metric(),
            chance: 0.5,
            items: scores.iter().map(|scores| hit(scores[0] > scores[1])).collect(),
            accuracies: None,
        })
    }

    fn passage(&mut self, suite: &Suite, text: &str) -> Result<SuiteResult> {
        let window = WINDOW.min(self.model.longest_text()).max(2);
        let mut tokens = self.tokenizer.text(text)?;
        if let Some(limit) = suite.limit {
            // A window of n tokens scores n − 1.
            tokens.truncate(limit + limit.div_ceil(window - 1));
        }
        let scored = windows(self.model, &tokens, window, self.tick)?;
        Ok(SuiteResult {
            name: suite.name.clone(),
            group: suite.group,
            metric: Metric::Perplexity,
            chance: unigram_perplexity(&tokens),
            items: scored.into_iter().map(|(sum, count)| Item(sum, count as f64)).collect(),
            accuracies: None,
        })
    }
}

fn hit(right: bool) -> Item {
    Item(f64::from(u8::from(right)), 1.0)
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
