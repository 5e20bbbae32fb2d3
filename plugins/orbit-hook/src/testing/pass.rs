use std::collections::BTreeMap;

use crate::{
    Edit, Error, ErrorKind, ForwardPlan, Handles, Pass, Positions, Reference, Result, Site, Value, check_factor,
};

/// Rows of numbers: positions by vocabulary, or a single number.
type Rows = Vec<Vec<f64>>;

/// A [`Pass`] over logits that are given, in double precision. Its model is the identity: what is at a site is the logits, and an
/// edit, wherever it is, is added to them.
///
/// It tells what a hook adds to the loss; it does not differentiate.
///
/// ```
/// use orbit_hook::{ForwardPlan, Pass, Positions, Site, testing::HostPass};
///
/// let mut pass = HostPass::new(vec![vec![3.0, 1.0]; 2], vec![vec![1.0, 1.0]; 2], vec![false, true]);
/// let logits = pass.logits()?;
/// let answer = pass.select(logits, Positions::Answer)?;
/// let reference = pass.reference(&ForwardPlan::default())?;
/// let reference = pass.of(reference, Site::Logits)?;
/// let reference = pass.select(reference, Positions::Answer)?;
/// let term = pass.mse(answer, reference)?;
/// pass.add_loss("match", 0.5, term)?;
/// assert_eq!(pass.terms()[0].value, 2.0);
/// # Ok::<(), orbit_hook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HostPass {
    student: Rows,
    reference: Rows,
    answer: Vec<bool>,
    values: Handles<Rows>,
    references: Handles<Rows>,
    directions: BTreeMap<(String, String), Vec<f64>>,
    terms: Vec<Term>,
    logged: Vec<(String, f64)>,
}

/// A term that a hook added to the loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Its column in the metrics.
    pub name: String,
    /// What it is multiplied by in the loss.
    pub weight: f64,
    /// What it was.
    pub value: f64,
}

impl HostPass {
    /// A pass that gave the logits `student`, one row per position, where the frozen original gives `reference`; `answer`
    /// tells for each position whether it is one of [`Positions::Answer`].
    pub fn new(student: Vec<Vec<f64>>, reference: Vec<Vec<f64>>, answer: Vec<bool>) -> Self {
        Self {
            student,
            reference,
            answer,
            values: Handles::new(),
            references: Handles::new(),
            directions: BTreeMap::new(),
            terms: Vec::new(),
            logged: Vec::new(),
        }
    }

    /// With a stored vector, by its file and name. One that was not given is 1, 2, 3, ...
    #[must_use]
    pub fn with_direction(mut self, file: &str, name: &str, vector: Vec<f64>) -> Self {
        self.directions.insert((file.to_owned(), name.to_owned()), vector);
        self
    }

    /// The rows with a stored vector added to some of them.
    fn edited(&self, rows: Rows, edit: &Edit) -> Result<Rows> {
        let width = rows.first().map_or(0, Vec::len);
        let given = self.directions.get(&(edit.file.clone(), edit.name.clone()));
        let vector = given.cloned().unwrap_or_else(|| (1..=width).map(|entry| entry as f64).collect());
        if vector.len() != width {
            let message = format!("a vector of {} for a site of {width}", vector.len());
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let add = |(row, mut entries): (usize, Vec<f64>)| {
            if self.is_at(row, edit.at) {
                entries.iter_mut().zip(&vector).for_each(|(x, v)| *x += f64::from(edit.scale) * v);
            }
            entries
        };
        Ok(rows.into_iter().enumerate().map(add).collect())
    }

    fn is_at(&self, row: usize, at: Positions) -> bool {
        match at {
            Positions::All => true,
            Positions::Answer => self.answer[row],
            Positions::PromptEnd => self.answer[row] && (row == 0 || !self.answer[row - 1]),
        }
    }

    /// What hooks added to the loss, in order.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// What hooks logged, in order.
    pub fn logged(&self) -> &[(String, f64)] {
        &self.logged
    }

    fn keep(&mut self, rows: Rows) -> Value {
        Value(self.values.hold(rows))
    }

    fn held(&self, v: Value) -> Result<&Rows> {
        self.values.get(v.0)
    }

    /// The rows of two values, which must have the same extents.
    fn pair(&self, a: Value, b: Value) -> Result<impl Iterator<Item = (&[f64], &[f64])>> {
        let (a, b) = (self.held(a)?, self.held(b)?);
        if !a.iter().map(Vec::len).eq(b.iter().map(Vec::len)) {
            return Err(Error::new(ErrorKind::Unsupported, "the two values have different extents"));
        }
        Ok(a.iter().map(Vec::as_slice).zip(b.iter().map(Vec::as_slice)))
    }

    fn keep_mean(&mut self, sum: f64, count: usize) -> Value {
        self.keep(vec![vec![sum / count.max(1) as f64]])
    }
}

impl Pass for HostPass {
    fn logits(&mut self) -> Result<Value> {
        Ok(self.keep(self.student.clone()))
    }

