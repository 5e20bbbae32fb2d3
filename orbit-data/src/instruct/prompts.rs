//! Instances as tokens: the words are the user's turn of the model's own chat template, the answer is the model's.

use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::{Instance, Task};
use crate::chat::ChatTemplate;
use crate::text::MultipleChoice;
use crate::vocabulary::{encode, guarded, is_special};
use crate::{Error, Example, Result};

/// Stands for the answer while the template is looked at: a character for private use, which no template writes.
const PROBE: &str = "\u{f8ff}";

/// How many tokens a prompt and an answer may have. What is longer is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the whole prompt, at least 1. The input is cut at its end; instruction and template stay whole, so that the
    /// prompt always ends in what asks for the answer.
    pub prompt: usize,
    /// Of the answer with the token that closes it, at least 1. An answer that is cut is not closed, so that nobody
    /// learns to stop in mid-sentence.
    pub answer: usize,
}

impl Limits {
    /// No limits.
    pub const NONE: Self = Self { prompt: usize::MAX, answer: usize::MAX };
}

/// Writes instances as prompts and examples of a model.
///
/// Prompt and answer are tokenized apart, so that training sees the very tokens from which an answer is generated. The
/// answer ends with the special token that closes the turn, if the template writes one; what comes after that is left
/// out. Words that the template writes between the prompt it asks with and the answer, such as an empty thought, belong
/// to the prompt.
#[derive(Debug, Clone)]
pub struct Prompts<'a> {
    chat: &'a ChatTemplate,
    tokenizer: &'a Tokenizer,
    limits: Limits,
    /// What the template writes before every answer.
    lead: String,
    /// How many tokens the template writes after the one that closes an answer.
    behind: usize,
    /// The special token that closes an answer.
    closing: Option<u32>,
}

/// The examples of a task, a source for a [`Loader`](crate::Loader), and what was cut to make them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskExamples {
    /// One for each instance, with its first output as the answer.
    pub examples: Vec<Example>,
    /// How many inputs were cut.
    pub cut_inputs: usize,
    /// How many answers were cut.
    pub cut_answers: usize,
}

impl<'a> Prompts<'a> {
    /// Looks at what the template writes around an answer.
    ///
    /// # Errors
    /// When a limit is 0, the template does not render, or it does not write the answer.
    pub fn new(chat: &'a ChatTemplate, tokenizer: &'a Tokenizer, limits: Limits) -> Result<Self> {
        if limits.prompt == 0 || limits.answer == 0 {
            return Err(Error::Invalid("a prompt and an answer need at least one token each".into()));
        }
        let turn = chat.turn("?", PROBE)?;
        let missing = || Error::Invalid("the chat template does not write the model's words".into());
        let (lead, after) = turn.answer.split_once(PROBE).ok_or_else(missing)?;
        let after = encode(tokenizer, after)?;
        let place = after.iter().position(|&token| is_special(tokenizer, token));
        let behind = place.map_or(0, |at| after.len() - at - 1);
        let closing = place.map(|at| after[at]);
        Ok(Self { chat, tokenizer, limits, lead: lead.to_owned(), behind, closing })
    }

    /// The special token that the template closes an answer with, if it writes one: where to stop when the model answers.
    pub fn closing(&self) -> Option<u32> {
        self.closing
    }

    /// The prompt of an instance, from which the model is to answer.
    ///
    /// # Errors
    /// When a template fails, or the prompt is too long even without its input.
    pub fn prompt(&self, task: &Task, instance: &Instance) -> Result<Vec<u32>> {
        Ok(self.fitted(task, instance, PROBE)?.tokens)
    }

