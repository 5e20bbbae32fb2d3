//! Scores suites by log-likelihood.

use anyhow::{Context, Result, anyhow, bail};
use orbit_core::score::{Choices, Scored, choices, continuations, greedy_choices, windows};
use orbit_data::TextTokenizer;
use orbit_data::statistics::unigram_perplexity;
use orbit_data::text::{
    Cloze, MinimalPair, MultipleChoice, Tasks, TextLength, prefers_good, rolling_windows, score_choices,
};
use orbit_models::LanguageModel;

use super::sample::Sample;
use super::{How, Item, Metric, Suite, SuiteResult, WINDOW};

pub(super) struct Scorer<'a> {
    pub(super) model: &'a LanguageModel,
    pub(super) tokenizer: &'a TextTokenizer,
    pub(super) how: How,
    pub(super) tick: &'a mut dyn FnMut(usize),
}

/// What a suite asks, in tokens.
#[derive(Default)]
struct Asked {
    rows: Vec<Choices>,
    /// The item of the suite that each row is of; an item may have several.
    items: Vec<usize>,
    /// Items of which the model does not read the beginning.
    cut: usize,
}

impl Scorer<'_> {
    pub(super) fn suite(&mut self, suite: &Suite) -> Result<SuiteResult> {
        match &suite.tasks {
            Tasks::MultipleChoice(questions) => self.multiple_choice(suite, questions),
            Tasks::LastWord(passages) => self.last_words(suite, passages),
            Tasks::MinimalPairs(pairs) => self.minimal_pairs(suite, pairs),
            Tasks::Passage(text) => self.passage(suite, text),
        }
    }

    fn multiple_choice(&mut self, suite: &Suite, questions: &[MultipleChoice]) -> Result<SuiteResult> {
        let mut asked = Asked::default();
        for (item, question) in questions.iter().enumerate() {
            for request in question.requests() {
                self.ask(&mut asked, item, &request.context, &request.continuations)?;
            }
        }
        let scores = self.scores(suite, &asked, questions.len())?;
        let right: Vec<[bool; 2]> = questions
            .iter()
            .zip(&scores)
            .map(|(question, scores)| {
                let (raw, normalised) = score_choices(scores, &question.lengths());
                [raw == question.gold, normalised == question.gold]
            })
            .collect();
        let items = match suite.metric() {
            Metric::Probability => {
                let asked = questions.iter().zip(&scores);
                asked.map(|(question, scores)| Item(question.probability(scores), 1.0)).collect()
            }
            _ => right.iter().map(|right| Item::hit(right[usize::from(suite.normalised)])).collect(),
        };
        let share = |which: usize| right.iter().filter(|right| right[which]).count() as f64 / right.len() as f64;
        let samples =
            (0..).zip(questions).zip(scores.iter().zip(&right)).map(|((doc_id, question), (scores, right))| {
                let requests = question.requests();
                Sample {
                    suite: suite.name.clone(),
                    doc_id,
                    prompts: requests.iter().map(|request| request.context.to_string()).collect(),
                    choices: requests
                        .iter()
                        .flat_map(|request| &request.continuations)
                        .map(ToString::to_string)
                        .collect(),
                    log_likelihoods: scores.clone(),
                    target: question.gold,
                    acc: Item::hit(right[0]).0,
                    acc_norm: Some(Item::hit(right[1]).0),
                }
            });
        Ok(SuiteResult {
            accuracies: Some([share(0), share(1)]),
            samples: if self.how.samples { samples.collect() } else { Vec::new() },
            ..result(suite, items)
        })
    }

    /// Whether greedy decoding writes the last word of each passage.
    fn last_words(&mut self, suite: &Suite, passages: &[Cloze]) -> Result<SuiteResult> {
        let mut asked = Asked::default();
        for (item, Cloze { context, target }) in passages.iter().enumerate() {
            self.ask(&mut asked, item, context, &[target])?;
        }
        warn_of_cuts(suite, &asked);
        let scores = greedy_choices(self.model, &asked.rows, self.how.batch_tokens, self.tick);
        let scores: Vec<Scored> = scores.map_err(|error| named(error, &asked.items))?.into_iter().flatten().collect();
        let mean = scores.iter().map(|scored| scored.log_likelihood).sum::<f64>() / scores.len() as f64;
        let samples = passages.iter().zip(&scores).enumerate().map(|(doc_id, (passage, scored))| Sample {
            suite: suite.name.clone(),
            doc_id,
            prompts: vec![passage.context.clone()],
            choices: vec![passage.target.clone()],
            log_likelihoods: vec![scored.log_likelihood],
            target: 0,
            acc: Item::hit(scored.greedy).0,
            acc_norm: None,
        });
        Ok(SuiteResult {
            others: vec![("perplexity".to_owned(), finite((-mean).exp(), "perplexity of the last words")?)],
            samples: if self.how.samples { samples.collect() } else { Vec::new() },
            ..result(suite, scores.iter().map(|scored| Item::hit(scored.greedy)).collect())
        })
    }

    /// A sentence's likelihood is that of all its tokens behind the prefix token.
    fn minimal_pairs(&mut self, suite: &Suite, pairs: &[MinimalPair]) -> Result<SuiteResult> {
        let mut asked = Asked::default();
        for (item, pair) in pairs.iter().enumerate() {
            self.ask(&mut asked, item, "", &[&pair.good, &pair.bad])?;
        }
        let scores = self.scores(suite, &asked, pairs.len())?;
        let bias = suite.metric() == Metric::Stereotype;
        let hits: Vec<bool> = scores.iter().map(|scores| prefers_good(scores[0], scores[1], bias)).collect();
        let samples = pairs.iter().zip(&scores).enumerate().map(|(doc_id, (pair, scores))| Sample {
            suite: suite.name.clone(),
            doc_id,
            prompts: vec![String::new()],
            choices: vec![pair.good.clone(), pair.bad.clone()],
            log_likelihoods: scores.clone(),
            target: 0,
            acc: Item::hit(hits[doc_id]).0,
            acc_norm: None,
        });
        Ok(SuiteResult {
            samples: if self.how.samples { samples.collect() } else { Vec::new() },
            ..result(suite, hits.iter().copied().map(Item::hit).collect())
        })
    }

    fn passage(&mut self, suite: &Suite, text: &str) -> Result<SuiteResult> {
        let window = WINDOW.min(self.model.longest_text()).max(2);
        let mut tokens = self.tokenizer.text(text)?;
        if let Some(limit) = suite.limit {
            // A window of n tokens scores n − 1.
            tokens.truncate(limit + limit.div_ceil(window - 1));
        }
        if tokens.len() < 2 {
            bail!(
                "the text has {} tokens, of which the first is not scored: there is nothing to measure",
                tokens.len()
            );
        }
        let scored = windows(self.model, &tokens, window, self.tick)?;
        let items: Vec<Item> = scored.into_iter().map(|(sum, count)| Item(sum, count as f64)).collect();
        let others =
            if self.how.rolling { self.rolling(self.tokenizer.beginning(text, tokens.len())?)? } else { vec![] };
        let result = SuiteResult { others, ..result(suite, items) };
        let result = SuiteResult { metric: Metric::Perplexity, chance: unigram_perplexity(&tokens), ..result };
        finite(result.score(), "perplexity")?;
        Ok(result)
    }

    /// lm-evaluation-harness's measures of a text, which it scores in windows as long as the model reads.
    fn rolling(&mut self, text: &str) -> Result<Vec<(String, f64)>> {
        let tokens = self.tokenizer.first(text)?;
        let prefix = self.tokenizer.prefix().context("the tokenizer names no BOS and no EOS")?;
        let windows: Vec<_> = rolling_windows(&tokens, prefix, self.model.longest_text(), 1)?.collect();
        let rows: Vec<(&[u32], &[u32])> =
            windows.iter().map(|window| (&window.context[..], &window.continuation[..])).collect();
        let sum: f64 = continuations(self.model, &rows, &mut |_| {})?.iter().sum();
        let length = TextLength::of(text);
        let measures = [
            ("word_perplexity", length.word_perplexity(sum)),
            ("byte_perplexity", length.byte_perplexity(sum)),
            ("bits_per_byte", length.bits_per_byte(sum)),
        ];
        measures.into_iter().map(|(name, value)| Ok((name.to_owned(), finite(value, name)?))).collect()
    }

    /// Adds a context and what may follow it. Of a context that is too long the end is read, as lm-evaluation-harness does it.
    fn ask(&self, asked: &mut Asked, item: usize, context: &str, continuations: &[&str]) -> Result<()> {
        let pairs = continuations.iter().map(|continuation| self.tokenizer.continued(context, continuation));
        let pairs: Vec<(Vec<u32>, Vec<u32>)> =
            pairs.collect::<orbit_data::Result<_>>().with_context(|| format!("item {item}, from 0"))?;
        // The last token of a continuation is guessed and not read.
        let room = self.model.positions().map_or(usize::MAX, |positions| positions + 1);
        let Some((context, _)) = pairs.first() else { return Ok(()) };
        if pairs.iter().all(|(context, continuation)| context.len() + continuation.len() <= room) {
            let context = context.clone();
            let continuations = pairs.into_iter().map(|(_, continuation)| continuation).collect();
            asked.push(item, Choices { context, continuations, adapter: None });
            return Ok(());
        }
        asked.cut += 1;
        for (context, continuation) in pairs {
            let kept = room.checked_sub(continuation.len()).filter(|kept| *kept > 0).ok_or_else(|| {
                anyhow!(
                    "item {item}, from 0: a choice has {} tokens, and the model reads {}",
                    continuation.len(),
                    room - 1
                )
            })?;
            let context = context[context.len().saturating_sub(kept)..].to_vec();
            asked.push(item, Choices { context, continuations: vec![continuation], adapter: None });
        }
        Ok(())
    }

    /// The log-likelihoods of what every item of a suite asks, in order.
    fn scores(&mut self, suite: &Suite, asked: &Asked, items: usize) -> Result<Vec<Vec<f64>>> {
        warn_of_cuts(suite, asked);
        let scored = choices(self.model, &asked.rows, self.how.batch_tokens, self.tick);
        let mut scores = vec![Vec::new(); items];
        for (&item, scored) in asked.items.iter().zip(scored.map_err(|error| named(error, &asked.items))?) {
            scores[item].extend(scored);
        }
        Ok(scores)
    }
}

