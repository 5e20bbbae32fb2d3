//! The page and the terminal text of a study, from the same values.

use anyhow::Result;

use super::{
    StudyReport,
    claims::{Claim, RULE, claims},
    figures,
    floor::{EXPLANATION, floors},
    headline::{about_floor, headline},
    tables,
};
use crate::report::{
    page::{Block, Fact, Page},
    plot::heat_map::READING,
    quantity,
    sequence::SUITE_TERMS,
    text::{captioned, opening},
};

/// Words about the tasks and the models.
const TERMS: [(&str, &str); 4] = [
    (
        "AP, FP, Forget",
        "The mean score of each task right after it was trained, and of all tasks in the end; Forget is the difference.",
    ),
    (
        "BWT, FWT",
        "Backward transfer: how much earlier tasks rose or fell through later stages. Forward transfer: how much tasks rose \
         or fell through stages before their own.",
    ),
    ("Tuned first", "The model had general instruction tuning before the sequence began."),
    (
        "Rank agreement",
        "Over pairs of models: how often two measures order them alike, less how often they do not. 1 is the same order, −1 the \
         reverse, 0 none. Pairs that tie are left out.",
    ),
];

/// What an interval is of.
const INTERVALS: (&str, &str) = (
    "[a, b]",
    "95% interval: how far the number would vary with other seeds and other questions, as far as the seeds that were run can \
     tell. All models answer the same questions, so differences are surer than intervals that overlap suggest.",
);

/// The whole page.
///
/// # Errors
/// Only when the built-in template and the page disagree.
pub(super) fn html(study: &StudyReport) -> Result<String> {
    let sizes = figures::sizes(study);
    let floor = if sizes.is_empty() { Vec::new() } else { about_floor(&floors(study)) };
    let explanation = (!floor.is_empty()).then(|| EXPLANATION.to_owned());
    let size = [Block::Figures(sizes)].into_iter().chain(explanation.into_iter().chain(floor).map(Block::Text));
    let groups = tables::groups(study).into_iter().map(Block::Table);
    let curves = figures::curves(study).into_iter().chain(figures::changes(study)).collect();
    let heat_maps = figures::heat_maps(study);
    let maps = if heat_maps.is_empty() { String::new() } else { format!("{READING} Scores are means over seeds.") };
    let changes = [tables::losses(study), tables::divergence(study)];
    let mut page = Page::new(&study.origin.title, headline(study), origin(study));
    let beginning = [tables::models(study), tables::sequence(study)].map(Block::Table);
    page = if study.compares_methods() {
        page.section("The methods and the sequence", beginning)
    } else {
        page.section("The models and the sequence", beginning)
            .section("Does forgetting grow with size?", size)
            .section("Luo et al.’s five claims", [Block::Text(RULE.into()), Block::Claims(claims(study))])
    };
    page.section("The warning", [Block::Table(tables::watched(study))])
        .section("What was kept and lost, by group", groups.chain([Block::Table(tables::tuning(study))]))
        .section("Stage by stage", [Block::Figures(curves)])
        .section("The tasks: scores after each stage", [Block::Text(maps), Block::Figures(heat_maps)])
        .section("Details", tables::suites(study).into_iter().chain(changes).map(Block::Table))
        .terms(&TERMS)
        .terms(&SUITE_TERMS)
        .terms(&[INTERVALS])
        .render()
}

/// The report on a terminal.
pub(super) fn text(study: &StudyReport) -> String {
    let first = [tables::models(study), tables::sequence(study)].into_iter();
    let tables = first.chain(tables::groups(study)).chain([
        tables::tuning(study),
        tables::losses(study),
        tables::divergence(study),
        tables::watched(study),
    ]);
    let mut text = opening(&study.origin.title, &headline(study));
    tables.filter(|table| !table.rows.is_empty()).for_each(|table| text += &captioned(&table));
    if study.compares_methods() {
        return text;
    }
    text += "\nThe floor effect\n";
    about_floor(&floors(study)).iter().for_each(|line| text += &format!("- {line}\n"));
    text += &format!("\nLuo et al.'s five claims\n{RULE}\n");
    claims(study).iter().enumerate().for_each(|(at, claim)| text += &lines(at, claim));
    text
}

fn lines(at: usize, claim: &Claim) -> String {
    let evidence = claim.evidence.iter().map(|line| format!("   - {line}\n")).collect::<String>();
    format!("{}. {}: {}. {}\n{evidence}", at + 1, claim.statement, claim.words, claim.count)
}

/// What is needed to make the report again.
fn origin(study: &StudyReport) -> Vec<Fact> {
    let origin = &study.origin;
    let stages = study.models.iter().flat_map(|model| &model.runs).flat_map(|run| &run.stages);
    let runs = study.models.iter().flat_map(|model| &model.runs);
    let mut seeds: Vec<u64> = runs.map(|run| run.seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let seeds = seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let mut facts = vec![
        Fact::new("Command", &origin.command),
        Fact::new("Started", &origin.started),
        Fact::new("Training time", quantity::duration(stages.map(|stage| stage.seconds).sum())),
        Fact::orbit(&origin.version, origin.commit.as_ref()),
        Fact::machine(&origin.machine),
        Fact::new("Device", &origin.device),
        Fact::new("Seeds", seeds),
    ];
    for model in &study.models {
        if let Some(run) = model.runs.first() {
            facts.push(Fact::new(
                "Model",
                format!("{}: weights {}, configuration {}", model.name, run.model, run.config),
            ));
        }
    }
    facts
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn page_stands_alone() {
        let page = html(&sample::study()).unwrap();
        // 8 of size, 7 over stages, loss and KL, a map for each model.
        assert_eq!(page.matches("<svg").count(), 8 + 7 + 2 + 6);
        let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(ids.len(), unique.len());
        for outside in ["<script", "<link", "src=", "href=\"http", "url(", "@import", "NaN"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn strings_are_escaped() {
        let mut study = sample::study();
        let hostile = "</td><script>alert('1')</script>&amp;";
        (study.origin.title, study.models[0].name) = (hostile.into(), hostile.into());
        study.models[1].measures.suites[0].name = hostile.into();
        study.models[1].measures.losses[0].name = hostile.into();
        let page = html(&study).unwrap();
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_study_without_suites_renders() {
        let mut study = sample::study();
        study.models.truncate(1);
        let measures = &mut study.models[0].measures;
        (measures.suites, measures.groups, measures.pooled, measures.losses) = (vec![], vec![], vec![], vec![]);
        (measures.sequence, measures.divergence) = (None, vec![None; 3]);
        assert!(html(&study).unwrap().contains("? cannot be told"));
        assert!(text(&study).contains("There is nothing in this study to compare."));
    }

    #[test]
    fn text_and_page_say_the_same() {
        let study = sample::study();
        let (page, text) = (html(&study).unwrap(), text(&study));
        let summary = text.lines().nth(2).unwrap();
        assert!(page.contains(summary), "{summary}");
        for claim in claims(&study) {
            assert!(page.contains(&claim.count) && text.contains(&claim.count));
        }
    }
}
