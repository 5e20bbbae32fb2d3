//! What happened over the steps.

use super::{
    super::{
        DriftMetric, Point, Report, Run, quantity,
        quantity::Unit,
        svg::{Axis, Chart, Key},
    },
    Figure, runs,
};

/// Share of the last smoothed value in the next one.
const SMOOTHING: f64 = 0.9;

/// A run with a value for some of its steps.
struct Curve<'a> {
    series: usize,
    run: &'a Run,
    points: Vec<(f64, f64)>,
}

/// Distance from the original weights, with the merges.
pub(super) fn drift(report: &Report) -> Option<Figure> {
    let limited = report.runs.iter().filter_map(|run| run.max_drift);
    let metric = limited.clone().next().map_or(DriftMetric::Flips, |limit| limit.metric);
    let (name, unit, write): (_, _, fn(f64) -> String) = match metric {
        DriftMetric::Flips => ("Weights whose sign flipped", Unit::Percent, quantity::fine_percent),
        DriftMetric::L2 => ("L2 distance from the original weights", Unit::Number, quantity::significant),
    };
    let mut limits: Vec<f64> = limited.filter(|limit| limit.metric == metric).map(|limit| limit.value).collect();
    limits.dedup();
    let curves = curves(report, |point| Some(point.drift?.by(metric)))?;
    let heights = heights(&curves).chain(limits.iter().copied()).chain([0.0]);
    let mut chart = Chart::new(steps(&curves)?, Axis::around(name, heights, unit)?);
    draw(&mut chart, &curves);
    for limit in limits {
        chart.level("reference limit", limit);
        chart.key(Key::Reference("reference limit"), &format!("allowed ({})", write(limit)));
    }
    for (lane, curve) in curves.iter().filter(|curve| curve.run.merges > 0).enumerate() {
        let merged = curve.run.history.iter().filter(|point| point.merges > 0);
        chart.rug(curve.series, lane, merged.map(|point| point.step as f64));
    }
    let title = "Drift over training";
    let end = |curve: &Curve<'_>| {
        let (run, merges) = (curve.run, quantity::count(curve.run.merges));
        format!("{} ends at {} after {merges} merges", run.heading(), write(run.drift.by(metric)))
    };
    let caption = "How far the weights are from where they began. Strokes at the bottom are merges with the original \
                   weights.";
    Some(Figure::new(title, caption, chart.render("drift", title, &sentence(curves.iter().map(end)))))
}

/// Training loss: as it was, and smoothed.
pub(super) fn loss(report: &Report) -> Option<Figure> {
    let raw = curves(report, |point| Some(point.loss))?;
    let y = Axis::around("Loss (nats a token)", heights(&raw), Unit::Number)?;
    let mut chart = Chart::new(steps(&raw)?, y);
    for curve in &raw {
        chart.trace(curve.series, &curve.points);
    }
    let smooth: Vec<Curve<'_>> =
        raw.into_iter().map(|curve| Curve { points: smoothed(&curve.points), ..curve }).collect();
    draw(&mut chart, &smooth);
    let title = "Training loss";
    let end = |curve: &Curve<'_>| {
        let (_, loss) = curve.points.last()?;
        Some(format!("{} ends at {}", curve.run.heading(), quantity::significant(*loss)))
    };
    let caption = "On the new job; lower is better. Thin: as measured. Thick: smoothed.";
    Some(Figure::new(title, caption, chart.render("loss", title, &sentence(smooth.iter().filter_map(end)))))
}

/// The runs that have a finite value for at least one step; `None` when none has.
fn curves(report: &Report, value: impl Fn(&Point) -> Option<f64>) -> Option<Vec<Curve<'_>>> {
    let place = |point: &Point| Some((point.step as f64, value(point).filter(|value| value.is_finite())?));
    let curves: Vec<Curve<'_>> = runs(report)
        .map(|(series, run)| Curve { series, run, points: run.history.iter().filter_map(&place).collect() })
        .filter(|curve| !curve.points.is_empty())
        .collect();
    (!curves.is_empty()).then_some(curves)
}

fn draw(chart: &mut Chart, curves: &[Curve<'_>]) {
    for curve in curves {
        chart.curve(curve.series, &curve.points);
        chart.key(Key::Line(curve.series), &curve.run.heading());
    }
}

fn steps(curves: &[Curve<'_>]) -> Option<Axis> {
    let ends = curves.iter().filter_map(|curve| curve.points.last()).map(|(step, _)| *step);
    Axis::around("Step", std::iter::once(0.0).chain(ends), Unit::Number)
}

fn heights<'a>(curves: &'a [Curve<'_>]) -> impl Iterator<Item = f64> + 'a {
    curves.iter().flat_map(|curve| &curve.points).map(|(_, height)| *height)
}

fn sentence(clauses: impl Iterator<Item = String>) -> String {
    clauses.collect::<Vec<_>>().join("; ") + "."
}

/// Exponential moving average without the bias of its first value.
pub(super) fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let next = |(step, value): &(f64, f64)| {
        sum = SMOOTHING * sum + (1.0 - SMOOTHING) * value;
        weight = SMOOTHING * weight + (1.0 - SMOOTHING);
        (*step, sum / weight)
    };
    points.iter().map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_begins_unbiased_and_follows() {
        let smooth = smoothed(&[(1.0, 4.0), (2.0, 4.0), (3.0, 0.0)]);
        assert!((smooth[1].1 - 4.0).abs() < 1e-12);
        assert!(smooth[2].1 > 2.0 && smooth[2].1 < 4.0);
    }
}