    /// The examples of some instances of a task, made in parallel. What is learned is the answer alone.
    ///
    /// ```
    /// # use orbit_data::instruct::{Instance, Task, Template};
    /// use orbit_data::chat::ChatTemplate;
    /// use orbit_data::instruct::{Limits, Prompts};
    /// use orbit_data::vocabulary::{SPECIAL_TOKENS, train_bpe};
    /// use orbit_data::{Loader, metric::Metric};
    /// # let instance = |input: &str, output: &str| Instance { instruction: "Add.".into(), input: input.into(), outputs: vec![output.into()] };
    /// # let instances = vec![instance("1 + 1", "2"), instance("1 + 2", "3")];
    /// # let task = Task { name: "sums".into(), train: instances.clone(), test: instances, metric: Metric::ExactMatch, choices: None, chance: None, template: Template::plain(), steps: None, paraphrases: vec![] };
    /// let tokenizer = train_bpe(["user assistant Add."].into_iter(), 300, &SPECIAL_TOKENS)?;
    /// let chat = ChatTemplate::chatml()?;
    /// let prompts = Prompts::new(&chat, &tokenizer, Limits::NONE)?;
    /// let examples = prompts.examples(&task, &task.train)?.examples;
    /// let text = |tokens: &[u32]| tokenizer.decode(tokens, false).unwrap();
    /// assert_eq!(text(examples[0].prompt()), "<|im_start|>user\nAdd.\n\n1 + 1<|im_end|>\n<|im_start|>assistant\n");
    /// assert_eq!(text(examples[0].learned()), "2<|im_end|>");
    /// assert_eq!(Loader::new(examples, 2, 2, 0)?.steps_per_epoch(), 1);
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`prompt`](Self::prompt), and when an instance has no output.
    pub fn examples(&self, task: &Task, instances: &[Instance]) -> Result<TaskExamples> {
        let learned: Vec<_> = instances.par_iter().map(|instance| self.learn(task, instance)).collect();
        let mut made = TaskExamples { examples: Vec::with_capacity(instances.len()), cut_inputs: 0, cut_answers: 0 };
        for learned in learned {
            let (example, cut_input, cut_answer) = learned?;
            made.examples.push(example);
            made.cut_inputs += usize::from(cut_input);
            made.cut_answers += usize::from(cut_answer);
        }
        Ok(made)
    }

    /// The example of an instance, whether its input was cut, and whether its answer was.
    fn learn(&self, task: &Task, instance: &Instance) -> Result<(Example, bool, bool)> {
        let missing = || Error::Invalid(format!("task '{}': an instance has no output to learn", task.name));
        let prompt = self.fitted(task, instance, instance.outputs.first().ok_or_else(missing)?.trim())?;
        let mut learned = encode(self.tokenizer, &prompt.answer)?;
        learned.truncate(learned.len().saturating_sub(self.behind));
        let cut_answer = learned.len() > self.limits.answer;
        learned.truncate(self.limits.answer);
        let answer = prompt.tokens.len();
        Ok((Example { tokens: [prompt.tokens, learned].concat(), answer }, prompt.cut, cut_answer))
    }

    /// An instance as a question whose choices are those of the task, to be scored by log-likelihood. Nothing is cut.
    ///
    /// # Errors
    /// When a template fails, the task has no choices, or the instance's answer is not one of them.
    pub fn question(&self, task: &Task, instance: &Instance) -> Result<MultipleChoice> {
        let missing = || Error::Invalid(format!("task '{}': the answer is not one of its choices", task.name));
        let gold = task.gold(instance).ok_or_else(missing)?;
        let context = self.turn(task, &instance.instruction, &instance.input, PROBE)?.0;
        Ok(MultipleChoice { context, choices: task.choices.clone().unwrap_or_default(), suffix: None, gold })
    }

    /// The prompt with as much of the input as fits, and the answer's text.
    fn fitted(&self, task: &Task, instance: &Instance, answer: &str) -> Result<Fitted> {
        let mut input = instance.input.as_str();
        loop {
            let (prompt, answer) = self.turn(task, &instance.instruction, input, answer)?;
            let tokens = encode(self.tokenizer, &prompt)?;
            if tokens.len() <= self.limits.prompt {
                return Ok(Fitted { tokens, answer, cut: input.len() < instance.input.len() });
            }
            if input.is_empty() {
                return Err(Error::Invalid(format!(
                    "task '{}': a prompt takes {} tokens without its input, and may have {}: raise the limit, or shorten \
                     the instruction or the template",
                    task.name,
                    tokens.len(),
                    self.limits.prompt
                )));
            }
            input = self.shortened(input, tokens.len() - self.limits.prompt)?;
        }
    }

    /// `input` without the last `tokens` of its tokens, at least one character shorter.
    fn shortened<'t>(&self, input: &'t str, tokens: usize) -> Result<&'t str> {
        let encoding = guarded("tokenizing", || self.tokenizer.encode(input, false))?;
        let kept = encoding.len().saturating_sub(tokens);
        let end = kept.checked_sub(1).and_then(|last| encoding.get_offsets().get(last)).map_or(0, |&(_, end)| end);
        let last = input.char_indices().next_back().map_or(0, |(at, _)| at);
        Ok(input[..input.floor_char_boundary(end.min(last))].trim_end())
    }

    /// The prompt and, with what closes it, the answer.
    fn turn(&self, task: &Task, instruction: &str, input: &str, answer: &str) -> Result<(String, String)> {
        let words = task.template.render(task.choices.as_deref().unwrap_or_default(), instruction, input)?;
        let turn = self.chat.turn(&words, answer)?;
        let changed = || Error::Invalid("the chat template does not write every answer in the same way".into());
        let rest = turn.answer.strip_prefix(&self.lead).ok_or_else(changed)?;
        Ok((turn.prompt + &self.lead, rest.to_owned()))
    }
}

struct Fitted {
    tokens: Vec<u32>,
    answer: String,
    cut: bool,
}
