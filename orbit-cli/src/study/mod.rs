//! A study: several models through the same sequence of tasks, with and without general instruction tuning before it.
//!
//! ```text
//! DIR/study.toml                 the study with every default spelled out and every path absolute
//!     general/NAME/model/        a model after general instruction tuning, as a Hugging Face directory
//!     runs/NAME/seed-N/          a run over the tasks
//!     runs/NAME-tuned/seed-N/    the same, from the tuned model
//!     runs/METHOD/seed-N/        the same by a method, for a study of one model that has them; of several models NAME-METHOD
//!     report.json, report.html
//! ```
//!
//! Stopped anywhere, the same command goes on: runs that are done stay as they are.

mod general;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::config::{Method, SequenceFile, StudyFile};
use crate::report::sequence::SequenceReport;
use crate::report::study::{Origin, StudyReport, Subject};
use crate::usage::Usage;
use crate::{machine, run_dir, sequence};

const STUDY_FILE: &str = "study.toml";

/// Makes the directory of a study, or checks that the one that is there is of this study.
pub(crate) fn prepare(study: &StudyFile, dir: &Path) -> Result<()> {
    let (path, text) = (dir.join(STUDY_FILE), study.to_toml()?);
    if path.exists() {
        let there = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if there != text {
            return Err(Usage::new(format!("{} has another study: give another directory", dir.display())).into());
        }
        return Ok(());
    }
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    fs::write(&path, text).with_context(|| path.display().to_string())
}

/// Runs a study, whose paths are absolute, to its end. `None` when somebody stopped it.
pub(crate) fn run(study: &StudyFile, dir: &Path, quiet: bool) -> Result<Option<StudyReport>> {
    let started = machine::now();
    let mut subjects = Vec::new();
    for model in &study.models {
        let mut measured = None;
        for method in study.ways() {
            let name = study.subject(model, method);
            let folder = dir.join("runs").join(&name);
            let run = |seed| study.run(model, model.path.clone(), method, seed);
            let Some(runs) = runs_of(&study.seeds, run, &folder, &mut measured, quiet)? else { return Ok(None) };
            subjects.push(Subject { name, tuned_first: false, method: named(method), runs });
        }
        let Some(general) = &study.general else { continue };
        let folder = dir.join("general").join(&model.name);
        let Some(path) = general::tune(study, general, model, &folder, quiet)? else { return Ok(None) };
        let mut measured = None;
        for method in study.ways() {
            let name = format!("{}-tuned", study.subject(model, method));
            let folder = dir.join("runs").join(&name);
            let run = |seed| study.run(model, path.clone(), method, seed);
            let Some(runs) = runs_of(&study.seeds, run, &folder, &mut measured, quiet)? else { return Ok(None) };
            subjects.push(Subject { name, tuned_first: true, method: named(method), runs });
        }
    }
    let origin = Origin {
        title: study.name.clone(),
        command: machine::command_line(),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: option_env!("ORBIT_COMMIT").map(str::to_owned),
        started,
        machine: machine::describe(),
        device: study.device.clone(),
    };
    let report = StudyReport::new(origin, subjects)?;
    report.save(dir)?;
    Ok(Some(report))
}

fn named(method: Option<&Method>) -> Option<String> {
    method.map(|method| method.name.clone())
}

/// The runs over the tasks, one for each seed. All that begin with the same model share what it was measured to be before: what
/// the first has measured is noted in `measured`.
fn runs_of(
    seeds: &[u64],
    run: impl Fn(u64) -> SequenceFile,
    dir: &Path,
    measured: &mut Option<PathBuf>,
    quiet: bool,
) -> Result<Option<Vec<SequenceReport>>> {
    let mut reports = Vec::new();
    for &seed in seeds {
        let folder = dir.join(format!("seed-{seed}"));
        let done = folder.join("report.json");
        if done.exists() {
            reports.push(SequenceReport::load(&done)?);
            measured.get_or_insert(folder);
            continue;
        }
        let mut run = run(seed);
        let lock = if sequence::is_one(&folder) {
            run.model.now = sequence::read(&folder)?.model.now;
            run_dir::lock(&folder)?
        } else {
            let lock = sequence::prepare(&mut run, &folder, false, false)?;
            if let Some(other) = measured {
                sequence::begin_like(other, &folder)?;
            }
            lock
        };
        match sequence::run(&run, &folder, lock, quiet)? {
            Some(report) => reports.push(report),
            None => return Ok(None),
        }
        measured.get_or_insert(folder);
    }
    Ok(Some(reports))
}
