//! One chart as an inline SVG that takes its colours from the page.
//!
//! Shapes carry classes (`s0`, `s1`, … for a series) and no colours, so that the style sheet of the page decides, in
//! light and in dark mode. Series differ in colour and in marker, so no reader
//! depends on colour alone.

use std::fmt::Write;

use super::quantity::{self, Unit};

pub(super) const WIDTH: f64 = 460.0;
const PLOT_HEIGHT: f64 = 256.0;
const TOP: f64 = 14.0;
const RIGHT: f64 = 22.0;
/// Room below the plot for tick labels and the name of the axis.
const BELOW: f64 = 46.0;
/// Mean width of a character of the chart font, which cannot be measured here.
pub(super) const CHAR: f64 = 6.8;
/// Height of a line of the legend.
const LINE: f64 = 19.0;
/// Width of what stands before a name in the legend.
const KEY: f64 = 28.0;
/// Distinct colours in the style sheet; later series begin again.
pub(super) const PALETTE: usize = 6;

/// A direction of the plot: what it shows, its ends and its labelled places.
pub(super) struct Axis {
    pub(super) name: String,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Round ends around `values` with three to eight ticks; `None` when no value is finite.
    pub(super) fn around(name: &str, values: impl IntoIterator<Item = f64>, unit: Unit) -> Option<Self> {
        let values = values.into_iter().filter(|value| value.is_finite());
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            return None;
        }
        let span = if high > low { high - low } else { high.abs().max(1.0) };
        let step = round_step(span / 7.0);
        let (first, last) = ((low / step).floor(), (high.max(low + step / 2.0) / step).ceil());
        let ticks = (0..=(last - first) as usize).map(|i| (first + i as f64) * step);
        let ticks = ticks.map(|place| (place, unit.tick(place, step))).collect();
        Some(Self { name: name.to_owned(), low: first * step, high: last * step, ticks })
    }

    /// One place for each name, the first at the top.
    pub(super) fn categories(names: &[&str]) -> Self {
        let ticks = names.iter().rev().enumerate().map(|(i, name)| (i as f64, (*name).to_owned())).collect();
        Self { name: String::new(), low: -0.5, high: names.len() as f64 - 0.5, ticks }
    }

    /// Numbers of parameters on a logarithmic scale: the places are powers of ten, see [`Axis::size`]. `None` without one.
    pub(super) fn sizes(name: &str, parameters: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sizes: Vec<f64> = parameters.into_iter().filter(|size| *size > 0.0).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        let (low, high) = (sizes.first()? / 1.5, sizes.last()? * 1.5);
        let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let round = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power)));
        let round: Vec<f64> = round.filter(|size| (low..=high).contains(size)).collect();
        let ticks = if round.len() > 1 { round } else { sizes };
        let ticks = ticks.into_iter().map(|size| (Self::size(size), quantity::parameters(size))).collect();
        Some(Self { name: name.to_owned(), low: Self::size(low), high: Self::size(high), ticks })
    }

    /// The place of a number of parameters on the axis of [`sizes`](Self::sizes).
    pub(super) fn size(parameters: f64) -> f64 {
        parameters.log10()
    }

    /// Before training and after each stage, from 0: by the names of the tasks where they have room, else by number.
    pub(super) fn stages(tasks: &[String]) -> Self {
        let longest = tasks.iter().map(|task| task.chars().count()).max().unwrap_or(0);
        let room = (WIDTH - 90.0) / (tasks.len() + 1) as f64 / CHAR;
        let named = longest as f64 <= room;
        let label = |(at, task): (usize, &String)| if named { task.clone() } else { (at + 1).to_string() };
        let labels = std::iter::once("before".to_owned()).chain(tasks.iter().enumerate().map(label));
        let ticks = labels.enumerate().map(|(at, label)| (at as f64, label)).collect();
        let name = if named { "After the stage" } else { "After the stage, by number" };
        Self { name: name.to_owned(), low: -0.35, high: tasks.len() as f64 + 0.35, ticks }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0].map(|factor| factor * power).into_iter().find(|step| *step >= least * 0.999).unwrap_or(10.0 * power)
}

/// A drawing under construction. Later marks lie over earlier ones.
pub(super) struct Chart {
    x: Axis,
    y: Axis,
    left: f64,
    body: String,
    legend: Vec<(Key, String)>,
    /// Boxes taken by labels and markers: left, top, right, bottom.
    taken: Vec<[f64; 4]>,
}

