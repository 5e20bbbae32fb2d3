//! How often prompts go to the right adapter, and what that does to the tasks.

use std::time::Instant;

use anyhow::Result;
use orbit_data::instruct::{Instance, Prompts, Task};
use orbit_models::generate::{Answering, answers};
use orbit_models::switch::{Route, Switch};
use serde::{Deserialize, Serialize};

use super::{Experts, Router};
use crate::report::Machine;
use crate::sequence::tasks::Examiner;

/// What `eval.json` holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evaluation {
    pub(crate) format: u32,
    pub(crate) command: String,
    pub(crate) version: String,
    pub(crate) commit: Option<String>,
    pub(crate) started: String,
    pub(crate) machine: Machine,
    pub(crate) seconds: f64,
    pub(crate) tasks: Vec<String>,
    /// Switches that keep more or less of each task, the run's own first.
    pub(crate) switches: Vec<Routing>,
    /// Each task with the adapter that the run's switch chooses, and with its own.
    pub(crate) scores: Vec<TaskScores>,
    pub(crate) speed: Speed,
}

/// How well one switch routes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Routing {
    /// The share of each task that it was trained on, and how many examples that is.
    pub(crate) share: f64,
    pub(crate) kept: Vec<usize>,
    /// Test prompts as they were trained.
    pub(crate) as_trained: Confusion,
    /// The same with each task's other wordings of the instruction, all together; absent when no task has any.
    pub(crate) paraphrased: Option<Confusion>,
    /// Prompts of tasks that it has not seen.
    pub(crate) unseen: Option<Unseen>,
}

/// Rows are the tasks, columns where their prompts went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Confusion {
    pub(crate) accuracy: f64,
    pub(crate) counts: Vec<Vec<usize>>,
}

/// Whether the switch is less sure of what it has not seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unseen {
    pub(crate) prompts: usize,
    /// The chance that it is surer of a prompt of a known task than of one of an unseen task: 1/2 is no difference.
    pub(crate) auroc: f64,
    /// The threshold that 95% of the known tasks' prompts pass, and the share of unseen prompts below it.
    pub(crate) threshold: f64,
    pub(crate) rejected: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskScores {
    pub(crate) task: String,
    pub(crate) metric: String,
    /// Without an adapter.
    pub(crate) base: f64,
    pub(crate) routed: f64,
    /// With the task's own adapter.
    pub(crate) oracle: f64,
    /// Of the prompts that were routed rightly, the share whose answer in a batch of all tasks is the one in a batch of their own:
    /// short of 1 only by the rounding of matrix products.
    pub(crate) same_as_alone: f64,
}

/// What routing costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Speed {
    pub(crate) prompts: usize,
    pub(crate) tokens: usize,
    /// Reading the prompts and running the switch, and writing so many tokens a prompt, in seconds.
    pub(crate) routing_seconds: f64,
    pub(crate) writing_seconds: f64,
    /// The first over the second.
    pub(crate) share: f64,
}

/// Tokens that routing is timed against.
const WRITTEN: usize = 64;

/// The features of prompts, with the number of the task that they are of: read once, for all switches.
struct Seen {
    label: usize,
    features: Vec<Vec<f32>>,
}

/// What switches are measured on.
struct Prompted {
    known: Vec<Seen>,
    /// In other words.
    worded: Vec<Seen>,
    /// Of tasks that no switch has seen.
    strange: Vec<Seen>,
}

impl Experts {
    fn prompted(&self, longest: usize, unseen: &[Task]) -> Result<Prompted> {
        let seen = |label: usize, task: &Task, instances: &[Instance]| {
            let features = self.features(&self.read(task, instances.iter(), longest)?, longest)?;
            anyhow::Ok(Seen { label, features })
        };
        let (mut known, mut worded) = (Vec::new(), Vec::new());
        for (label, task) in self.tasks.iter().enumerate() {
            known.push(seen(label, task, &task.test)?);
            for index in 0..task.paraphrases.len() {
                worded.push(seen(label, task, &task.paraphrased(index)?)?);
            }
        }
        let strange = unseen.iter().map(|task| seen(0, task, &task.test)).collect::<Result<_>>()?;
        Ok(Prompted { known, worded, strange })
    }
}

impl Prompted {
    /// How well a switch routes.
    fn routing(&self, switch: &Switch, share: f64, kept: Vec<usize>) -> Routing {
        let (as_trained, known) = confusion(switch, &self.known);
        let paraphrased = (!self.worded.is_empty()).then(|| confusion(switch, &self.worded).0);
        let unseen = (!self.strange.is_empty()).then(|| rejection(&known, &confusion(switch, &self.strange).1));
        Routing { share, kept, as_trained, paraphrased, unseen }
    }
}

fn confusion(switch: &Switch, seen: &[Seen]) -> (Confusion, Vec<Route>) {
    let mut counts = vec![vec![0; switch.tasks()]; switch.tasks()];
    let mut all = Vec::new();
    for Seen { label, features } in seen {
        let routes = switch.route(features);
        routes.iter().for_each(|route| counts[*label][route.task] += 1);
        all.extend(routes);
    }
    let right: usize = (0..counts.len()).map(|task| counts[task][task]).sum();
    (Confusion { accuracy: right as f64 / all.len().max(1) as f64, counts }, all)
}

