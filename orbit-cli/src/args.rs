//! The command line. What is written here is what `--help` shows.

mod iv;
mod plugin;
mod study;
mod switch;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use orbit_data::prepare::Kind;

pub(crate) use iv::{By, Iv, IvEval, IvExtract, IvTask};
pub(crate) use plugin::{Language, Plugin, PluginCheck, PluginList, PluginNew, PluginTest};

pub(crate) use study::{Study, StudyRun};
pub(crate) use switch::{Switch, SwitchEval, SwitchRoute, SwitchTrain};

use crate::config::Overrides;

const ENVIRONMENT: &str = "\
Environment:
  ORBIT_DATA    as --data
  ORBIT_CACHE   where pulled models are, in place of the user's cache folder
  ORBIT_PLUGIN_PATH
                folders in which plugins are found by name
  ORBIT_LOG     what is logged, in place of -v: `debug`, `orbit_core=trace`
  ORBIT_MALLOC  `system` leaves the allocator as it is, which is slower and keeps less memory";

/// Fine-tune a language model into a recommender, and measure what it kept.
///
/// Start with `orbit quickstart`: it needs no data and no downloads, and leaves a report to look at.
#[derive(Debug, Parser)]
#[command(name = "orbit", version, arg_required_else_help = true, after_help = ENVIRONMENT)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Global {
    /// The folder that the data paths of a run file are relative to
    #[arg(long, global = true, value_name = "DIR", env = "ORBIT_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Log what happens; twice for the details
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Show no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show plain fine-tuning and ORBIT side by side on made-up data, in a few minutes
    Quickstart(Quickstart),
    /// Fetch a small language model into the cache
    Pull(Pull),
    /// Prepare and check recommendation data
    #[command(subcommand)]
    Data(Data),
    /// Make the semantic IDs of a run's items, and show how good they are
    Ids(Ids),
    /// Embed the texts of items, for semantic IDs to be made from
    Embed(Embed),
    /// Train a language model from scratch on text
    Pretrain(Pretrain),
    /// Fine-tune and evaluate as a run file says
    Train(Train),
    /// Go on with a run that was stopped
    Resume(Resume),
    /// Run a recipe and compare what comes out with what it expects
    Reproduce(Reproduce),
    /// Evaluate a model as a run file says
    Eval(Eval),
    /// Recommend the next items of a history
    Recommend(Recommend),
    /// Show what a run file comes to: settings, hooks by phase, memory; train nothing
    Explain(Explain),
    /// Show the reports of runs as one
    Report(Report),
    /// Write, list and check plugins: regularizers in libraries of their own
    #[command(subcommand)]
    Plugin(Plugin),
    /// The study of forgetting: several models through the same tasks
    #[command(subcommand)]
    Study(Study),
    /// Route prompts to the adapter of their task
    #[command(subcommand)]
    Switch(Switch),
    /// Find the vector that carries a task, and measure what adding it does
    #[command(subcommand)]
    Iv(Iv),
    /// Print the JSON schema of run files, for editors
    Schema(Schema),
    /// Time training steps
    Bench(Bench),
}

/// Arguments of `orbit quickstart`.
#[derive(Debug, Args)]
pub(crate) struct Quickstart {
    /// Where the runs and the report go
    #[arg(long, value_name = "DIR", default_value = "orbit-quickstart")]
    pub(crate) out: PathBuf,
    /// Where to compute: flex, ndarray, cuda:0
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
}

/// Arguments of `orbit pull`.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// The model, such as smollm2-135m-instruct
    pub(crate) name: String,
}

/// Arguments of `orbit ids`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Ids {
    /// The run file
    #[arg(required = true)]
    pub(crate) run: Option<PathBuf>,
    /// Where to save the IDs, as JSON
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) out: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) more: Option<IdsMore>,
}

