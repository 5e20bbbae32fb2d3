//! `orbit ids`: makes the semantic IDs of a run's items, and shows how well the codes are used.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use orbit_data::semantic_id::{self, Verdict};
use orbit_data::{ItemEmbeddings, SemanticIds};

use super::print;
use crate::args::{Global, Ids, IdsMore};
use crate::config::RunFile;
use crate::paths::{self, DataDir};
use crate::{pipeline, semantic_ids};

pub(crate) fn run(args: &Ids, global: &Global) -> Result<()> {
    match (&args.more, &args.run, &args.out) {
        (Some(IdsMore::Compare { ids, embeddings, json }), ..) => compare(ids, embeddings.as_deref(), *json),
        (Some(IdsMore::Assign { ids, embeddings, out }), ..) => assign(ids, embeddings, out),
        (None, Some(run), Some(out)) => make(run, out, global),
        (None, ..) => bail!("give a run file and --out, or a subcommand"),
    }
}

/// Saves IDs also when their codebooks have collapsed, and then fails.
fn make(run: &Path, out: &Path, global: &Global) -> Result<()> {
    let data = DataDir::new(global.data.clone(), run);
    let run = paths::resolve_data(RunFile::read(run)?, &data)?;
    let data = pipeline::read(&run.corpus)?;
    let ids = semantic_ids::of(&run.semantic_ids, &data.corpus, data.embeddings.as_ref(), global.quiet)?;
    ids.save(out)?;
    print(&describe(&ids)?)?;
    print(&format!("saved to {}\n", out.display()))?;
    match ids.health().verdict() {
        Verdict::Collapsed(_) => bail!("the codebooks have collapsed: a model would learn nothing from these IDs"),
        _ => Ok(()),
    }
}

fn compare(files: &[PathBuf], embeddings: Option<&Path>, json: bool) -> Result<()> {
    let ids = files.iter().map(|file| SemanticIds::load(file)).collect::<orbit_data::Result<Vec<_>>>()?;
    let names: Vec<String> =
        files.iter().map(|file| file.file_stem().unwrap_or_default().to_string_lossy().into_owned()).collect();
    let items = ids.first().map_or(0, SemanticIds::len);
    let embeddings = embeddings.map(|path| ItemEmbeddings::read_npy(path, items)).transpose()?;
    let named: Vec<(&str, &SemanticIds)> = names.iter().map(String::as_str).zip(&ids).collect();
    let table = semantic_id::compare(&named, embeddings.as_ref())?;
    print(&if json { serde_json::to_string_pretty(&table)? + "\n" } else { table.to_string() })
}

fn assign(ids: &Path, embeddings: &Path, out: &Path) -> Result<()> {
    let old = SemanticIds::load(ids)?;
    let new = old.assign_new(&ItemEmbeddings::read_npy_rows(embeddings)?)?;
    new.save(out)?;
    let (before, after) = (old.len(), new.len());
    print(&format!("{} new items behind {before} old ones: {}\n", after - before, out.display()))
}

/// The health of the codebooks as a table, and what to do about it.
fn describe(ids: &SemanticIds) -> Result<String> {
    let health = ids.health();
    let mut text = "level   codes    used   usage   entropy   perplexity\n".to_owned();
    for (number, level) in health.levels.iter().enumerate() {
        let usage = 100.0 * level.usage;
        let (codes, used, entropy, perplexity) = (level.codes, level.used, level.entropy, level.perplexity);
        writeln!(text, "{number:>5}{codes:>8}{used:>8}{usage:>7.1}%{entropy:>10.2}{perplexity:>13.1}")?;
    }
    let levels: Vec<String> = ids.codes_per_level().iter().map(usize::to_string).collect();
    let collisions = 100.0 * health.collision_rate;
    writeln!(text, "{} items, IDs of {} codes", ids.len(), levels.join(" x "))?;
    writeln!(
        text,
        "{collisions:.1}% of the items share their codes with another, at most {} do",
        health.largest_group
    )?;
    let verdict = health.verdict();
    let what = if verdict.is_collapsed() { "collapsed" } else { "warning" };
    for advice in verdict.advice() {
        writeln!(text, "{what}: {advice}")?;
    }
    writeln!(text, "digest {}", ids.digest())?;
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use expect_test::expect;

    use super::*;

    const GENERATED: &str =
        "model.path = 'none'\ncorpus.generated = { items = 60 }\nsemantic_ids = { levels = 2, codes = 8 }";

    #[test]
    fn health_is_shown_level_by_level() {
        let run = RunFile::parse(GENERATED).unwrap();
        let data = pipeline::read(&run.corpus).unwrap();
        let ids = semantic_ids::of(&run.semantic_ids, &data.corpus, data.embeddings.as_ref(), true).unwrap();
        expect![[r#"
            level   codes    used   usage   entropy   perplexity
                0       8       8  100.0%      1.96          7.1
                1       8       8  100.0%      2.00          7.4
            60 items, IDs of 8 x 8 x 4 codes
            76.7% of the items share their codes with another, at most 4 do
            warning: 77% of the items share their codes with another (up to 4 items together): use more codes or levels, or embed more than titles
            digest 01b894f7446be4dc92604fd13c1ed8686697c5dc2c0676eec9c551289d65f5ad
        "#]].assert_eq(&describe(&ids).unwrap());
    }
}