impl Router {
    /// The routing of the run's switch and of switches that keep the given shares.
    pub(crate) fn routings(&self, shares: &[f64], unseen: &[Task]) -> Result<Vec<Routing>> {
        let prompted = self.experts.prompted(self.card.longest, unseen)?;
        let mut routings = vec![prompted.routing(&self.switch, self.card.share, self.card.kept.clone())];
        for &share in shares {
            let (switch, kept) = self.experts.train(share, self.card.longest, self.card.training)?;
            routings.push(prompted.routing(&switch, share, kept));
        }
        Ok(routings)
    }

    /// Every task with the adapter that the switch chooses, with its own, and with none. Prompts of all tasks share their batches.
    pub(crate) fn scores(&self, quiet: bool) -> Result<Vec<TaskScores>> {
        let Experts { run, tasks, base, .. } = &self.experts;
        let limits = run.limits(base.model.positions());
        let tokenizer = &base.speech.tokenizer;
        let prompts = Prompts::new(&base.speech.chat, tokenizer, limits)?;
        let (longest, batch) = (limits.answer, run.evaluate.batch);
        let examiner = Examiner { prompts: &prompts, tokenizer, longest, batch, quiet };
        let model = self.experts.model()?;
        let asked = tasks.iter().flat_map(|task| task.test.iter().map(move |instance| (task, instance)));
        let asked = asked.map(|(task, instance)| prompts.prompt(task, instance));
        let asked = asked.collect::<orbit_data::Result<Vec<_>>>()?;
        let mut chosen = Vec::new();
        for task in tasks {
            let read = self.experts.read(task, task.test.iter(), self.card.longest)?;
            let routes = self.experts.route(&self.switch, &read, self.card.longest)?;
            chosen.extend(routes.iter().map(|route| route.adapter(self.card.reject)));
        }
        let mut mixed = examiner.answers(&model, "routed", &asked, &chosen)?.into_iter();
        let mut chosen = chosen.into_iter();
        let mut scores = Vec::new();
        for (stage, task) in tasks.iter().enumerate() {
            let count = task.test.len();
            let routed: Vec<String> = mixed.by_ref().take(count).collect();
            let adapters: Vec<Option<usize>> = chosen.by_ref().take(count).collect();
            let alone = examiner.score(&model, task, &vec![Some(stage); count])?;
            let none = examiner.score(&model, task, &vec![None; count])?;
            let rightly: Vec<usize> = (0..count).filter(|&at| adapters[at] == Some(stage)).collect();
            let same = rightly.iter().filter(|&&at| routed[at] == alone.answers[at]).count();
            scores.push(TaskScores {
                task: task.name.clone(),
                metric: serde_json::to_value(task.metric)?.as_str().unwrap_or_default().to_owned(),
                base: none.score.value,
                routed: match task.metric.generates() {
                    true => task.score(&routed)?.value,
                    false => examiner.score(&model, task, &adapters)?.score.value,
                },
                oracle: alone.score.value,
                same_as_alone: same as f64 / rightly.len().max(1) as f64,
            });
        }
        Ok(scores)
    }

    /// The time that reading and routing a batch of prompts takes, beside writing 64 tokens for each.
    pub(crate) fn speed(&self) -> Result<Speed> {
        let Experts { run, tasks, base, .. } = &self.experts;
        let limits = run.limits(base.model.positions());
        let prompts = Prompts::new(&base.speech.chat, &base.speech.tokenizer, limits)?;
        let of_each = run.evaluate.batch.div_ceil(tasks.len());
        let asked = tasks.iter().flat_map(|task| task.test.iter().take(of_each).map(move |instance| (task, instance)));
        let asked: Vec<(&Task, &Instance)> = asked.take(run.evaluate.batch).collect();
        let written = asked.iter().map(|(task, instance)| prompts.prompt(task, instance));
        let written = written.collect::<orbit_data::Result<Vec<_>>>()?;
        let read = asked.iter().map(|(task, instance)| {
            let read = self.experts.read(task, std::iter::once(*instance), self.card.longest)?;
            Ok(read.concat())
        });
        let read = read.collect::<Result<Vec<_>>>()?;
        let model = self.experts.model()?;
        let start = Instant::now();
        let routes = self.experts.route(&self.switch, &read, self.card.longest)?;
        let routing_seconds = start.elapsed().as_secs_f64();
        let adapters: Vec<Option<usize>> = routes.iter().map(|route| route.adapter(self.card.reject)).collect();
        let how = Answering { ends: &[], longest: WRITTEN, batch: run.evaluate.batch, draw: None };
        let start = Instant::now();
        answers(&model, &written, &adapters, how, &mut |_| {})?;
        let writing_seconds = start.elapsed().as_secs_f64();
        let share = routing_seconds / writing_seconds;
        Ok(Speed { prompts: asked.len(), tokens: WRITTEN, routing_seconds, writing_seconds, share })
    }
}

fn rejection(known: &[Route], strange: &[Route]) -> Unseen {
    let surer = |a: &Route, b: &Route| match a.probability.total_cmp(&b.probability) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    let pairs = (known.len() * strange.len()).max(1) as f64;
    let won: f64 = known.iter().flat_map(|a| strange.iter().map(move |b| surer(a, b))).sum();
    let mut sure: Vec<f64> = known.iter().map(|route| route.probability).collect();
    sure.sort_by(f64::total_cmp);
    let threshold = sure.get(sure.len() / 20).copied().unwrap_or(0.0);
    let below = strange.iter().filter(|route| route.probability < threshold).count();
    Unseen {
        prompts: strange.len(),
        auroc: won / pairs,
        threshold,
        rejected: below as f64 / strange.len().max(1) as f64,
    }
}
