//! What was kept of each language suite.

use super::{
    super::{
        Report, Run,
        labels::UNTOUCHED,
        quantity::{self, Unit},
        svg::{Axis, Chart, Key},
    },
    Figure, runs,
};

/// Share of the height of a row that its markers spread over.
const SPREAD: f64 = 0.5;

/// A row for each suite, a marker for each run.
pub(super) fn figure(report: &Report) -> Option<Figure> {
    let suites = suites(report);
    let tested: Vec<(usize, &Run)> =
        runs(report).filter(|(_, run)| suites.iter().any(|s| kept(run, s).is_some())).collect();
    if tested.is_empty() {
        return None;
    }
    let shares = tested.iter().flat_map(|(_, run)| suites.iter().filter_map(|suite| kept(run, suite)));
    let x = Axis::around("Language kept", shares.chain([0.0, 1.0]), Unit::Percent)?;
    let mut chart = Chart::new(x, Axis::categories(&suites));
    chart.upright("axis", 0.0);
    chart.upright("reference untouched", 1.0);
    for (lane, (series, run)) in tested.iter().enumerate() {
        let offset = SPREAD * (0.5 - (lane as f64 + 0.5) / tested.len() as f64);
        row_markers(&mut chart, *series, run, &suites, offset);
        chart.key(Key::Marker(*series), &run.heading());
    }
    chart.key(Key::Reference("reference untouched"), UNTOUCHED);
    let title = "What was kept, suite by suite";
    let means = tested
        .iter()
        .filter_map(|(_, run)| run.retention().map(|share| format!("{} {}", run.heading(), quantity::percent(share))));
    let description = format!("Mean over the suites: {}.", means.collect::<Vec<_>>().join(", "));
    let caption = "100% is the model before training, 0% is no better than chance.";
    Some(Figure::new(title, caption, chart.render("retention", title, &description)))
}

/// The suites in which some run has a retention, by name.
fn suites(report: &Report) -> Vec<&str> {
    let texts = report.runs.iter().filter_map(|run| run.text.as_ref());
    let mut suites: Vec<&str> = texts.flat_map(|text| text.suites.keys().map(String::as_str)).collect();
    suites.sort_unstable();
    suites.dedup();
    suites.retain(|suite| report.runs.iter().any(|run| kept(run, suite).is_some()));
    suites
}

fn kept(run: &Run, suite: &str) -> Option<f64> {
    run.text.as_ref()?.suites.get(suite)?.retention.filter(|share| share.is_finite())
}

/// The markers of one run; the first suite is the topmost row.
fn row_markers(chart: &mut Chart, series: usize, run: &Run, suites: &[&str], offset: f64) {
    for (row, suite) in suites.iter().rev().enumerate() {
        if let Some(share) = kept(run, suite) {
            let tip = format!("{}, {suite}: {} kept", run.heading(), quantity::percent(share));
            chart.marker(series, share, row as f64 + offset, &tip);
        }
    }
}