/// What else can be done with semantic IDs.
#[derive(Debug, Subcommand)]
pub(crate) enum IdsMore {
    /// Put several into one table
    Compare {
        /// Files of `orbit ids`
        #[arg(required = true, value_name = "IDS.json")]
        ids: Vec<PathBuf>,
        /// The `.npy` that they were made of, for errors and neighbourhoods
        #[arg(long, value_name = "FILE")]
        embeddings: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give IDs to new items, with the codebooks there are; those of the old items stay
    Assign {
        /// A file of `orbit ids`
        ids: PathBuf,
        /// A `.npy` with a row for each new item
        #[arg(long, value_name = "FILE")]
        embeddings: PathBuf,
        /// Where to save the IDs of the old items and, behind them, the new
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// `orbit data`.
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Bring public data, as it is downloaded, into a form that runs read
    Prepare(Box<DataPrepare>),
    /// Show what a prepared folder holds, and what may be wrong with it
    Check {
        /// The folder
        dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `orbit data prepare`.
#[derive(Debug, Args)]
pub(crate) struct DataPrepare {
    /// Whose form it has: amazon_2014, amazon_2018, amazon_2023, movielens, recbole, s3_rec, jsonl, csv or parquet
    pub(crate) kind: Kind,
    /// The interactions: a file, plain or compressed by gzip, bzip2 or zstd; of MovieLens and RecBole the folder
    pub(crate) path: PathBuf,
    /// What the items are called: the meta file of Amazon, the item file of one's own
    #[arg(long, value_name = "FILE")]
    pub(crate) items: Option<PathBuf>,
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Every user and every item keeps at least so many interactions; 0 keeps all
    #[arg(long, default_value_t = 0)]
    pub(crate) core: u32,
    /// Leave out interactions with a lower rating
    #[arg(long)]
    pub(crate) min_rating: Option<f64>,
    /// Units of time that are one moment: 86400 for times in seconds that are only true to the day
    #[arg(long, default_value_t = 1)]
    pub(crate) moment: u32,
    /// Keep the first interaction of a user with an item, and no later one
    #[arg(long)]
    pub(crate) first: bool,
    /// Seeds the order of a user's interactions at the same moment
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Leave interactions at the same moment in the order of the file, which may tell what comes next
    #[arg(long, conflicts_with = "seed")]
    pub(crate) keep_ties: bool,
    /// Skip rows that cannot be used, and count them
    #[arg(long)]
    pub(crate) skip_bad: bool,
    /// The column of the user, in jsonl and csv
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// The column of the item
    #[arg(long)]
    pub(crate) item: Option<String>,
    /// The column of the time
    #[arg(long)]
    pub(crate) time: Option<String>,
    /// The column of the rating
    #[arg(long)]
    pub(crate) rating: Option<String>,
    /// The column of the title
    #[arg(long)]
    pub(crate) title: Option<String>,
}

/// Arguments of `orbit embed`.
#[derive(Debug, Args)]
pub(crate) struct Embed {
    /// The items: JSON lines of `id`, `title` and other fields, or Parquet; plain or compressed
    #[arg(required_unless_present = "run", conflicts_with = "run")]
    pub(crate) items: Option<PathBuf>,
    /// In place of a file of items the run file whose items or documents are embedded
    #[arg(long, value_name = "FILE")]
    pub(crate) run: Option<PathBuf>,
    /// The encoder: a directory of a BERT such as all-MiniLM-L6-v2, or of a language model, whose last hidden states are
    /// averaged; or a name that `orbit pull` knows
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// The fields that are embedded, one after the other
    #[arg(long = "field", value_name = "FIELD", default_values_t = ["title".to_owned()])]
    pub(crate) fields: Vec<String>,
    /// Tokens of an item's text, at most
    #[arg(long, default_value_t = 256)]
    pub(crate) longest: usize,
    /// Items a forward pass
    #[arg(long, default_value_t = 64)]
    pub(crate) batch: usize,
    /// Where to compute: `flex`, `ndarray`, `cuda:0`, as far as the program was built with it
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// The `.npy` to write, a row an item; one that is there of the same model and texts stays as it is
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// Arguments of `orbit pretrain`.
#[derive(Debug, Args)]
pub(crate) struct Pretrain {
    /// The recipe: the model's shape and the text
    pub(crate) recipe: PathBuf,
    /// Where the model goes, as a Hugging Face directory
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Optimizer steps, in place of the recipe's
    #[arg(long)]
    pub(crate) steps: Option<u64>,
    /// Where to compute: flex, ndarray, cuda:0
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
}

/// Arguments of `orbit train`.
#[derive(Debug, Args)]
pub(crate) struct Train {
    /// The run file
    pub(crate) run: PathBuf,
    /// The run directory: settings, metrics, checkpoints, model and report go here
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Optimizer steps, in place of the run file's
    #[arg(long)]
    pub(crate) steps: Option<u64>,
    /// Where to compute, in place of the run file's: flex, ndarray, cuda:0
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// The seed, in place of the run file's
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// The run's name in reports, in place of the run file's
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Replace a run that is in DIR already
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Train even if the run, as `orbit explain` reckons, takes more memory than this machine has available
    #[arg(long)]
    pub(crate) no_memory_check: bool,
    /// Go on with the run in DIR, whose tasks are the first ones of this file: what it has done stays as it is
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) extend: bool,
}

impl Train {
    /// What the command line changes of the run file.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides { steps: self.steps, device: self.device.clone(), seed: self.seed, name: self.name.clone() }
    }
}

/// Arguments of `orbit resume`.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The run directory
    pub(crate) dir: PathBuf,
    /// Go on although a plugin is not the one that the run began with
    #[arg(long)]
    pub(crate) allow_changed_plugins: bool,
}

/// Arguments of `orbit reproduce`.
#[derive(Debug, Args)]
pub(crate) struct Reproduce {
    /// The recipe: a run file with a table `[expected]`
    pub(crate) recipe: PathBuf,
    /// The directory to make, with a run for each seed; runs that are done there stay as they are
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// Arguments of `orbit eval`.
#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// The model directory, or that of a PEFT adapter which names its model
    pub(crate) model: PathBuf,
    /// Put this PEFT adapter on the model
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// The run file that says what to measure
    #[arg(long, value_name = "RUN.toml")]
    pub(crate) run: PathBuf,
    /// Add an instruction vector, a file of `orbit iv extract`, at the end of every prompt
    #[arg(long, value_name = "FILE")]
    pub(crate) steer: Option<PathBuf>,
    /// Where to add it, such as layers.9.attn_out; each layer's part in its own layer when absent
    #[arg(long, value_name = "SITE", requires = "steer")]
    pub(crate) site: Option<String>,
    /// What it is multiplied by
    #[arg(long, default_value_t = 1.0, requires = "steer")]
    pub(crate) scale: f32,
    /// Where to save the scores, as JSON; printed only when absent
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Where to save what every item of the suites came to, a line of JSON each; `orbit report` compares two such files
    #[arg(long, value_name = "FILE")]
    pub(crate) log_samples: Option<PathBuf>,
}

/// Arguments of `orbit recommend`.
#[derive(Debug, Args)]
pub(crate) struct Recommend {
    /// The directory `model` of a run of `orbit train`
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// Ids of the items that the user has met, the latest last
    #[arg(long, value_name = "ID,ID,...", value_delimiter = ',')]
    pub(crate) history: Vec<String>,
    /// Whose history it is, for a model that has tokens for users
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// Many histories in place of one: JSON lines of `history`, ids, and perhaps `user`; a line of JSON is printed for each
    #[arg(long, value_name = "FILE", conflicts_with_all = ["history", "user", "query", "candidates"])]
    pub(crate) histories: Option<PathBuf>,
    /// Histories a forward pass
    #[arg(long, default_value_t = 64)]
    pub(crate) batch: usize,
    /// What is asked, of a model that finds documents
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["history", "user"])]
    pub(crate) query: Option<String>,
    /// Items to recommend
    #[arg(long, default_value_t = 10)]
    pub(crate) count: usize,
    /// Beams of the search, at least as many as items
    #[arg(long, default_value_t = 20)]
    pub(crate) beams: usize,
    /// Items to score in place of searching the whole catalogue
    #[arg(long, value_name = "ID,ID,...", value_delimiter = ',')]
    pub(crate) candidates: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Where to compute: `flex`, `ndarray`, `cuda:0`, as far as the program was built with it
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
}

