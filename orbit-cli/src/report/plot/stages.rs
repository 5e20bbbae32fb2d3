//! What happened from stage to stage.

use super::{
    super::{
        quantity::Unit,
        spread::Spread,
        svg::{Axis, Chart, Key, PALETTE},
    },
    Figure,
};

/// How far lines stand apart, in stages, so that their ranges do not hide each other.
const APART: f64 = 0.07;

/// A plot over the stages.
pub(in super::super) struct Stages<'a> {
    /// Unique in the page.
    pub(in super::super) id: String,
    pub(in super::super) title: String,
    pub(in super::super) caption: String,
    /// What is up.
    pub(in super::super) axis: &'a str,
    pub(in super::super) unit: Unit,
    pub(in super::super) write: fn(f64) -> String,
    /// The tasks of the stages.
    pub(in super::super) tasks: &'a [String],
    pub(in super::super) lines: Vec<Line>,
    /// What the dotted lines are.
    pub(in super::super) level: &'static str,
    /// Heights that must be in view.
    pub(in super::super) view: Vec<f64>,
}

/// Something with a value before training and after each stage.
pub(in super::super) struct Line {
    /// Gives the colour and the marker.
    pub(in super::super) series: usize,
    pub(in super::super) name: String,
    /// From before training on; none where it was not measured.
    pub(in super::super) values: Vec<Option<Spread>>,
    /// Where a dotted line is: the value of guessing.
    pub(in super::super) chance: Option<f64>,
}

impl Stages<'_> {
    /// The plot; `None` when no line has a value.
    pub(in super::super) fn figure(mut self) -> Option<Figure> {
        self.lines.retain(|line| line.values.iter().any(Option::is_some));
        let spreads = self.lines.iter().flat_map(|line| line.values.iter().flatten());
        let heights = spreads.flat_map(|spread| [spread.low, spread.high]);
        let heights = heights.chain(self.lines.iter().filter_map(|line| line.chance)).chain(self.view.iter().copied());
        if self.lines.is_empty() {
            return None;
        }
        let y = Axis::around(self.axis, heights, self.unit)?;
        let mut chart = Chart::new(Axis::stages(self.tasks), y);
        self.draw_chances(&mut chart);
        let middle = (self.lines.len() - 1) as f64 / 2.0;
        for (lane, line) in self.lines.iter().enumerate() {
            self.draw(&mut chart, line, APART * (lane as f64 - middle));
            chart.key(Key::Line(line.series), &line.name);
        }
        if self.lines.iter().any(|line| line.chance.is_some()) {
            chart.key(Key::Reference("chance"), self.level);
        }
        let svg = chart.render(&self.id, &self.title, &self.description());
        Some(Figure::new(self.title, self.caption, svg))
    }

    /// In the colour of a line, unless lines share it.
    fn draw_chances(&self, chart: &mut Chart) {
        for (at, line) in self.lines.iter().enumerate() {
            let Some(chance) = line.chance else { continue };
            let same = |other: &Line| other.chance == Some(chance);
            if self.lines[..at].iter().any(same) {
                continue;
            }
            let shared = self.lines[at + 1..].iter().any(same);
            let colour = if shared { String::new() } else { format!(" s{}", line.series % PALETTE) };
            chart.level(&format!("chance{colour}"), chance);
        }
    }

    /// A line breaks where a stage was not measured.
    fn draw(&self, chart: &mut Chart, line: &Line, aside: f64) {
        let places: Vec<Option<(f64, Spread)>> =
            line.values.iter().enumerate().map(|(at, value)| Some((at as f64 + aside, (*value)?))).collect();
        for piece in places.split(Option::is_none) {
            let points: Vec<(f64, f64)> = piece.iter().flatten().map(|(x, spread)| (*x, spread.mean)).collect();
            chart.curve(line.series, &points);
        }
        for (at, (x, spread)) in places.iter().enumerate().filter_map(|(at, place)| Some((at, (*place)?))) {
            if spread.low < spread.high {
                chart.whiskers(line.series, (x, spread.mean), None, Some([spread.low, spread.high]));
            }
            let stage = if at == 0 { "before training" } else { self.tasks.get(at - 1).map_or("", String::as_str) };
            chart.marker(
                line.series,
                x,
                spread.mean,
                &format!("{}, {stage}: {}", line.name, (self.write)(spread.mean)),
            );
        }
    }

    fn description(&self) -> String {
        let ends = self.lines.iter().filter_map(|line| {
            let last = line.values.iter().flatten().next_back()?;
            Some(format!("{} ends at {}", line.name, (self.write)(last.mean)))
        });
        ends.collect::<Vec<_>>().join("; ") + "."
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn stages(values: Vec<Option<Spread>>) -> Option<Figure> {
        let line = Line { series: 0, name: "x".into(), values, chance: Some(0.25) };
        let tasks = ["a", "b", "c"].map(str::to_owned);
        Stages {
            id: "x".into(),
            title: "X".into(),
            caption: String::new(),
            axis: "Score",
            unit: Unit::Number,
            write: super::super::super::quantity::score,
            tasks: &tasks,
            lines: vec![line],
            level: "guessing",
            view: vec![0.0],
        }
        .figure()
    }

    #[test]
    fn a_line_breaks_where_nothing_was_measured() {
        let at = |mean| Some(Spread { mean, low: mean, high: mean });
        let whole = stages(vec![at(0.5), at(0.4), at(0.3), at(0.3)]).unwrap().svg;
        assert_eq!((whole.matches("<polyline").count(), whole.matches("<title>x, ").count()), (1, 4));
        let broken = stages(vec![at(0.5), at(0.4), None, at(0.3)]).unwrap().svg;
        assert_eq!((broken.matches("<polyline").count(), broken.matches("<title>x, ").count()), (2, 3));
        assert!(broken.contains("x ends at 0.300."));
        assert!(stages(vec![None; 4]).is_none());
    }
}
