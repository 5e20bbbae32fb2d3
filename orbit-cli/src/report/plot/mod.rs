//! The plots of a report.

mod curves;
pub(super) mod heat_map;
mod retention;
pub(super) mod sizes;
pub(super) mod stage_loss;
pub(super) mod stages;
mod trade_off;
pub(super) mod watched;

use std::borrow::Cow;

use serde::Serialize;

use super::{Report, Run};

/// A plot with the words around it.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    title: Cow<'static, str>,
    /// How to read it, in one or two sentences.
    caption: Cow<'static, str>,
    svg: String,
    /// Whether it needs the width of the page.
    wide: bool,
}

impl Figure {
    fn new(title: impl Into<Cow<'static, str>>, caption: impl Into<Cow<'static, str>>, svg: String) -> Self {
        Self { title: title.into(), caption: caption.into(), svg, wide: false }
    }

    fn wide(self) -> Self {
        Self { wide: true, ..self }
    }
}

/// The plots for which there is something to show.
pub(super) fn figures(report: &Report) -> Vec<Figure> {
    let all = [trade_off::figure(report), retention::figure(report), curves::drift(report), curves::loss(report)];
    all.into_iter().flatten().collect()
}

/// Runs with the series number that gives their colour and marker in every plot and table.
fn runs(report: &Report) -> impl Iterator<Item = (usize, &Run)> {
    report.runs.iter().enumerate()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::sample, *};

    /// Reads the whole drawing; any tag that does not fit is an error. Returns the number of elements.
    fn elements(svg: &str) -> usize {
        let mut reader = quick_xml::Reader::from_str(svg);
        reader.config_mut().check_end_names = true;
        let mut count = 0;
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                    tag.attributes().for_each(|attribute| assert!(attribute.is_ok(), "{attribute:?}"));
                    count += 1;
                }
                quick_xml::events::Event::Eof => return count,
                _ => {}
            }
        }
    }

    #[test]
    fn drawings_are_well_formed_whatever_the_names() {
        let mut report = sample::report();
        report.runs[2].name = "<script>alert(\"&\")</script>\u{0}".to_owned();
        let suite = report.runs[2].text.as_mut().unwrap();
        let moved = suite.suites.remove("blimp").unwrap();
        suite.suites.insert("a<b & 'c'".to_owned(), moved);
        let figures = figures(&report);
        assert_eq!(figures.len(), 4);
        for figure in figures {
            assert!(elements(&figure.svg) > 20, "{}", figure.title);
            assert!(!figure.svg.contains("<script") && !figure.svg.contains("NaN") && !figure.svg.contains("inf"));
        }
    }

    #[test]
    fn nothing_measured_draws_nothing() {
        let report = Report { runs: Vec::new(), ..sample::report() };
        assert!(figures(&report).is_empty());
    }

    #[test]
    fn numbers_that_are_not_finite_are_left_out() {
        let mut report = sample::report();
        report.runs[0].history[3].loss = f64::NAN;
        report.runs[0].text.as_mut().unwrap().retention = Some(f64::NAN);
        report.runs[1].text.as_mut().unwrap().ci = None;
        for figure in figures(&report) {
            elements(&figure.svg);
            assert!(!figure.svg.contains("NaN"), "{}", figure.title);
        }
    }
}
