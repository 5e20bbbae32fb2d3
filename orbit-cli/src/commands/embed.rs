//! `orbit embed`: a vector for the text of each item, from which semantic IDs are made.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Device;
use orbit_core::{Input, Model};
use orbit_data::tokenizer::Reader;
use orbit_data::{Corpus, Item, ItemEmbeddings, TextTokenizer};
use orbit_models::LanguageModel;
use orbit_models::bert::Bert;
use orbit_models::pooling::SentenceEncoding;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::print;
use crate::args::{Embed, Global};
use crate::config::RunFile;
use crate::paths::{self, DataDir};
use crate::progress::Progress;
use crate::usage::Usage;
use crate::{fine_tune, machine, pipeline};

/// What stands beside the embeddings, as `FILE.json`: what they were made of.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    /// Of the model's files and the texts in order: the same digest is the same embeddings.
    digest: String,
    model: String,
    fields: Vec<String>,
    items: usize,
    width: usize,
    seconds: f64,
    command: String,
}

pub(crate) fn run(args: &Embed, global: &Global) -> Result<()> {
    let items = items(args, global)?;
    let texts = items.iter().map(|item| text(item, &args.fields)).collect::<Result<Vec<String>>>()?;
    let model = paths::model(&args.model, Path::new("."))?;
    let digest = digest(&model, &texts, args.longest)?;
    let about = args.out.with_extension("json");
    if args.out.exists() && made(&about).is_some_and(|made| made.digest == digest) {
        return print(&format!("{} is there, of the same model and texts\n", args.out.display()));
    }
    let start = std::time::Instant::now();
    let encoder = Encoder::open(&model, args.longest, &orbit_core::device(&args.device)?)?;
    let rows = encoder.rows(&texts, args.batch, global.quiet)?;
    let width = rows.first().map_or(0, Vec::len);
    let embeddings = ItemEmbeddings::new(width, rows.concat())?;
    if let Some(folder) = args.out.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    embeddings.write_npy(&args.out)?;
    let seconds = start.elapsed().as_secs_f64();
    let name = model.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let made = Made {
        digest,
        model: name,
        fields: args.fields.clone(),
        items: items.len(),
        width,
        seconds,
        command: machine::command_line(),
    };
    let text = serde_json::to_string_pretty(&made)? + "\n";
    fs::write(&about, text).with_context(|| about.display().to_string())?;
    let rate = items.len() as f64 / seconds;
    print(&format!("{} items x {width} in {seconds:.1} s, {rate:.0} a second: {}\n", items.len(), args.out.display()))
}

/// The items of a file, or of a run: of that the documents, which are called by their text.
fn items(args: &Embed, global: &Global) -> Result<Vec<Item>> {
    match (&args.items, &args.run) {
        (Some(file), _) => {
            let items = Corpus::read_items(&DataDir { root: global.data.clone(), beside: PathBuf::new() }.file(file)?)?;
            warn_of_order(&items);
            Ok(items)
        }
        (None, Some(run)) => {
            let data = DataDir::new(global.data.clone(), run);
            let mut corpus = RunFile::read(run)?.corpus;
            // It is what is to be made.
            corpus.embeddings = None;
            Ok(pipeline::read(&paths::resolve_corpus(corpus, &data)?)?.corpus.items)
        }
        (None, None) => Err(Usage::new("give a file of items, or --run").into()),
    }
}

/// Rows are in the order of the file. Where a run has `sequences`, which count their items by number, they must be in that order.
fn warn_of_order(items: &[Item]) {
    let numbers: Option<Vec<u64>> = items.iter().map(|item| item.id.parse().ok()).collect();
    if numbers.is_some_and(|numbers| !numbers.is_sorted()) {
        tracing::warn!(
            "rows are in the order of the file, and its ids are numbers in another one: for a run with corpus.sequences give --run"
        );
    }
}

/// The fields of an item, a line each. An item with nothing in them is called by its id, for it needs some direction.
fn text(item: &Item, fields: &[String]) -> Result<String> {
    let field = |name: &String| match name.as_str() {
        "title" => Some(item.title.as_str()),
        other => item.fields.get(other).map(String::as_str),
    };
    let found: Vec<&str> = fields.iter().filter_map(field).filter(|text| !text.trim().is_empty()).collect();
    Ok(if found.is_empty() { item.id.clone() } else { found.join("\n") })
}