/// Arguments of `orbit explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The run file
    pub(crate) run: PathBuf,
}

/// Arguments of `orbit report`.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Directories of runs or of one study, or their report.json files; several runs become one table. Or two files of `orbit eval
    /// --log-samples`, which are compared item by item
    #[arg(required = true, value_name = "DIR")]
    pub(crate) runs: Vec<PathBuf>,
    /// Where to save the joint report; of one run or study, its own directory when absent
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `orbit schema`.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// That of run files with a list of tasks
    #[arg(long)]
    pub(crate) tasks: bool,
    /// That of run files of SASRec
    #[arg(long, conflicts_with = "tasks")]
    pub(crate) sasrec: bool,
}

/// Arguments of `orbit bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The model's shape; its weights are random
    #[arg(long, value_enum, default_value_t = Shape::Smollm2)]
    pub(crate) shape: Shape,
    /// Steps that are timed
    #[arg(long, default_value_t = 5)]
    pub(crate) steps: usize,
    /// Steps before, which are not
    #[arg(long, default_value_t = 2)]
    pub(crate) warmup: usize,
    /// Rows a step
    #[arg(long, default_value_t = 4)]
    pub(crate) rows: usize,
    /// Tokens a row
    #[arg(long, default_value_t = 256)]
    pub(crate) width: usize,
    /// Where to compute: flex, ndarray, cuda:0
    #[arg(long, default_value = "flex")]
    pub(crate) device: String,
    /// Let ORBIT watch the drift at every step
    #[arg(long)]
    pub(crate) orbit: bool,
    /// Time, in place of steps, ORBIT built in against ORBIT from this plugin, on the same weights
    #[arg(long, value_name = "PATH", conflicts_with = "orbit")]
    pub(crate) plugin: Option<String>,
    /// Train a low-rank adapter of queries and values in place of the weights, and time how its drift is measured
    #[arg(long, value_name = "RANK", conflicts_with = "plugin")]
    pub(crate) lora: Option<usize>,
    /// Time, in place of steps, multiple-choice questions scored with their context computed once, and once a choice
    #[arg(long, conflicts_with_all = ["orbit", "plugin", "lora"])]
    pub(crate) choices: bool,
    /// Time steps that an instruction vector guides against plain ones, in turn
    #[arg(long, conflicts_with_all = ["orbit", "plugin", "choices"])]
    pub(crate) guided: bool,
    /// Time saving a checkpoint below this folder and taking it up again, beside the disk and the digest alone
    #[arg(long, value_name = "DIR", conflicts_with_all = ["orbit", "plugin", "choices", "guided", "lora"])]
    pub(crate) checkpoint: Option<PathBuf>,
}

/// A model's shape, to be timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// SmolLM2-135M
    Smollm2,
    /// The embedded model
    Tiny,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
