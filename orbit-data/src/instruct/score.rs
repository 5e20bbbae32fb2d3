//! The score of a task from what a model did with its test part.

use super::Task;
use crate::metric::{Generated, Score};
use crate::{Error, Result};

impl Task {
    /// Scores what a model wrote for the test instances, in their order, by the task's metric.
    ///
    /// # Errors
    /// When there is not one prediction for each test instance, and what
    /// [`Metric::score`](crate::metric::Metric::score) refuses.
    pub fn score(&self, predictions: &[impl AsRef<str>]) -> Result<Score> {
        self.check_answered(predictions.len())?;
        let answers = self.test.iter().zip(predictions).map(|(instance, prediction)| Generated {
            source: &instance.input,
            prediction: prediction.as_ref(),
            references: &instance.outputs,
        });
        self.metric.score(&answers.collect::<Vec<_>>())
    }

    /// Scores the choices that a model took for the test instances, in their order, by their indices: one is right when
    /// it is among the acceptable answers. This is [`Metric::Accuracy`](crate::metric::Metric::Accuracy), whatever the
    /// task's metric is.
    ///
    /// ```
    /// # use orbit_data::instruct::{Instance, Task, Template};
    /// # use orbit_data::metric::Metric;
    /// # let instance = |output: &str| Instance { outputs: vec![output.into()], ..Instance::default() };
    /// # let test = vec![instance("good"), instance("bad"), instance("good"), instance("bad")];
    /// # let choices = Some(vec!["good".into(), "bad".into()]);
    /// # let task = Task { name: "reviews".into(), train: test.clone(), test, metric: Metric::Accuracy, choices, chance: None, template: Template::plain(), steps: None, paraphrases: vec![] };
    /// // The answers are good, bad, good, bad.
    /// assert_eq!(task.score_choices(&[0, 0, 0, 1])?.value, 0.75);
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is not one choice for each test instance, or the task has no such choice.
    pub fn score_choices(&self, taken: &[usize]) -> Result<Score> {
        self.check_answered(taken.len())?;
        let choices = self.choices.as_deref().unwrap_or_default();
        let item = |(taken, outputs): (usize, &[String])| {
            let missing = || Error::Invalid(format!("task '{}' has no choice {taken}, from 0", self.name));
            Ok(f64::from(outputs.contains(choices.get(taken).ok_or_else(missing)?)))
        };
        let outputs = self.test.iter().map(|instance| instance.outputs.as_slice());
        let items = taken.iter().copied().zip(outputs).map(item).collect::<Result<Vec<f64>>>()?;
        Ok(Score { value: items.iter().sum::<f64>() / items.len() as f64, items })
    }

    fn check_answered(&self, answers: usize) -> Result<()> {
        let wanted = self.test.len();
        if answers == wanted && wanted > 0 {
            return Ok(());
        }
        Err(Error::Invalid(format!("task '{}': {answers} answers for {wanted} test instances", self.name)))
    }
}
