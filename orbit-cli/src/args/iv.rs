use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use orbit_data::instruct::TaskForm;

/// `orbit iv`.
#[derive(Debug, Subcommand)]
pub(crate) enum Iv {
    /// Find the heads that carry a task, and the vector that they make
    Extract(IvExtract),
    /// Measure what adding the vector does where a prompt does not show the task
    Eval(IvEval),
}

/// What heads are chosen by.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum By {
    /// The probability of the answer's first token, where prompts show the task with its answers shuffled
    Probability,
    /// The log-likelihood of the whole answer, where prompts do not show the task
    LogLikelihood,
}

/// How the file of a task looks.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Lines of `{"instruction": "...", "input": "...", "output": "..."}`
    Jsonl,
    /// Super-NaturalInstructions: first `{"definition": "..."}`, then `{"input": "...", "output": ["..."]}`
    SuperNi,
}

impl IvTask {
    pub(crate) fn form(&self) -> TaskForm {
        match self.form {
            Form::Jsonl => TaskForm::Jsonl,
            Form::SuperNi => TaskForm::SuperNi,
        }
    }
}

/// A task and its prompts.
#[derive(Debug, Args)]
pub(crate) struct IvTask {
    /// The model: a directory, or a name that `orbit pull` knows
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// The task: a file of examples, of which the first half is for extraction, the second for evaluation
    #[arg(long, value_name = "FILE")]
    pub(crate) task: PathBuf,
    /// How the file looks
    #[arg(long, value_enum, default_value_t = Form::Jsonl)]
    form: Form,
    /// Examples that a prompt shows
    #[arg(long, default_value_t = 10)]
    pub(crate) shots: usize,
    /// Seeds which examples a prompt shows
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Where to compute: `flex`, `ndarray`, `cuda:0`, as far as the program was built with it
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
}

/// Arguments of `orbit iv extract`.
#[derive(Debug, Args)]
pub(crate) struct IvExtract {
    #[command(flatten)]
    pub(crate) task: IvTask,
    /// Prompts that what heads find is averaged over
    #[arg(long, default_value_t = 100)]
    pub(crate) averaged: usize,
    /// Prompts that effects are measured on
    #[arg(long, default_value_t = 25)]
    pub(crate) patched: usize,
    /// Heads that the vector is made of, those of the largest effect
    #[arg(long, default_value_t = 10)]
    pub(crate) heads: usize,
    /// What counts as an effect
    #[arg(long, value_enum, default_value_t = By::Probability)]
    pub(crate) by: By,
    /// Average over the prompts that the model answers best, of twice as many, as the successor's authors do
    #[arg(long)]
    pub(crate) usable: bool,
    /// Measure the effects by whole forward passes too, and tell what suffixes save
    #[arg(long)]
    pub(crate) compare: bool,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// Arguments of `orbit iv eval`.
#[derive(Debug, Args)]
pub(crate) struct IvEval {
    #[command(flatten)]
    pub(crate) task: IvTask,
    /// The file of `orbit iv extract`
    pub(crate) vector: PathBuf,
    /// Where to add the vector, such as layers.9.attn_out; of several the best on the first half of the task is measured on the
    /// second. Every layer's output when absent
    #[arg(long = "site", value_name = "SITE")]
    pub(crate) sites: Vec<String>,
    /// What the vector is multiplied by; of several the best, as of sites
    #[arg(long = "scale", value_name = "SCALE", default_values_t = [1.0])]
    pub(crate) scales: Vec<f32>,
    /// Vectors of other heads, drawn at random, to compare with
    #[arg(long, default_value_t = 10)]
    pub(crate) controls: usize,
    /// Where to save the scores, as JSON; printed only when absent
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
