//! `orbit reproduce`: runs a recipe with each of its seeds, and compares what comes out with what the recipe expects.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::print;
use crate::args::{Global, Reproduce};
use crate::config::{Expected, ExpectedValue, Overrides, RunFile, SasRecFile};
use crate::paths::{self, DataDir};
use crate::report::{Report, Retrieval};
use crate::run_dir::{self, RUN_FILE};
use crate::usage::Usage;
use crate::{fine_tune, sasrec};

pub(crate) fn run(args: &Reproduce, global: &Global) -> Result<()> {
    let data = DataDir::new(global.data.clone(), &args.recipe);
    let sasrec = SasRecFile::is_one(&args.recipe);
    let expected =
        if sasrec { SasRecFile::read(&args.recipe)?.expected } else { RunFile::read(&args.recipe)?.expected };
    let Some(expected) = expected else {
        let path = args.recipe.display();
        return Err(
            Usage::new(format!("{path} expects nothing: give it a table [expected], or use `orbit train`")).into()
        );
    };
    let mut reports = Vec::new();
    for &seed in &expected.seeds {
        let overrides = Overrides { seed: Some(seed), ..Overrides::default() };
        let dir = args.out.join(format!("seed-{seed}"));
        let done = dir.join("report.json");
        let report = match done.exists() {
            true => Some(Report::load(&done)?),
            false if sasrec => train_sasrec(args, &data, overrides, &dir, global.quiet)?,
            false => train(args, &data, overrides, &dir, global.quiet)?,
        };
        match report {
            Some(report) => reports.push(report),
            None => return print("stopped; the same command goes on\n"),
        }
    }
    let (text, outside) = compared(&expected, &reports)?;
    print(&text)?;
    if outside > 0 {
        bail!("{outside} of {} measures are not what {} expects", expected.values.len(), args.recipe.display());
    }
    Ok(())
}

fn train(args: &Reproduce, data: &DataDir, overrides: Overrides, dir: &Path, quiet: bool) -> Result<Option<Report>> {
    let mut run = paths::resolve(RunFile::read(&args.recipe)?.apply(overrides)?, data)?;
    orbit_core::device(&run.device)?;
    let lock = if dir.join(RUN_FILE).exists() {
        run.model.now = fine_tune::read(dir)?.model.now;
        run_dir::lock(dir)?
    } else {
        fine_tune::prepare(&mut run, dir, false)?
    };
    fine_tune::run(&run, dir, lock, quiet)
}

fn train_sasrec(
    args: &Reproduce,
    data: &DataDir,
    overrides: Overrides,
    dir: &Path,
    quiet: bool,
) -> Result<Option<Report>> {
    let run = paths::resolve_sasrec(SasRecFile::read(&args.recipe)?.apply(overrides)?, data)?;
    orbit_core::device(&run.device)?;
    let lock = if dir.join(RUN_FILE).exists() { run_dir::lock(dir)? } else { sasrec::prepare(&run, dir, false)? };
    sasrec::run(&run, dir, lock, quiet)
}

/// A table of what was expected and what came out, and how many measures are outside their tolerance.
fn compared(expected: &Expected, reports: &[Report]) -> Result<(String, usize)> {
    let mut text = format!("{:<12}{:>10}{:>12}{:>12}\n", "measure", "expected", "tolerance", "here");
    let mut outside = 0;
    for ExpectedValue { measure, value, tolerance } in &expected.values {
        let found = reports.iter().map(|report| found(report, measure));
        let found =
            found.collect::<Option<Vec<f64>>>().with_context(|| format!("the run did not measure {measure}"))?;
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        let within = (mean - value).abs() <= *tolerance;
        outside += usize::from(!within);
        let verdict = if within { "" } else { "  outside" };
        let _ = writeln!(text, "{measure:<12}{value:>10.4}{tolerance:>12.4}{mean:>12.4}{verdict}");
    }
    let seconds: f64 = reports.iter().flat_map(|report| &report.runs).map(|run| run.seconds).sum();
    let here = format!("training here took {:.0} minutes", seconds / 60.0);
    let _ = writeln!(text, "{here}; {:.0} were expected, on {}", expected.minutes, expected.machine);
    Ok((text, outside))
}

/// A measure such as `recall@10`.
fn found(report: &Report, measure: &str) -> Option<f64> {
    let Retrieval { recall, ndcg, mrr, .. } = report.runs.first()?.retrieval.as_ref()?;
    let (name, k) = measure.split_once('@')?;
    let values = match name {
        "recall" => recall,
        "ndcg" => ndcg,
        _ => mrr,
    };
    values.get(&k.parse().ok()?).copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn means_over_seeds_are_compared() {
        let report = |recall: f64| {
            let mut report = sample::report();
            report.runs[0].retrieval.as_mut().unwrap().recall.insert(10, recall);
            report
        };
        let value = |tolerance| ExpectedValue { measure: "recall@10".into(), value: 0.08, tolerance };
        let expected = |values| Expected { minutes: 1.0, machine: "a desk".into(), seeds: vec![1, 2], values };
        let reports = [report(0.07), report(0.1)];
        let (text, outside) = compared(&expected(vec![value(0.006), value(0.004)]), &reports).unwrap();
        assert_eq!(outside, 1);
        assert_eq!(text.matches("0.0850").count(), 2);
        assert_eq!(text.matches("outside").count(), 1);
        let unmeasured = ExpectedValue { measure: "recall@7".into(), value: 0.0, tolerance: 1.0 };
        assert!(compared(&expected(vec![unmeasured]), &reports).unwrap_err().to_string().contains("recall@7"));
    }
}
