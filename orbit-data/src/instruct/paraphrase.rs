//! The instruction of a task in other words.

use super::{Instance, Task};
use crate::{Error, Result};

impl Task {
    /// The test instances with paraphrase `index`, from 0, in place of the instruction. A switch that picks a task's
    /// adapter by the prompt was trained on the instruction alone, so these say whether it knows the task or the words.
    ///
    /// The whole instruction is replaced: what it says of an instance, as that of
    /// [`Ct0Explanation`](super::TaskForm::Ct0Explanation) does, is gone.
    ///
    /// ```
    /// # use orbit_data::instruct::{Instance, Task, Template};
    /// # use orbit_data::metric::Metric;
    /// # let test = vec![Instance { instruction: "Add.".into(), input: "1 and 2".into(), outputs: vec!["3".into()] }];
    /// # let task = Task { name: "sums".into(), train: test.clone(), test, metric: Metric::ExactMatch, choices: None, chance: None, template: Template::plain(), steps: None, paraphrases: vec![] };
    /// let task = Task { paraphrases: vec!["What is the sum?".into()], ..task };
    /// let test = task.paraphrased(0)?;
    /// assert_eq!((test[0].instruction.as_str(), test[0].input.as_str()), ("What is the sum?", "1 and 2"));
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the task has no such paraphrase.
    pub fn paraphrased(&self, index: usize) -> Result<Vec<Instance>> {
        let Some(instruction) = self.paraphrases.get(index) else {
            let count = self.paraphrases.len();
            return Err(Error::Invalid(format!(
                "task '{}' has no paraphrase {index}, from 0: it has {count}",
                self.name
            )));
        };
        let reword = |instance: &Instance| Instance { instruction: instruction.clone(), ..instance.clone() };
        Ok(self.test.iter().map(reword).collect())
    }

    /// Why a paraphrase would not test anything.
    pub(super) fn check_paraphrases(&self) -> Result<(), String> {
        for (index, paraphrase) in self.paraphrases.iter().enumerate() {
            let words = paraphrase.trim();
            let same = |other: &str| other.trim() == words;
            if words.is_empty() {
                return Err(format!("paraphrase {index}, from 0, is blank"));
            }
            if self.paraphrases[..index].iter().any(|other| same(other)) {
                return Err(format!("the paraphrase '{words}' is given twice"));
            }
            if self.train.iter().chain(&self.test).any(|instance| same(&instance.instruction)) {
                return Err(format!("the paraphrase '{words}' is the instruction itself: word it otherwise"));
            }
        }
        Ok(())
    }
}