/// What stands before a name in the legend.
#[derive(Clone, Copy)]
pub(super) enum Key {
    /// The line of a series.
    Line(usize),
    /// The marker of a series.
    Marker(usize),
    /// The marker of a series without its filling.
    Hollow(usize),
    /// A reference line with this class.
    Reference(&'static str),
}

impl Chart {
    /// An empty plot with grid and axes.
    pub(super) fn new(x: Axis, y: Axis) -> Self {
        let widest = y.ticks.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(0);
        let left = 16.0 + CHAR * widest as f64 + if y.name.is_empty() { 0.0 } else { 18.0 };
        let mut chart = Self { x, y, left, body: String::new(), legend: Vec::new(), taken: Vec::new() };
        chart.axes();
        chart
    }

    fn axes(&mut self) {
        let (right, bottom) = (WIDTH - RIGHT, TOP + PLOT_HEIGHT);
        let mut svg = String::new();
        for (value, label) in &self.y.ticks {
            let (y, label) = (self.py(*value), escape(label));
            line(&mut svg, "grid", [self.left, y, right, y]);
            text(&mut svg, "tick end", self.left - 7.0, y + 4.0, &label);
        }
        for (value, label) in &self.x.ticks {
            let (x, label) = (self.px(*value), escape(label));
            line(&mut svg, "grid", [x, TOP, x, bottom]);
            text(&mut svg, "tick middle", x, bottom + 17.0, &label);
        }
        line(&mut svg, "axis", [self.left, bottom, right, bottom]);
        line(&mut svg, "axis", [self.left, TOP, self.left, bottom]);
        text(&mut svg, "name middle", (self.left + right) / 2.0, bottom + 37.0, &escape(&self.x.name));
        let _ = write!(
            svg,
            r#"<text class="name middle" transform="translate(13 {:.1}) rotate(-90)">{}</text>"#,
            TOP + PLOT_HEIGHT / 2.0,
            escape(&self.y.name)
        );
        self.body += &svg;
    }

    fn px(&self, x: f64) -> f64 {
        self.left + self.x.share(x) * (WIDTH - RIGHT - self.left)
    }

    fn py(&self, y: f64) -> f64 {
        TOP + (1.0 - self.y.share(y)) * PLOT_HEIGHT
    }

    /// The line of a series, thick, with its marker at the end.
    pub(super) fn curve(&mut self, series: usize, points: &[(f64, f64)]) {
        self.polyline("curve", series, points);
        self.avoid(points);
        if let Some((x, y)) = points.last() {
            self.body += &marker("marker", series, self.px(*x), self.py(*y));
        }
    }

    /// Keeps labels off a line, where they can.
    fn avoid(&mut self, points: &[(f64, f64)]) {
        for pair in points.windows(2) {
            let [(x, y), (to_x, to_y)] = [pair[0], pair[1]].map(|(x, y)| (self.px(x), self.py(y)));
            let pieces = ((to_x - x).hypot(to_y - y) / 6.0).ceil().max(1.0);
            let at = |piece: usize| {
                let share = piece as f64 / pieces;
                let (x, y) = (x + share * (to_x - x), y + share * (to_y - y));
                [x - 2.0, y - 2.0, x + 2.0, y + 2.0]
            };
            self.taken.extend((0..pieces as usize).map(at));
        }
    }

    /// The line of a series, thin: what lies behind a curve.
    pub(super) fn trace(&mut self, series: usize, points: &[(f64, f64)]) {
        self.polyline("trace", series, points);
    }

    /// The line of a series, dashed: a limit that moves.
    pub(super) fn dashes(&mut self, series: usize, points: &[(f64, f64)]) {
        self.polyline("dashes", series, points);
        self.avoid(points);
    }

