//! A measure against the size of the model.

use orbit_data::continual::Estimate;

use super::{
    super::{
        Interval,
        quantity::Unit,
        svg::{Axis, Chart, Key},
        table::ends,
    },
    Figure,
};

/// How far a point stands aside of another of the same size, in powers of ten.
const ASIDE: f64 = 0.035;

/// A plot over the sizes of models.
pub(in super::super) struct Sizes {
    /// Unique in the page.
    pub(in super::super) id: String,
    pub(in super::super) title: String,
    pub(in super::super) caption: String,
    /// What is up.
    pub(in super::super) axis: &'static str,
    pub(in super::super) write: fn(f64) -> String,
    /// In rising order of size within a series.
    pub(in super::super) points: Vec<Sized>,
    /// What the hollow marks are.
    pub(in super::super) hollow: Option<&'static str>,
    /// Heights that must be in view.
    pub(in super::super) view: [f64; 2],
    /// How far intervals are shown, which may be endless where there was little to keep.
    pub(in super::super) reach: [f64; 2],
}

/// A model.
pub(in super::super) struct Sized {
    /// Gives the colour and the marker.
    pub(in super::super) series: usize,
    /// Name of the series.
    pub(in super::super) family: &'static str,
    pub(in super::super) name: String,
    pub(in super::super) parameters: f64,
    pub(in super::super) value: Estimate,
    /// What the hollow mark stands at.
    pub(in super::super) hollow: Option<f64>,
}

impl Sizes {
    /// The plot; `None` without a point.
    pub(in super::super) fn figure(self) -> Option<Figure> {
        let x = Axis::sizes("Parameters", self.points.iter().map(|point| point.parameters))?;
        let heights = self.points.iter().flat_map(|point| {
            let ends = self.bar(point).into_iter().flatten();
            [point.value.value].into_iter().chain(ends).chain(point.hollow)
        });
        let y = Axis::around(self.axis, heights.chain(self.view), Unit::Percent)?;
        let mut chart = Chart::new(x, y);
        let mut families: Vec<(usize, &str)> = self.points.iter().map(|point| (point.series, point.family)).collect();
        families.sort_unstable();
        families.dedup();
        for (series, family) in families {
            self.draw(&mut chart, series);
            chart.key(Key::Line(series), family);
        }
        let first = self.points.iter().find(|point| point.hollow.is_some());
        if let Some((point, hollow)) = first.zip(self.hollow) {
            chart.key(Key::Hollow(point.series), hollow);
        }
        for (x, point) in self.places() {
            chart.label(x, point.value.value, &point.name);
        }
        let tips: Vec<String> = self.points.iter().map(|point| self.tip(point)).collect();
        let svg = chart.render(&self.id, &self.title, &(tips.join("; ") + "."));
        Some(Figure::new(self.title, self.caption, svg))
    }

    /// The points with their place across: aside where one of an earlier series has the same size.
    fn places(&self) -> impl Iterator<Item = (f64, &Sized)> {
        self.points.iter().map(|point| {
            let same = |other: &&Sized| other.parameters == point.parameters && other.series < point.series;
            let before = self.points.iter().filter(same).count() as f64;
            (Axis::size(point.parameters) + ASIDE * before, point)
        })
    }

    fn of(&self, series: usize) -> impl Iterator<Item = (f64, &Sized)> {
        self.places().filter(move |(_, point)| point.series == series)
    }

    fn draw(&self, chart: &mut Chart, series: usize) {
        let limits: Vec<(f64, f64)> = self.of(series).filter_map(|(x, point)| Some((x, point.hollow?))).collect();
        chart.dashes(series, &limits);
        let values: Vec<(f64, f64)> = self.of(series).map(|(x, point)| (x, point.value.value)).collect();
        chart.curve(series, &values);
        for (x, point) in self.of(series) {
            chart.whiskers(series, (x, point.value.value), None, self.bar(point));
            if let (Some(limit), Some(what)) = (point.hollow, self.hollow) {
                chart.hollow(series, x, limit, &format!("{}, {what}: {}", point.name, (self.write)(limit)));
            }
        }
        for (x, point) in self.of(series) {
            chart.marker(series, x, point.value.value, &self.tip(point));
        }
    }

    /// The interval, cut where it leaves the plot, but never short of the value.
    fn bar(&self, point: &Sized) -> Option<Interval> {
        let ([low, high], value) = (ends(&point.value)?, point.value.value);
        let [least, most] = self.reach;
        Some([low.max(least.min(value)), high.min(most.max(value))])
    }

    fn tip(&self, point: &Sized) -> String {
        format!("{}: {}", point.name, (self.write)(point.value.value))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use orbit_data::statistics::Interval as Ends;

    use super::*;

    fn sized(series: usize, parameters: f64, value: f64, half: f64) -> Sized {
        let interval = Some(Ends { low: value - half, high: value + half });
        let (family, name) = ("decoder", format!("{parameters}"));
        Sized { series, family, name, parameters, value: Estimate { value, interval }, hollow: Some(0.5) }
    }

    fn sizes(points: Vec<Sized>) -> Sizes {
        Sizes {
            id: "x".into(),
            title: "X".into(),
            caption: String::new(),
            axis: "Kept",
            write: super::super::super::quantity::percent,
            points,
            hollow: Some("limit"),
            view: [0.0, 1.0],
            reach: [-0.5, 1.5],
        }
    }

    #[test]
    fn bars_are_cut_but_values_are_not() {
        let plot = sizes(vec![sized(0, 1e8, 0.5, 9.0), sized(0, 2e8, -3.0, 1.0)]);
        assert_eq!(plot.bar(&plot.points[0]), Some([-0.5, 1.5]));
        assert_eq!(plot.bar(&plot.points[1]), Some([-3.0, -2.0]));
    }

    #[test]
    fn one_size_stands_side_by_side_and_one_key_explains_hollow_marks() {
        let plot = sizes(vec![sized(0, 1e8, 0.5, 0.1), sized(1, 1e8, 0.4, 0.1)]);
        let places: Vec<f64> = plot.places().map(|(x, _)| x).collect();
        assert_eq!(places, [8.0, 8.0 + ASIDE]);
        let svg = plot.figure().unwrap().svg;
        assert_eq!(svg.matches(">limit</text>").count(), 1);
        assert!(sizes(Vec::new()).figure().is_none());
    }
}
