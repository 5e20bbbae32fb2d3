//! The instruction vectors of watched tasks.

use orbit_data::continual::Estimate;

use super::{
    super::{
        quantity::{self, Unit},
        svg::{Axis, Chart, Key},
        watched::WatchedTask,
    },
    Figure,
};

/// The cosine with the vector before training, a curve a task. `stages` are the steps of each stage.
pub(in super::super) fn over_steps(tasks: &[WatchedTask], stages: &[u64]) -> Option<Figure> {
    let looks = tasks.iter().flat_map(|task| &task.looks);
    let x =
        Axis::around("Step, over all stages", looks.clone().map(|look| look.step as f64).chain([0.0]), Unit::Number)?;
    let y = Axis::around("Cosine", looks.map(|look| look.cosine).chain([1.0]), Unit::Number)?;
    if tasks.is_empty() {
        return None;
    }
    let mut chart = Chart::new(x, y);
    let mut begin = 0;
    for steps in stages {
        chart.upright("reference", begin as f64);
        begin += steps;
    }
    let mut ends = Vec::new();
    for (series, task) in tasks.iter().enumerate() {
        chart.curve(series, &task.looks.iter().map(|look| (look.step as f64, look.cosine)).collect::<Vec<_>>());
        chart.key(Key::Line(series), &task.name);
        ends.extend(task.looks.last().map(|look| format!("{} ends at {}", task.name, quantity::score(look.cosine))));
    }
    chart.key(Key::Reference("reference"), "A stage begins");
    let title = "Instruction vectors of tasks that are not trained";
    let caption = "Cosine of each vector with what it was before training. A fall warns that the skill goes.";
    Some(Figure::new(title, caption, chart.render("watched", title, &(ends.join("; ") + "."))))
}

/// How far the loss has risen against the cosine, a point a look.
pub(in super::super) fn against_loss(tasks: &[WatchedTask], told: Option<&Estimate>) -> Option<Figure> {
    let rise = |task: &WatchedTask| {
        let first = task.looks.first().map_or(0.0, |look| look.loss);
        task.looks.iter().skip(1).map(move |look| (look.cosine, look.loss - first)).collect::<Vec<_>>()
    };
    let points: Vec<Vec<(f64, f64)>> = tasks.iter().map(rise).collect();
    let all = points.iter().flatten();
    let x = Axis::around("Cosine", all.clone().map(|point| point.0), Unit::Number)?;
    let y = Axis::around("Change of loss (nats a token)", all.map(|point| point.1).chain([0.0]), Unit::Number)?;
    let mut chart = Chart::new(x, y);
    chart.level("reference", 0.0);
    for (series, (task, points)) in tasks.iter().zip(&points).enumerate() {
        for &(x, y) in points {
            let tip = format!("{}: cosine {}, loss {}", task.name, quantity::score(x), quantity::signed(y));
            chart.marker(series, x, y, &tip);
        }
        chart.key(Key::Marker(series), &task.name);
    }
    let title = "What the cosine tells";
    let told = told.map_or_else(String::new, |told| format!(" Their correlation is {}.", quantity::signed(told.value)));
    let caption =
        format!("How far the loss on the answers, asked by instruction alone, is from before training.{told}");
    let svg = chart.render("watched-loss", title, &caption);
    Some(Figure::new(title, caption, svg))
}
