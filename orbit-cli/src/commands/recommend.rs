//! `orbit recommend`: the next items of histories, or the documents of a query, from a model that has learned semantic IDs.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use orbit_core::score::{Choices, choices};
use orbit_data::corpus::{Id, json_lines, normalized_id};
use orbit_data::example::{ItemForm, NextItem};
use orbit_data::{SemanticIds, Trie, Vocabulary};
use orbit_models::generate::beam_search;
use serde::{Deserialize, Serialize};

use super::print;
use crate::args::Recommend;
use crate::catalogue::{Catalogue, Entry};
use crate::job::valid_ids;
use crate::paths;
use crate::pipeline::{Base, IDS_FILE};
use crate::usage::Usage;

/// Tokens a forward pass when candidates are scored, at most.
const BATCH_TOKENS: usize = 2048;

/// What `--json` prints, best first.
#[derive(Serialize)]
struct Recommended<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
    /// log P(semantic ID | history), in nats.
    log_probability: f64,
}

/// A line of `--histories`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    user: Option<Id>,
    history: Vec<Id>,
}

/// An item and its score.
type Scored = (u32, f64);

pub(crate) fn run(args: &Recommend) -> Result<()> {
    let recommender = Recommender::open(args)?;
    if let Some(file) = &args.histories {
        return recommender.all(file, args);
    }
    let prompt = recommender.prompt(args)?;
    let candidates = recommender.catalogue.indices(&ids(&args.candidates))?;
    let mut ranked = match candidates.is_empty() {
        true => recommender.search(&[prompt], args)?.concat(),
        false => recommender.scored(prompt, &candidates)?,
    };
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(args.count);
    let recommended = recommender.named(&ranked)?;
    print(&if args.json { serde_json::to_string_pretty(&recommended)? + "\n" } else { table(&recommended) })
}

/// A trained model with what it speaks of.
struct Recommender {
    base: Base,
    catalogue: Catalogue,
    vocabulary: Vocabulary,
    codes: Vec<Vec<u16>>,
    valid: Trie,
}

impl Recommender {
    fn open(args: &Recommend) -> Result<Self> {
        let dir = paths::model(&args.model, Path::new("."))?;
        let catalogue = Catalogue::load(&dir)?;
        check(args, &catalogue)?;
        let base = Base::open(&dir, &orbit_core::device(&args.device)?)?;
        let (vocabulary, ids) = (base.vocabulary()?, SemanticIds::load(&dir.join(IDS_FILE))?);
        let valid = valid_ids(&ids, &vocabulary)?;
        let codes = ids.iter().map(<[u16]>::to_vec).collect();
        Ok(Self { base, catalogue, vocabulary, codes, valid })
    }

    fn prompt(&self, args: &Recommend) -> Result<Vec<u32>> {
        let user = args.user.as_deref().map(normalized_id);
        match (&args.query, self.catalogue.query_tokens) {
            (Some(query), Some(longest)) => {
                let form = ItemForm::new(&self.base.speech.chat, &self.vocabulary, &self.codes)?;
                Ok(form.text_prompt(self.vocabulary.text(), query, longest)?)
            }
            _ => Ok(self.form()?.prompt(user.as_deref(), &self.catalogue.indices(&ids(&args.history))?)?),
        }
    }

    fn form(&self) -> Result<NextItem> {
        Ok(NextItem::new(&self.base.speech.chat, &self.vocabulary, &self.codes, self.catalogue.max_history)?)
    }

    /// The best of the whole catalogue for each prompt.
    fn search(&self, prompts: &[Vec<u32>], args: &Recommend) -> Result<Vec<Vec<Scored>>> {
        // More beams than asked for: the best of few beams may not be the best of all.
        let found = beam_search(&self.base.model, prompts, &self.valid, args.count.max(args.beams))?;
        let scored = |ranked: Vec<orbit_models::generate::Ranked>| {
            ranked.into_iter().map(|ranked| (ranked.item, ranked.log_probability)).collect()
        };
        Ok(found.into_iter().map(scored).collect())
    }

    /// The scores of some items.
    fn scored(&self, prompt: Vec<u32>, candidates: &[u32]) -> Result<Vec<Scored>> {
        let sid = |&item: &u32| Ok(self.vocabulary.sid(&self.codes[item as usize])?);
        let continuations = candidates.iter().map(sid).collect::<Result<_>>()?;
        let asked = [Choices { context: prompt, continuations, adapter: None }];
        let scores = choices(&self.base.model, &asked, BATCH_TOKENS, &mut |_| {})?.concat();
        Ok(candidates.iter().copied().zip(scores).collect())
    }

    fn named(&self, ranked: &[Scored]) -> Result<Vec<Recommended<'_>>> {
        let named = ranked.iter().map(|&(item, log_probability)| {
            let entry = self.catalogue.items.get(item as usize).context("an item that is in no catalogue")?;
            let Entry { id, title } = entry;
            Ok(Recommended { id, title, log_probability })
        });
        named.collect()
    }

    /// A line of JSON for each line of the file, in its order.
    fn all(&self, file: &Path, args: &Recommend) -> Result<()> {
        let form = self.form()?;
        let prompts = json_lines(file)?.into_iter().map(|(number, Line { user, history })| {
            let place = || format!("{}:{number}", file.display());
            if history.is_empty() {
                return Err(Usage::new("the history is empty")).with_context(place);
            }
            let history = self.catalogue.indices(&history).with_context(place)?;
            Ok(form.prompt(user.as_ref().map(Id::as_str), &history)?)
        });
        let prompts = prompts.collect::<Result<Vec<_>>>()?;
        // Prompts of like length go together.
        let mut order: Vec<usize> = (0..prompts.len()).collect();
        order.sort_by_key(|&at| prompts[at].len());
        let start = Instant::now();
        let mut found = vec![Vec::new(); prompts.len()];
        for batch in order.chunks(args.batch.max(1)) {
            let asked: Vec<Vec<u32>> = batch.iter().map(|&at| prompts[at].clone()).collect();
            for (&at, ranked) in batch.iter().zip(self.search(&asked, args)?) {
                found[at] = ranked;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        tracing::info!("{} histories in {seconds:.3} s", prompts.len());
        for ranked in found {
            let best = &ranked[..ranked.len().min(args.count)];
            print(&(serde_json::to_string(&self.named(best)?)? + "\n"))?;
        }
        Ok(())
    }
}

/// Ids of the command line as all files have them.
fn ids(given: &[String]) -> Vec<String> {
    given.iter().map(|id| normalized_id(id)).collect()
}

fn table(recommended: &[Recommended<'_>]) -> String {
    let width = recommended.iter().map(|found| found.id.chars().count()).max().unwrap_or(0);
    recommended.iter().fold(String::new(), |mut text, Recommended { id, title, log_probability }| {
        let _ = writeln!(text, "{log_probability:>9.3}  {id:<width$}  {title}");
        text
    })
}

/// That a recommender is asked with a history, and a finder of documents with a query.
fn check(args: &Recommend, catalogue: &Catalogue) -> Result<()> {
    let has_history = !args.history.is_empty() || args.histories.is_some();
    let mistake = match (catalogue.query_tokens, &args.query) {
        (None, Some(_)) => "the model recommends by a history: give --history in place of --query",
        (Some(_), None) => "the model finds documents: give --query",
        (None, None) if !has_history => "the history is empty: give the ids of items, the latest last",
        _ => return Ok(()),
    };
    Err(Usage::new(mistake).into())
}
