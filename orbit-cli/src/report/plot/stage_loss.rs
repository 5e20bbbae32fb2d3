//! The training loss over all stages.

use super::{
    super::{
        quantity::{self, Unit},
        sequence::Stage,
        svg::{Axis, Chart, Key},
    },
    Figure,
    curves::smoothed,
};

/// One curve that begins anew with each stage; `None` when no stage has a loss.
pub(in super::super) fn figure(stages: &[Stage]) -> Option<Figure> {
    let mut begin = 0.0;
    let mut pieces = Vec::new();
    for stage in stages {
        let finite = stage.history.iter().filter(|point| point.loss.is_finite());
        pieces.push((begin, finite.map(|point| (begin + point.step as f64, point.loss)).collect::<Vec<_>>()));
        begin += stage.steps as f64;
    }
    let losses: Vec<f64> = pieces.iter().flat_map(|(_, piece)| piece.iter().map(|(_, loss)| *loss)).collect();
    let y = Axis::around("Loss (nats a token)", losses, Unit::Number)?;
    let mut chart = Chart::new(Axis::around("Step, over all stages", [0.0, begin], Unit::Number)?, y);
    let mut ends = Vec::new();
    for ((begin, piece), stage) in pieces.iter().zip(stages) {
        chart.upright("reference", *begin);
        chart.trace(0, piece);
        let smooth = smoothed(piece);
        chart.curve(0, &smooth);
        let last = smooth.last().map(|(_, loss)| format!("{} ends at {}", stage.task, quantity::significant(*loss)));
        ends.extend(last);
    }
    for (at, (begin, piece)) in pieces.iter().enumerate() {
        let first = piece.iter().map(|(_, loss)| *loss).fold(f64::NEG_INFINITY, f64::max);
        if first.is_finite() {
            chart.label(*begin, first, &(at + 1).to_string());
        }
    }
    chart.key(Key::Line(0), "Loss, smoothed");
    chart.key(Key::Reference("reference"), "A stage begins");
    let title = "Training loss";
    let caption = "On the task of the stage; lower is better. Thin: as measured. Numbers are those of the stages.";
    Some(Figure::new(title, caption, chart.render("loss", title, &(ends.join("; ") + "."))))
}
