//! `orbit report`: shows the reports of runs, several as one.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::args::{Global, Report as ReportArgs};
use crate::commands::print;
use crate::language::sample;
use crate::report::{self, Comparison, Report, Saved, SequenceReport, StudyReport};
use crate::run_dir::write_file;
use crate::usage::Usage;

/// Reports of one kind, as one.
enum Shown {
    Training(Box<Report>),
    Sequence(Box<SequenceReport>),
    Sequences(Comparison),
    Study(Box<StudyReport>),
}

pub(crate) fn run(args: &ReportArgs, _: &Global) -> Result<()> {
    if args.runs.iter().any(|path| path.extension().is_some_and(|end| end == "jsonl")) {
        return compare_samples(args);
    }
    let saved = args.runs.iter().map(|path| Saved::load(path)).collect::<Result<Vec<_>>>()?;
    let shown = Shown::new(saved)?;
    match (&args.out, args.runs.as_slice()) {
        (Some(out), _) => {
            fs::create_dir_all(out).with_context(|| out.display().to_string())?;
            shown.save(out)?;
        }
        (None, [only]) if only.is_dir() => shown.save(only)?,
        _ => {}
    }
    print(&shown.text()?)
}

/// Two logs of `orbit eval --log-samples`, item by item.
fn compare_samples(args: &ReportArgs) -> Result<()> {
    let [first, second] = &args.runs[..] else {
        return Err(Usage::new("samples are compared in pairs: give two files of `orbit eval --log-samples`").into());
    };
    let differences = sample::compare(first, second)?;
    if let Some(out) = &args.out {
        fs::create_dir_all(out).with_context(|| out.display().to_string())?;
        write_file(&out.join("samples.json"), serde_json::to_string_pretty(&differences)? + "\n")?;
    }
    print(&sample::table(&differences))
}

impl Shown {
    fn new(saved: Vec<Saved>) -> Result<Self> {
        let (mut training, mut sequences, mut studies) = (Vec::new(), Vec::new(), Vec::new());
        for saved in saved {
            match saved {
                Saved::Training(report) => training.push(*report),
                Saved::Sequence(report) => sequences.push(*report),
                Saved::Study(report) => studies.push(*report),
            }
        }
        match (training.len(), sequences.len(), studies.len()) {
            (_, 0, 0) => Ok(Self::Training(Box::new(Report::join(training)?))),
            (0, 1, 0) => Ok(Self::Sequence(Box::new(sequences.remove(0)))),
            (0, _, 0) => Ok(Self::Sequences(Comparison::new(sequences)?)),
            // The measures may be those of an older build.
            (0, 0, 1) => Ok(Self::Study(Box::new(studies.remove(0).remeasured()?))),
            (0, 0, _) => Err(Usage::new("a study is shown alone: name one").into()),
            _ => {
                Err(Usage::new("fine-tuning runs, sequences and studies measure different things: name one kind")
                    .into())
            }
        }
    }

    fn save(&self, directory: &Path) -> Result<()> {
        match self {
            Self::Training(report) => report.save(directory),
            Self::Sequence(report) => report.save(directory),
            Self::Sequences(comparison) => comparison.save(directory),
            Self::Study(study) => study.save(directory),
        }
    }

    fn text(&self) -> Result<String> {
        match self {
            Self::Training(report) => Ok(report::text(report)),
            Self::Sequence(report) => report.text(),
            Self::Sequences(comparison) => Ok(comparison.text()),
            Self::Study(study) => Ok(study.text()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::report::sample;

    fn sequence(seed: u64) -> Saved {
        Saved::Sequence(Box::new(sample::sequence(seed)))
    }

    fn study() -> Saved {
        Saved::Study(Box::new(sample::study()))
    }

    #[test]
    fn each_kind_is_shown_in_its_way() {
        let title = |saved: Vec<Saved>| Shown::new(saved).unwrap().text().unwrap().lines().next().unwrap().to_owned();
        assert_eq!(title(vec![sequence(1)]), "Three tasks on the middle model, seed 1");
        assert!(title(vec![sequence(1), sequence(2)]).ends_with("seed 1, Three tasks on the middle model, seed 2"));
        assert_eq!(title(vec![study()]), "Forgetting over three instruction tasks");
        assert_eq!(title(vec![Saved::Training(Box::new(sample::report()))]), "Amazon Beauty on SmolLM2-135M");
    }

    #[test]
    fn what_cannot_be_joined_is_a_mistake_of_the_command_line() {
        for saved in [vec![study(), study()], vec![study(), sequence(1)]] {
            let error = Shown::new(saved).err().unwrap();
            assert!(error.is::<Usage>(), "{error}");
        }
    }
}
