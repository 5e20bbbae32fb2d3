//! `orbit ids`: makes the semantic IDs of a run's items, and shows how well the codes are used.

use std::fmt::Write as _;

use anyhow::Result;
use orbit_data::SemanticIds;

use super::print;
use crate::args::{Global, Ids};
use crate::config::RunFile;
use crate::paths::{self, DataDir};
use crate::pipeline;

pub(crate) fn run(args: &Ids, global: &Global) -> Result<()> {
    let run = RunFile::read(&args.run)?;
    let run = paths::resolve_data(run, &DataDir::new(global.data.clone(), &args.run))?;
    let (corpus, embeddings) = pipeline::read_corpus(&run)?;
    let ids = pipeline::semantic_ids(&run, &corpus, embeddings)?;
    ids.save(&args.out)?;
    print(&describe(&ids)?)?;
    print(&format!("saved to {}\n", args.out.display()))
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
    for warning in health.warnings() {
        writeln!(text, "warning: {warning}")?;
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
        let (corpus, embeddings) = pipeline::read_corpus(&run).unwrap();
        let ids = pipeline::semantic_ids(&run, &corpus, embeddings).unwrap();
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
