//! Language kept against retrieval.

use super::{
    super::{
        Interval, Report, Retrieval, Run, TRANSITIONS,
        labels::{self, UNTOUCHED},
        quantity::{self, Unit},
        svg::{Axis, Chart, Key},
    },
    Figure, runs,
};

/// A run that was measured in both respects.
struct Outcome {
    series: usize,
    name: String,
    recall: f64,
    kept: f64,
    recall_interval: Option<Interval>,
    kept_interval: Option<Interval>,
}

/// A point for each run, reference lines for what was not trained.
pub(super) fn figure(report: &Report) -> Option<Figure> {
    let outcomes: Vec<Outcome> = runs(report).filter_map(|(series, run)| outcome(series, run)).collect();
    if outcomes.is_empty() {
        return None;
    }
    let references = references(report);
    let recalls = outcomes.iter().flat_map(|o| [o.recall].into_iter().chain(o.recall_interval.into_iter().flatten()));
    let recalls = recalls.chain(references.iter().map(|(_, _, recall)| *recall)).chain([0.0]);
    let shares = outcomes.iter().flat_map(|o| [o.kept].into_iter().chain(o.kept_interval.into_iter().flatten()));
    let x = Axis::around("Recall@10", recalls, Unit::Number)?;
    let y = Axis::around("Language kept", shares.chain([0.0, 1.05]), Unit::Percent)?;
    let mut chart = Chart::new(x, y);
    chart.level("reference untouched", 1.0);
    chart.key(Key::Reference("reference untouched"), UNTOUCHED);
    for (class, name, recall) in references {
        chart.upright(class, recall);
        chart.key(Key::Reference(class), &format!("{name} ({})", quantity::retrieval(recall)));
    }
    let tips = draw(&mut chart, &outcomes);
    let title = "Language against retrieval";
    let caption = "Up is more of the old ability, right is better at the new job: the upper right corner is the goal. Bars \
                   are 95% intervals.";
    Some(Figure::new(title, caption, chart.render("trade-off", title, &(tips.join("; ") + "."))))
}

/// Whiskers below markers below labels; returns what each point says.
fn draw(chart: &mut Chart, outcomes: &[Outcome]) -> Vec<String> {
    for o in outcomes {
        chart.whiskers(o.series, (o.recall, o.kept), o.recall_interval, o.kept_interval);
    }
    let mut tips = Vec::new();
    for o in outcomes {
        let (kept, recall) = (quantity::percent(o.kept), quantity::retrieval(o.recall));
        let tip = format!("{}: {kept} kept, Recall@10 {recall}", o.name);
        chart.marker(o.series, o.recall, o.kept, &tip);
        tips.push(tip);
    }
    for o in outcomes {
        chart.label(o.recall, o.kept, &o.name);
    }
    tips
}

fn outcome(series: usize, run: &Run) -> Option<Outcome> {
    let finite = |ends: &Interval| ends.iter().all(|end| end.is_finite());
    let (retrieval, text) = (run.retrieval.as_ref()?, run.text.as_ref()?);
    Some(Outcome {
        series,
        name: run.heading(),
        recall: run.recall()?,
        kept: run.retention()?,
        recall_interval: retrieval.ci.recall.get(&10).copied().filter(finite),
        kept_interval: text.ci.filter(finite),
    })
}

/// The baselines as class of the line, name and Recall@10.
fn references(report: &Report) -> Vec<(&'static str, String, f64)> {
    let class = |name: &str| if name == TRANSITIONS { "reference transitions" } else { "reference popularity" };
    let line = |(name, retrieval): (&'_ String, &Retrieval)| {
        Some((class(name), labels::baseline(name).to_owned(), retrieval.recall_at_10()?))
    };
    report.baselines.iter().flatten().filter_map(line).collect()
}
