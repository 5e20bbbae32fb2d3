//! `orbit quickstart`: plain fine-tuning and ORBIT side by side, with nothing from outside.
//!
//! The language model is part of the program, the catalogue is made up from a seed, and the questions about language are
//! orbit's own. `recipes/quickstart.toml` is the run; it is run once without its hooks and once with them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::args::{Global, Quickstart};
use crate::commands::print;
use crate::config::RunFile;
use crate::fine_tune;
use crate::report::{self, Report};

const RECIPE: &str = include_str!("../../../recipes/quickstart.toml");

/// The embedded language model, as a Hugging Face directory. `recipes/tiny-lm.toml` trained it.
const MODEL: [(&str, &[u8]); 4] = [
    ("config.json", include_bytes!("../../assets/tiny-lm/config.json")),
    ("model.safetensors", include_bytes!("../../assets/tiny-lm/model.safetensors")),
    ("tokenizer.json", include_bytes!("../../assets/tiny-lm/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../../assets/tiny-lm/tokenizer_config.json")),
];

pub(crate) fn run(args: &Quickstart, global: &Global) -> Result<()> {
    orbit_core::device(&args.device)?;
    let model = args.out.join("tiny-lm");
    // Only an earlier quickstart may be replaced.
    let again = model.exists();
    unpack(&model)?;
    let mut orbit = RunFile::parse(RECIPE)?;
    orbit.device = args.device.clone();
    orbit.model.path = Some(std::path::absolute(&model)?);
    let plain = RunFile { name: "plain".into(), hooks: Vec::new(), ..orbit.clone() };

    let mut reports = Vec::new();
    for mut run in [plain, orbit] {
        let dir = args.out.join(&run.name);
        let lock = fine_tune::prepare(&mut run, &dir, again)?;
        let Some(report) = fine_tune::run(&run, &dir, lock, global.quiet)? else {
            return print("stopped\n");
        };
        reports.push(report);
    }
    let mut report = Report::join(reports)?;
    report.title = "Quickstart: plain fine-tuning and ORBIT".into();
    report.command = "orbit quickstart".into();
    report.save(&args.out)?;
    print(&report::text(&report))?;
    print(&format!("\nThe report: {}\n", args.out.join("report.html").display()))
}

fn unpack(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    for (name, bytes) in MODEL {
        let path = dir.join(name);
        fs::write(&path, bytes).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
