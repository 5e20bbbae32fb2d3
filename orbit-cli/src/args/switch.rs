use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `orbit switch`.
#[derive(Debug, Subcommand)]
pub(crate) enum Switch {
    /// Train the switch on a few prompts of every task
    Train(SwitchTrain),
    /// Show which adapter a prompt goes to, and answer it
    Route(SwitchRoute),
    /// Measure how often prompts go to the right adapter, and what that does to the tasks
    Eval(SwitchEval),
}

/// Arguments of `orbit switch train`.
#[derive(Debug, Args)]
pub(crate) struct SwitchTrain {
    /// A run directory whose tasks have an adapter each (`sequence.adapters = "per_task"`)
    pub(crate) run: PathBuf,
    /// The share of each task's training examples that is kept for the switch; at least one example is
    #[arg(long, default_value_t = 0.0001, value_name = "SHARE")]
    pub(crate) retain: f64,
    /// The model that reads prompts, in place of the one that the adapters are for: a directory, or a name that `orbit pull` knows
    #[arg(long, value_name = "MODEL")]
    pub(crate) extractor: Option<PathBuf>,
    /// Tokens of a prompt that it reads: longer inputs are cut as in training, and of other text the last tokens are read.
    /// `sequence.prompt` of the run when absent
    #[arg(long, value_name = "TOKENS")]
    pub(crate) longest: Option<usize>,
    /// Passes over the examples
    #[arg(long, default_value_t = 20)]
    pub(crate) epochs: usize,
    /// Below this probability a prompt goes to the model without an adapter; 0 rejects nothing
    #[arg(long, default_value_t = 0.0, value_name = "PROBABILITY")]
    pub(crate) reject: f64,
    /// Seeds what is kept, the first weights and the order
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

/// Arguments of `orbit switch route`.
#[derive(Debug, Args)]
pub(crate) struct SwitchRoute {
    /// The run directory
    pub(crate) run: PathBuf,
    /// What is put to the model, as the tasks' templates write it
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: String,
}

/// Arguments of `orbit switch eval`.
#[derive(Debug, Args)]
pub(crate) struct SwitchEval {
    /// The run directory
    pub(crate) run: PathBuf,
    /// Also train switches that keep these shares, and compare them
    #[arg(long = "retain", value_name = "SHARE")]
    pub(crate) shares: Vec<f64>,
    /// A run file with tasks that the switch has not seen and should reject
    #[arg(long, value_name = "RUN.toml")]
    pub(crate) unseen: Option<PathBuf>,
    /// Where to save the results; RUN/switch/eval.json when absent
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