    fn polyline(&mut self, class: &str, series: usize, points: &[(f64, f64)]) {
        let series = series % PALETTE;
        let places = points.iter().map(|(x, y)| format!("{:.1},{:.1}", self.px(*x), self.py(*y)));
        let places = places.collect::<Vec<_>>().join(" ");
        let _ = write!(self.body, r#"<polyline class="{class} s{series}" points="{places}"/>"#);
    }

    /// The marker of a series; `tip` is shown when the pointer rests on it.
    pub(super) fn marker(&mut self, series: usize, x: f64, y: f64, tip: &str) {
        self.mark("marker", series, x, y, tip);
    }

    /// The marker of a series without its filling.
    pub(super) fn hollow(&mut self, series: usize, x: f64, y: f64, tip: &str) {
        self.mark("hollow", series, x, y, tip);
    }

    fn mark(&mut self, class: &str, series: usize, x: f64, y: f64, tip: &str) {
        let (x, y) = (self.px(x), self.py(y));
        self.taken.push([x - 7.0, y - 7.0, x + 7.0, y + 7.0]);
        let shape = marker(class, series, x, y);
        let _ = write!(self.body, "<g><title>{}</title>{shape}</g>", escape(tip));
    }

    /// 95% interval of a point along one or both directions.
    pub(super) fn whiskers(&mut self, series: usize, (x, y): (f64, f64), wx: Option<[f64; 2]>, wy: Option<[f64; 2]>) {
        let class = format!("whisker s{}", series % PALETTE);
        let (px, py) = (self.px(x), self.py(y));
        if let Some([low, high]) = wx {
            let ends = [self.px(low), py, self.px(high), py];
            self.taken.push([ends[0], py - 1.0, ends[2], py + 1.0]);
            line(&mut self.body, &class, ends);
        }
        if let Some([low, high]) = wy {
            let ends = [px, self.py(low), px, self.py(high)];
            self.taken.push([px - 1.0, ends[3], px + 1.0, ends[1]]);
            line(&mut self.body, &class, ends);
        }
    }

    /// A line across the plot at a height.
    pub(super) fn level(&mut self, class: &str, y: f64) {
        let y = self.py(y);
        line(&mut self.body, class, [self.left, y, WIDTH - RIGHT, y]);
    }

    /// A line up the plot.
    pub(super) fn upright(&mut self, class: &str, x: f64) {
        let x = self.px(x);
        line(&mut self.body, class, [x, TOP, x, TOP + PLOT_HEIGHT]);
    }

    /// Short strokes along the bottom, one lane for each series that has some.
    pub(super) fn rug(&mut self, series: usize, lane: usize, xs: impl Iterator<Item = f64>) {
        let bottom = TOP + PLOT_HEIGHT - 3.0 - 11.0 * lane as f64;
        let class = format!("rug s{}", series % PALETTE);
        for x in xs.map(|x| self.px(x)).collect::<Vec<_>>() {
            line(&mut self.body, &class, [x, bottom - 8.0, x, bottom]);
        }
    }

    /// A name beside a point, on the first side where nothing is in the way. Draw all markers first.
    pub(super) fn label(&mut self, x: f64, y: f64, name: &str) {
        let (x, y, wide) = (self.px(x), self.py(y), CHAR * name.chars().count() as f64);
        let beside = [11.0, -11.0 - wide, -wide / 2.0];
        let places = [-7.0, -22.0, 8.0, -36.0, 22.0, -50.0, 36.0].into_iter().flat_map(|dy| beside.map(|dx| (dx, dy)));
        let boxes = places.map(|(dx, dy)| [x + dx, y + dy, x + dx + wide, y + dy + 14.0]);
        let inside: Vec<[f64; 4]> =
            boxes.filter(|b| b[0] > self.left && b[2] < WIDTH && b[1] > 0.0 && b[3] < TOP + PLOT_HEIGHT).collect();
        let free = inside.iter().find(|place| self.taken.iter().all(|other| !overlap(place, other)));
        let Some(place) = free.or(inside.first()).copied() else { return };
        self.taken.push(place);
        text(&mut self.body, "label", place[0], place[1] + 11.0, &escape(name));
    }

    /// Adds a name to the legend.
    pub(super) fn key(&mut self, key: Key, name: &str) {
        self.legend.push((key, name.to_owned()));
    }

    /// The finished drawing. `id` must be unique in the page; `title` and `description` are for those who cannot see it.
    pub(super) fn render(mut self, id: &str, title: &str, description: &str) -> String {
        let height = self.draw_legend();
        drawing(id, [WIDTH, height], title, description, &self.body)
    }

    /// Below the plot, in as many lines as it needs; the height of the whole drawing.
    fn draw_legend(&mut self) -> f64 {
        let (mut x, mut y) = (self.left, TOP + PLOT_HEIGHT + BELOW + LINE / 2.0);
        for (key, name) in std::mem::take(&mut self.legend) {
            let wide = KEY + 8.0 + CHAR * name.chars().count() as f64;
            if x > self.left && x + wide > WIDTH {
                (x, y) = (self.left, y + LINE);
            }
            match key {
                Key::Line(series) => {
                    line(&mut self.body, &format!("curve s{}", series % PALETTE), [x, y, x + KEY, y]);
                    self.body += &marker("marker", series, x + KEY / 2.0, y);
                }
                Key::Marker(series) => self.body += &marker("marker", series, x + KEY / 2.0, y),
                Key::Hollow(series) => self.body += &marker("hollow", series, x + KEY / 2.0, y),
                Key::Reference(class) => line(&mut self.body, class, [x, y, x + KEY, y]),
            }
            text(&mut self.body, "label", x + KEY + 6.0, y + 4.0, &escape(&name));
            x += wide + 12.0;
        }
        y + LINE / 2.0 + 2.0
    }
}

/// A whole drawing of width and height `size`. `id` must be unique in the page.
pub(super) fn drawing(id: &str, [width, height]: [f64; 2], title: &str, description: &str, body: &str) -> String {
    format!(
        r#"<svg viewBox="0 0 {width:.0} {height:.0}" role="img" aria-labelledby="{id}-title {id}-desc"><title id="{id}-title">{}</title><desc id="{id}-desc">{}</desc>{body}</svg>"#,
        escape(title),
        escape(description),
    )
}

fn overlap(a: &[f64; 4], b: &[f64; 4]) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// Circle, square, triangle, diamond in turn.
fn marker(class: &str, series: usize, x: f64, y: f64) -> String {
    let class = format!("{class} s{}", series % PALETTE);
    let path = match series % 4 {
        0 => return format!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="6"/>"#),
        1 => format!("M{:.1} {:.1}h11v11h-11z", x - 5.5, y - 5.5),
        2 => format!("M{x:.1} {:.1}l7 12h-14z", y - 7.5),
        _ => format!("M{x:.1} {:.1}l7.5 7.5l-7.5 7.5l-7.5 -7.5z", y - 7.5),
    };
    format!(r#"<path class="{class}" d="{path}"/>"#)
}

pub(super) fn line(svg: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    let _ = write!(svg, r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#);
}

pub(super) fn text(svg: &mut String, class: &str, x: f64, y: f64, escaped: &str) {
    let _ = write!(svg, r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{escaped}</text>"#);
}

/// Text as it may stand in an element. Characters that XML forbids become the replacement character.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\t' | '\n' | '\r' => escaped.push(' '),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ends() {
        let places = |values: &[f64]| {
            let axis = Axis::around("x", values.iter().copied(), Unit::Number);
            axis.map(|axis| axis.ticks.into_iter().map(|(place, _)| place).collect::<Vec<_>>())
        };
        assert_eq!(places(&[0.0, 9.7]), Some(vec![0.0, 2.0, 4.0, 6.0, 8.0, 10.0]));
        assert_eq!(places(&[-0.1, 1.0, f64::NAN]), Some(vec![-0.2, 0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]));
        assert_eq!(places(&[f64::NAN]), None);
        assert!(places(&[3.0, 3.0]).is_some_and(|ticks| ticks.len() > 1), "a constant still has an axis");
        assert!(places(&[0.0]).is_some_and(|ticks| ticks.len() > 1));
    }

    #[test]
    fn escaping_leaves_no_markup() {
        assert_eq!(escape("<b a=\"1\">&'\u{7}\n"), "&lt;b a=&quot;1&quot;&gt;&amp;&#39;\u{fffd} ");
    }

    #[test]
    fn labels_avoid_each_other() {
        let axis = || Axis { name: String::new(), low: 0.0, high: 1.0, ticks: Vec::new() };
        let mut chart = Chart::new(axis(), axis());
        for _ in 0..4 {
            chart.label(0.5, 0.5, "the same place");
        }
        let pairs = chart.taken.iter().enumerate().flat_map(|(i, a)| chart.taken[..i].iter().map(move |b| (a, b)));
        assert!(pairs.clone().count() == 6);
        for (a, b) in pairs {
            assert!(!overlap(a, b), "{a:?} {b:?}");
        }
    }
}