    fn tapped(&mut self, _: Site) -> Result<Value> {
        self.logits()
    }

    fn reference(&mut self, plan: &ForwardPlan) -> Result<Reference> {
        let rows = plan.edits.iter().try_fold(self.reference.clone(), |rows, edit| self.edited(rows, edit))?;
        Ok(Reference(self.references.hold(rows)))
    }

    fn of(&mut self, reference: Reference, _: Site) -> Result<Value> {
        let rows = self.references.get(reference.0)?.clone();
        Ok(self.keep(rows))
    }

    fn select(&mut self, v: Value, at: Positions) -> Result<Value> {
        let rows = self.held(v)?;
        if rows.len() != self.answer.len() {
            let message = format!("a value of {} rows has no positions to select from", rows.len());
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let chosen = rows.iter().enumerate().filter(|(row, _)| self.is_at(*row, at));
        let chosen = chosen.map(|(_, entries)| entries.clone()).collect();
        Ok(self.keep(chosen))
    }

    fn rows(&mut self, v: Value) -> Result<usize> {
        Ok(self.held(v)?.len())
    }

    fn kl(&mut self, p: Value, q: Value, temperature: f32) -> Result<Value> {
        let tau = f64::from(temperature);
        check_factor("the temperature", 1.0 / tau)?;
        let rows: Vec<f64> = self.pair(p, q)?.map(|(p, q)| divergence(p, q, tau) * tau * tau).collect();
        Ok(self.keep_mean(rows.iter().sum(), rows.len()))
    }

    fn mse(&mut self, a: Value, b: Value) -> Result<Value> {
        let entries = self.pair(a, b)?.flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)));
        let entries: Vec<f64> = entries.collect();
        Ok(self.keep_mean(entries.iter().sum(), entries.len()))
    }

    fn scalar(&mut self, v: Value) -> Result<f64> {
        match self.held(v)?.as_slice() {
            [row] if row.len() == 1 => Ok(row[0]),
            _ => Err(Error::new(ErrorKind::Unsupported, "the value has more or less than one entry")),
        }
    }

    fn add_loss(&mut self, name: &str, weight: f64, term: Value) -> Result<()> {
        check_factor("the weight of a loss term", weight)?;
        let value = self.scalar(term)?;
        self.terms.push(Term { name: name.to_owned(), weight, value });
        Ok(())
    }

    fn log(&mut self, key: &str, value: f64) {
        self.logged.push((key.to_owned(), value));
    }
}

/// KL(softmax(p/τ) ‖ softmax(q/τ)) in nats.
fn divergence(p: &[f64], q: &[f64], tau: f64) -> f64 {
    let (p, q) = (log_softmax(p, tau), log_softmax(q, tau));
    p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum()
}

fn log_softmax(logits: &[f64], tau: f64) -> Vec<f64> {
    let max = logits.iter().fold(f64::NEG_INFINITY, |max, logit| max.max(*logit));
    let log_sum = logits.iter().map(|logit| ((logit - max) / tau).exp()).sum::<f64>().ln();
    logits.iter().map(|logit| (logit - max) / tau - log_sum).collect()
}
