//! How far a long command is: a bar on a terminal, a plain line every ten seconds elsewhere. On stderr, so that results can
//! be piped.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two plain lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Numbers worth a look, by name.
pub(crate) type Fields<'a> = &'a [(&'a str, f64)];

/// Something countable that takes a while.
pub(crate) struct Progress {
    task: String,
    total: u64,
    /// How much was done before, by a run that is resumed: it took no time now.
    from: u64,
    start: Instant,
    view: View,
}

enum View {
    Bar(ProgressBar),
    Lines { last: Instant },
    Nothing,
}

impl Progress {
    /// Begins `task`, of which `from` of `total` pieces are done.
    pub(crate) fn new(task: &str, from: u64, total: u64, quiet: bool) -> Self {
        let start = Instant::now();
        let view = match quiet {
            true => View::Nothing,
            false if io::stderr().is_terminal() => View::Bar(bar(task, from, total)),
            false => View::Lines { last: start },
        };
        Self { task: task.to_owned(), total, from, start, view }
    }

    /// Says that `done` pieces of all are done.
    pub(crate) fn set(&mut self, done: u64, fields: Fields<'_>) {
        match &mut self.view {
            View::Bar(bar) => {
                bar.set_position(done);
                bar.set_message(show(fields));
            }
            View::Lines { last } if last.elapsed() >= PAUSE || done == self.total => {
                *last = Instant::now();
                eprintln!("{}", line(&self.task, self.from, done, self.total, self.start.elapsed(), fields));
            }
            View::Lines { .. } | View::Nothing => {}
        }
    }

    /// A line of its own, above the bar.
    pub(crate) fn say(&self, text: &str) {
        match &self.view {
            View::Bar(bar) => bar.println(text),
            View::Lines { .. } => eprintln!("{text}"),
            View::Nothing => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        if let View::Bar(bar) = self.view {
            bar.finish_and_clear();
        }
    }
}

fn bar(task: &str, from: u64, total: u64) -> ProgressBar {
    let template = "{prefix} {wide_bar} {pos}/{len}  {per_sec}  {eta} left  {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_prefix(task.to_owned()).with_position(from)
}

/// The plain line: keys that do not change, for programs that read logs.
fn line(task: &str, from: u64, done: u64, total: u64, elapsed: Duration, fields: Fields<'_>) -> String {
    let rate = done.saturating_sub(from) as f64 / elapsed.as_secs_f64().max(1e-9);
    let mut line = format!("{task} done={done} of={total} rate={rate:.2}/s");
    if rate > 0.0 {
        let left = total.saturating_sub(done) as f64 / rate;
        write!(line, " left={left:.0}s").unwrap_or_default();
    }
    if !fields.is_empty() {
        line.push(' ');
        line.push_str(&show(fields));
    }
    line
}

fn show(fields: Fields<'_>) -> String {
    let pairs: Vec<String> = fields.iter().map(|(key, value)| format!("{key}={}", short(*value))).collect();
    pairs.join(" ")
}

/// Four significant digits, as a plain number where that is short.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (0.01..10_000.0).contains(&size) => {
            let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
            format!("{value:.decimals$}")
        }
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines_have_stable_keys() {
        let fields = [("loss", 2.31449), ("drift", 7.5e-4)];
        assert_eq!(
            line("train", 0, 120, 300, Duration::from_secs(60), &fields),
            "train done=120 of=300 rate=2.00/s left=90s loss=2.314 drift=7.500e-4"
        );
        assert_eq!(line("eval", 0, 0, 5, Duration::ZERO, &[]), "eval done=0 of=5 rate=0.00/s");
    }

    #[test]
    fn what_was_done_before_does_not_count_as_speed() {
        let line = line("train", 100, 120, 300, Duration::from_secs(10), &[]);
        assert_eq!(line, "train done=120 of=300 rate=2.00/s left=90s");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.05, -3.0, 123.456, 54321.0, f64::NAN].map(short),
            ["0", "0.05000", "-3.000", "123.5", "5.432e4", "NaN"]
        );
    }
}
