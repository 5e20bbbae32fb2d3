//! The page and the terminal text of one run over a sequence, from the same values.

use anyhow::Result;

use super::{SequenceReport, figures::figures, findings::Findings, headline::headline, tables};
use crate::report::{
    page::{Block, Fact, Page},
    quantity,
    text::{captioned, opening},
    watched,
};

/// Words the page uses; those of suites are shared with studies.
const TERMS: [(&str, &str); 3] = [
    (
        "R",
        "The table of all scores: a row for each stage, a column for each task. All other measures of the tasks are made of it.",
    ),
    (
        "AP, FP, Forget, OP",
        "The mean score of each task right after it was trained; of all tasks in the end; the difference; and of the tasks \
         trained so far, after each stage.",
    ),
    (
        "BWT, FWT",
        "Backward transfer: how much earlier tasks rose or fell through later stages. Forward transfer: how much tasks rose \
         or fell through stages before their own.",
    ),
];

/// Words about suites.
pub(crate) const SUITE_TERMS: [(&str, &str); 5] = [
    (
        "FG, final drop",
        "FG, of Luo et al. (arXiv 2308.08747): the part of the first score that is gone, as the mean over all stages. The final \
         drop is that part after the last stage.",
    ),
    (
        "Largest FG",
        "The FG of a model that falls to guessing at once and stays there: the most that can show. A model that starts near \
         guessing cannot show much, whatever it loses.",
    ),
    (
        "Kept",
        "(score in the end − guessing) / (score before − guessing): the share of what the model could do beyond guessing that is \
         left. It does not depend on where the model started. 100% is all, 0% is guessing.",
    ),
    (
        "Bias",
        "How often the model prefers the stereotype of two sentences. One half is neutral; both directions away from it are bias. \
         Nothing of it is to be kept.",
    ),
    (
        "KL to the start",
        "How differently the model answers now from before the sequence, on the task of the stage, in nats a token. 0 is no \
         difference.",
    ),
];

/// What an interval is of.
const INTERVALS: (&str, &str) =
    ("[a, b]", "95% interval: how far the number would vary with other questions. It does not cover other seeds.");

/// The whole page.
///
/// # Errors
/// When the columns do not fit the stages.
pub(super) fn html(report: &SequenceReport) -> Result<String> {
    let findings = Findings::new(report)?;
    let [by_group, by_suite] = tables::kept(&findings);
    let details = [
        by_suite,
        tables::bias(&findings),
        tables::scores(&report.suites, &report.stages, &findings),
        tables::losses(&findings.model.losses),
    ];
    Page::new(&report.title, headline(report, &findings), origin(report))
        .section("Result", [tables::measures(&findings.tasks), by_group].map(Block::Table))
        .section("Plots", [Block::Figures(figures(report, &findings))])
        .section("The warning", warning(report))
        .section("The tasks", [findings.matrix.table(), tables::stages(&report.stages, &findings)].map(Block::Table))
        .section("What the model could do before", details.map(Block::Table))
        .terms(&TERMS)
        .terms(&SUITE_TERMS)
        .terms(&[INTERVALS])
        .render()
}

/// How the vectors of watched tasks moved.
fn warning(report: &SequenceReport) -> Vec<Block> {
    if report.watched.is_empty() {
        return Vec::new();
    }
    let stages: Vec<u64> = report.stages.iter().map(|stage| stage.steps).collect();
    vec![Block::Table(watched::table(&report.watched)), Block::Figures(watched::figures(&report.watched, &stages))]
}

/// The report on a terminal.
///
/// # Errors
/// As [`html`].
pub(super) fn text(report: &SequenceReport) -> Result<String> {
    let findings = Findings::new(report)?;
    let [by_group, by_suite] = tables::kept(&findings);
    let tables = [
        tables::measures(&findings.tasks),
        findings.matrix.table(),
        by_group,
        by_suite,
        tables::bias(&findings),
        tables::losses(&findings.model.losses),
        tables::stages(&report.stages, &findings),
        watched::table(&report.watched),
    ];
    let mut text = opening(&report.title, &headline(report, &findings));
    tables.iter().filter(|table| !table.rows.is_empty()).for_each(|table| text += &captioned(table));
    Ok(text)
}

/// What is needed to make the report again.
fn origin(report: &SequenceReport) -> Vec<Fact> {
    let [all, trained] = [report.parameters, report.trained_parameters].map(quantity::count);
    let hooks = if report.hooks.is_empty() { "none".to_owned() } else { report.hooks.join(" → ") };
    let seconds = report.stages.iter().map(|stage| stage.seconds).sum();
    let steps = report.stages.iter().map(|stage| stage.steps).sum();
    vec![
        Fact::new("Command", &report.command),
        Fact::new("Started", &report.started),
        Fact::new("Model", format!("{}, {all} parameters, {trained} trained", report.architecture)),
        Fact::new("Hooks", hooks),
        Fact::new("Adapters", report.adapters.as_deref().unwrap_or("none").replace('_', " ")),
        Fact::new("Old examples in training", quantity::fine_percent(report.replay_share)),
        Fact::new("Training", format!("{} steps in {}", quantity::count(steps), quantity::duration(seconds))),
        Fact::orbit(&report.version, report.commit.as_ref()),
        Fact::machine(&report.machine),
        Fact::new("Device", &report.device),
        Fact::new("Seed", report.seed.to_string()),
        Fact::new("Digest of the model", &report.model),
        Fact::new("Digest of the configuration", &report.config),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn page_stands_alone() {
        let page = html(&sample::sequence(1)).unwrap();
        assert_eq!(page.matches("<svg").count(), 7 + 2);
        for outside in ["<script", "<link", "src=", "href=\"http", "url(", "@import", "NaN"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn strings_are_escaped() {
        let mut run = sample::sequence(1);
        let hostile = "</td><script>alert('1')</script>&amp;";
        (run.title, run.tasks[0].name, run.stages[0].task) = (hostile.into(), hostile.into(), hostile.into());
        (run.suites[0].name, run.tasks[1].metric) = (hostile.into(), hostile.into());
        let page = html(&run).unwrap();
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_run_of_which_nothing_was_measured_renders() {
        let mut run = sample::sequence(1);
        run.suites.clear();
        run.tasks.iter_mut().for_each(|task| (task.before, task.after) = (None, vec![None; 3]));
        run.stages.iter_mut().for_each(|stage| stage.history.clear());
        assert!(html(&run).unwrap().contains("it cannot be said what was forgotten"));
        (run.tasks, run.stages) = (Vec::new(), Vec::new());
        html(&run).unwrap();
        text(&run).unwrap();
    }

    #[test]
    fn text_and_page_say_the_same() {
        let run = sample::sequence(1);
        let (page, text) = (html(&run).unwrap(), text(&run).unwrap());
        let summary = text.lines().nth(2).unwrap();
        assert!(page.contains(summary), "{summary}");
        assert!(text.contains("\nScores of the tasks after each stage (R)") && text.contains("\nForget "));
    }
}
