//! Whether the answer is known, and whether it is given as asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MultipleChoice;

/// Which of the two probabilities of arXiv 2406.12227 a multiple choice is scored by: what a model that forgets loses
/// is often not the fact but how to answer. Both are over the choices, so that guessing comes to one in their number
/// (our choice: the paper's are over all texts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// P(y | x): of the right answer's content behind the bare question, without an instruction.
    Knowledge,
    /// P(yᶜ | c, x): of the right answer in the form that the instruction asks for, which is the letter of a listed
    /// choice.
    Instruction,
}

/// What is asked where nobody says it in other words.
const INSTRUCTION: &str = "Choose the right answer to the question, and give its letter.";

impl MultipleChoice {
    /// The question with an instruction before it and its choices listed, of which a letter is to be chosen. A choice
    /// with a [`suffix`](Self::suffix) is listed with it.
    ///
    /// ```
    /// use orbit_data::text::MultipleChoice;
    ///
    /// let choices = vec![" Rome".to_owned(), " Paris".to_owned()];
    /// let context = "Question: Where is the Louvre?\nAnswer:".into();
    /// let question = MultipleChoice { context, choices, suffix: None, gold: 1 };
    /// let asked = question.by_letter(Some("Give the letter."));
    /// assert_eq!(asked.context, "Give the letter.\n\nQuestion: Where is the Louvre?\nA. Rome\nB. Paris\nAnswer:");
    /// assert_eq!((asked.choices[1].as_str(), asked.gold), (" B", 1));
    /// ```
    pub fn by_letter(&self, instruction: Option<&str>) -> Self {
        let letters = ('A'..='Z').take(self.choices.len());
        let suffix = self.suffix.as_deref().unwrap_or_default();
        let listed: String = letters
            .clone()
            .zip(&self.choices)
            .map(|(letter, choice)| format!("{letter}. {}{suffix}\n", choice.trim()))
            .collect();
        let question = self.context.trim_end();
        let question = question.strip_suffix("Answer:").unwrap_or(question).trim_end();
        let line = if question.is_empty() { "" } else { "\n" };
        let instruction = instruction.unwrap_or(INSTRUCTION);
        Self {
            context: format!("{instruction}\n\n{question}{line}{listed}Answer:"),
            choices: letters.map(|letter| format!(" {letter}")).collect(),
            suffix: None,
            gold: self.gold,
        }
    }

    /// The probability of the right choice among the choices, from the log-likelihood of each.
    pub fn probability(&self, scores: &[f64]) -> f64 {
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
        scores.get(self.gold).map_or(0.0, |score| (score - largest).exp() / total)
    }
}