fn made(about: &Path) -> Option<Made> {
    serde_json::from_slice(&fs::read(about).ok()?).ok()
}

fn digest(model: &Path, texts: &[String], longest: usize) -> Result<String> {
    let names = [
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "modules.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
    ];
    let files = names.map(|name| model.join(name));
    let mut parts = vec![longest.to_string(), serde_json::to_string(texts)?];
    for file in files.iter().filter(|file| file.exists()) {
        let bytes = fs::read(file).with_context(|| file.display().to_string())?;
        parts.push(fine_tune::digest(bytes));
    }
    Ok(fine_tune::digest(parts.join("\n")))
}

/// What makes a vector of a text.
struct Encoder {
    net: Net,
    tokenizer: TextTokenizer,
    encoding: SentenceEncoding,
    longest: usize,
}

enum Net {
    Bert(Box<Bert>),
    /// The mean of the last hidden states.
    Language(Box<LanguageModel>),
}

impl Encoder {
    fn open(dir: &Path, longest: usize, device: &Device) -> Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            model_type: String,
        }
        let config = dir.join("config.json");
        let kind = fs::read(&config).with_context(|| config.display().to_string())?;
        let kind: Kind = serde_json::from_slice(&kind).with_context(|| config.display().to_string())?;
        let net = match kind.model_type.as_str() {
            "bert" => Net::Bert(Box::new(Bert::load(dir, device)?)),
            _ => Net::Language(Box::new(LanguageModel::load(dir, device)?)),
        };
        let most = match &net {
            Net::Bert(net) => net.longest_text(),
            Net::Language(net) => net.longest_text(),
        };
        let encoding = SentenceEncoding::read(dir)?;
        let longest = longest.min(most).min(encoding.longest.unwrap_or(usize::MAX));
        Ok(Self { net, tokenizer: TextTokenizer::read(dir, Reader::Encoder)?, encoding, longest })
    }

    /// A row a text. Texts of like length go together.
    fn rows(&self, texts: &[String], batch: usize, quiet: bool) -> Result<Vec<Vec<f32>>> {
        let tokens = texts.par_iter().map(|text| self.tokenizer.whole(text, self.longest));
        // Of several errors the first in order, whichever thread is first.
        let tokens = tokens.collect::<Vec<_>>().into_iter().collect::<orbit_data::Result<Vec<Vec<u32>>>>()?;
        tracing::debug!(texts = texts.len(), longest = self.longest, "tokenized");
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&at| tokens[at].len());
        let mut rows = vec![Vec::new(); texts.len()];
        let mut progress = Progress::new("embed", 0, texts.len() as u64, quiet);
        let mut done = 0;
        for batch in order.chunks(batch.max(1)) {
            let texts: Vec<&[u32]> = batch.iter().map(|&at| tokens[at].as_slice()).collect();
            for (&at, row) in batch.iter().zip(self.vectors(&texts)?) {
                rows[at] = row;
            }
            done += batch.len() as u64;
            progress.set(done, &[]);
        }
        progress.finish();
        Ok(rows)
    }
}

impl Encoder {
    fn vectors(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        let hidden = match &self.net {
            Net::Bert(net) => net.hidden(texts)?,
            Net::Language(net) => {
                let width = lengths.iter().copied().max().unwrap_or(0);
                let padded = |text: &&[u32]| [text, &vec![0; width - text.len()][..]].concat();
                let tokens = texts.iter().flat_map(padded).collect();
                net.hidden(&Input::rows(tokens, texts.len(), width))
            }
        };
        Ok(self.encoding.vectors(hidden, &lengths))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, title: &str) -> Item {
        Item { id: id.into(), title: title.into(), ..Item::default() }
    }

    #[test]
    fn texts_are_the_fields_or_else_the_id() {
        let mut tea = item("7", "Tea");
        tea.fields.insert("brand".into(), "Leaf".into());
        let fields = ["title", "brand", "colour"].map(str::to_owned);
        assert_eq!(text(&tea, &fields).unwrap_or_default(), "Tea\nLeaf");
        assert_eq!(text(&item("7", " "), &fields).unwrap_or_default(), "7");
    }
}