impl Asked {
    fn push(&mut self, item: usize, row: Choices) {
        self.rows.push(row);
        self.items.push(item);
    }
}

fn result(suite: &Suite, items: Vec<Item>) -> SuiteResult {
    SuiteResult {
        name: suite.name.clone(),
        group: suite.group,
        metric: suite.metric(),
        chance: suite.tasks.chance().unwrap_or(0.0),
        items,
        accuracies: None,
        others: Vec::new(),
        samples: Vec::new(),
    }
}

fn warn_of_cuts(suite: &Suite, asked: &Asked) {
    if asked.cut > 0 {
        let (name, cut, items) = (&suite.name, asked.cut, asked.items.len());
        tracing::warn!("suite {name}: {cut} of {items} contexts lost their beginning: the model has too few positions");
    }
}

/// An error that names the item of the suite in place of the row.
fn named(error: orbit_core::Error, items: &[usize]) -> anyhow::Error {
    match error {
        orbit_core::Error::Score { item, choice, value } => {
            orbit_core::Error::Score { item: items.get(item).copied().unwrap_or(item), choice, value }.into()
        }
        other => other.into(),
    }
}

/// A figure that is a number.
fn finite(value: f64, what: &str) -> Result<f64> {
    match value.is_finite() {
        true => Ok(value),
        false => bail!("the {what} is {value}: it is too large for a number, so the model has lost all language"),
    }
}
