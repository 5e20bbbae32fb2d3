//! The report as an HTML page.

use anyhow::Result;

use super::{
    Report, headline,
    page::{Block, Fact, Page},
    plot::figures,
    quantity, table,
};
use crate::plugins::Record;

/// Words the page uses.
const TERMS: [(&str, &str); 8] = [
    (
        "Language kept",
        "What the model still can do of what it could do before training, on the mean of the language suites. 100% is the \
         model before training, 0% is guessing. A suite counts as (score − chance) / (score before − chance), for a \
         perplexity on the log scale. A suite that measures bias does not count.",
    ),
    ("Recall@k", "The share of users whose next item is among the first k the model recommends, out of all items."),
    ("NDCG@k", "Like recall, but an item further up the list counts more."),
    (
        "Popularity, transition counts",
        "Recommenders without a language model: the most frequent items, and the items that most often followed the user’s \
         last one. A model below them has not learned the job.",
    ),
    (
        "Drift",
        "How far training moved the weights: the share of weights whose sign flipped, and the Euclidean (L2) distance.",
    ),
    (
        "Merge",
        "The weights are moved part of the way back to the original ones. ORBIT does so whenever the drift passes what is \
         allowed, and goes half the way.",
    ),
    (
        "DTIP",
        "Distance to the ideal point, from the ORBIT paper: 0 would be all of the old ability with all the retrieval of \
         plain fine-tuning; plain fine-tuning and the untouched model are both at 1. Lower is better.",
    ),
    (
        "[a, b]",
        "95% interval: how far the number would vary with other users or questions. It does not cover other seeds.",
    ),
];

/// The whole page.
///
/// # Errors
/// Only when the built-in template and the page disagree.
pub(crate) fn render(report: &Report) -> Result<String> {
    let details = [table::suites(report), table::retrieval(report), table::training(report)];
    Page::new(&report.title, headline(report), origin(report))
        .section("Result", [Block::Table(table::models(report))])
        .section("Plots", [Block::Figures(figures(report))])
        .section("Details", details.into_iter().flatten().map(Block::Table))
        .terms(&TERMS)
        .render()
}

/// What is needed to make the report again.
fn origin(report: &Report) -> Vec<Fact> {
    let seconds = report.runs.iter().map(|run| run.seconds).sum();
    let mut facts = vec![
        Fact::new("Command", &report.command),
        Fact::new("Started", &report.started),
        Fact::new("Training time", quantity::duration(seconds)),
        Fact::orbit(&report.version, report.commit.as_ref()),
        Fact::machine(&report.machine),
        Fact::new("Device", &report.device),
        Fact::new("Seed", report.seed.to_string()),
        Fact::new("Digest of the data", &report.data),
        Fact::new("Digest of the model", &report.model),
        Fact::new("Digest of the configuration", &report.config),
    ];
    for Record { id, version, sha256, .. } in report.runs.iter().flat_map(|run| &run.plugins) {
        facts.push(Fact::new("Plugin", format!("{id} {version}, SHA-256 {sha256}")));
    }
    facts
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn page_stands_alone() {
        let page = render(&sample::report()).unwrap();
        assert_eq!(page.matches("<svg").count(), 4);
        for outside in ["<script", "<link", "src=", "href=\"http", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn strings_are_escaped() {
        let mut report = sample::report();
        let hostile = "</td><script>alert('1')</script>&amp;";
        (report.title, report.command, report.device) = (hostile.into(), hostile.into(), hostile.into());
        report.runs[0].name = hostile.into();
        report.runs[1].hooks.push(hostile.into());
        let page = render(&report).unwrap();
        assert!(!page.contains("<script"));
        assert!(page.contains("&lt;script&gt;") && page.contains("&amp;amp;"));
    }

    #[test]
    fn empty_report_renders() {
        let mut report = sample::report();
        (report.untouched, report.baselines, report.commit) = (None, None, None);
        report.runs.clear();
        let page = render(&report).unwrap();
        assert!(page.contains("Nothing was trained and nothing was measured."));
        assert!(!page.contains("<svg"));
    }

    /// Writes the samples where `ORBIT_SAMPLE_REPORT` says, to be looked at.
    #[test]
    fn sample_pages_can_be_looked_at() {
        let Some(directory) = std::env::var_os("ORBIT_SAMPLE_REPORT").map(std::path::PathBuf::from) else { return };
        sample::report().save(&directory).unwrap();
        let folder = |name: &str| {
            std::fs::create_dir_all(directory.join(name)).unwrap();
            directory.join(name)
        };
        sample::study().save(&folder("study")).unwrap();
        for seed in [1, 2] {
            sample::sequence(seed).save(&folder(&format!("sequence-{seed}"))).unwrap();
        }
    }
}
