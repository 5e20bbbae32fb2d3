//! `orbit recommend`: the next items of a history, from a model that has learned semantic IDs.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use orbit_core::score::{Choices, choices};
use orbit_data::SemanticIds;
use orbit_data::example::NextItem;
use orbit_models::generate::beam_search;
use serde::Serialize;

use super::print;
use crate::args::Recommend;
use crate::catalogue::{Catalogue, Entry};
use crate::paths;
use crate::pipeline::{Base, IDS_FILE, ValidIds};
use crate::usage::Usage;

/// Tokens a forward pass when candidates are scored, at most.
const BATCH_TOKENS: usize = 2048;

/// What `--json` prints, best first.
#[derive(Serialize)]
struct Recommended<'a> {
    id: &'a str,
    title: &'a str,
    /// log P(semantic ID | history), in nats.
    log_probability: f64,
}

pub(crate) fn run(args: &Recommend) -> Result<()> {
    if args.history.is_empty() {
        return Err(Usage::new("the history is empty: give the ids of items, the latest last").into());
    }
    let dir = paths::model(&args.model, Path::new("."))?;
    let catalogue = Catalogue::load(&dir)?;
    let history = catalogue.indices(&args.history)?;
    let candidates = catalogue.indices(&args.candidates)?;
    let base = Base::open(&dir, &orbit_core::device(&args.device)?)?;
    let (vocabulary, ids) = (base.vocabulary()?, SemanticIds::load(&dir.join(IDS_FILE))?);
    let codes: Vec<Vec<u16>> = ids.iter().map(<[u16]>::to_vec).collect();
    let form = NextItem::new(&base.chat, &vocabulary, &codes, catalogue.max_history)?;
    let prompt = form.prompt(&history)?;
    let mut ranked: Vec<(u32, f64)> = if candidates.is_empty() {
        let valid = ValidIds::new(&ids, &vocabulary)?;
        // More beams than asked for: the best of few beams may not be the best of all.
        let beams = args.count.max(args.beams);
        let found = beam_search(&base.model, &[prompt], &valid, beams)?.into_iter().flatten();
        found.map(|ranked| (ranked.item, ranked.log_probability)).collect()
    } else {
        let sid = |&item: &u32| Ok(vocabulary.sid(&codes[item as usize])?);
        let continuations = candidates.iter().map(sid).collect::<Result<_>>()?;
        let asked = [Choices { context: prompt, continuations, adapter: None }];
        let scores = choices(&base.model, &asked, BATCH_TOKENS, &mut |_| {})?.concat();
        candidates.iter().copied().zip(scores).collect()
    };
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(args.count);
    let recommended = ranked.iter().map(|&(item, log_probability)| {
        let Entry { id, title } = catalogue.items.get(item as usize).context("an item that is in no catalogue")?;
        Ok(Recommended { id, title, log_probability })
    });
    let recommended = recommended.collect::<Result<Vec<_>>>()?;
    if args.json {
        return print(&(serde_json::to_string_pretty(&recommended)? + "\n"));
    }
    let width = recommended.iter().map(|found| found.id.chars().count()).max().unwrap_or(0);
    let text = recommended.iter().fold(String::new(), |mut text, Recommended { id, title, log_probability }| {
        let _ = writeln!(text, "{log_probability:>9.3}  {id:<width$}  {title}");
        text
    });
    print(&text)
}
