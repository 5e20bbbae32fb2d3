//! [`Pass`] over one micro-batch of a burn model.

use burn::tensor::{Tensor, activation};
use orbit_hook::{
    Error, ErrorKind, ForwardPlan, Handles, Pass, Positions, Reference, Result, Site, Value, check_factor,
};

use crate::kernel::pick;
use crate::{Input, MicroBatch, Model};

/// The forward pass of one micro-batch, with what hooks made of it.
pub(crate) struct TrainPass<'a, M> {
    model: &'a M,
    /// The original, without autodiff.
    frozen: Option<&'a M>,
    batch: &'a MicroBatch,
    /// `[rows · width, d]`.
    hidden: Tensor<2>,
    /// `[answer tokens, vocabulary]`, shared with the task's loss.
    answer_logits: Tensor<2>,
    reference: Option<Tensor<2>>,
    values: Handles<Held>,
    references: Handles<()>,
    /// Weighted terms under `hook.name`.
    pub(crate) terms: Vec<(String, Tensor<1>)>,
    pub(crate) log: Vec<(String, f64)>,
    hook: String,
}

/// What a handle stands for.
#[derive(Clone)]
enum Held {
    /// Logits that nothing was computed of yet: the trained model's, or the frozen one's.
    Logits {
        frozen: bool,
    },
    Rows(Tensor<2>),
    Scalar(Tensor<1>),
}

impl<'a, M: Model> TrainPass<'a, M> {
    pub(crate) fn new(
        model: &'a M,
        frozen: Option<&'a M>,
        batch: &'a MicroBatch,
        hidden: Tensor<2>,
        answer_logits: Tensor<2>,
    ) -> Self {
        Self {
            model,
            frozen,
            batch,
            hidden,
            answer_logits,
            reference: None,
            values: Handles::new(),
            references: Handles::new(),
            terms: Vec::new(),
            log: Vec::new(),
            hook: String::new(),
        }
    }

    /// Says whose turn it is: terms and logs go under this name.
    pub(crate) fn turn(&mut self, hook: &str) {
        self.hook = hook.to_owned();
    }

    fn hold(&mut self, held: Held) -> Value {
        Value(self.values.hold(held))
    }

    fn held(&self, value: Value) -> Result<Held> {
        self.values.get(value.0).cloned()
    }

    fn rows(&mut self, value: Value) -> Result<Tensor<2>> {
        let value = match self.held(value)? {
            Held::Logits { .. } => self.select(value, Positions::All)?,
            _ => value,
        };
        match self.held(value)? {
            Held::Rows(rows) => Ok(rows),
            _ => Err(Error::new(ErrorKind::Unsupported, "a single number was given where rows are needed")),
        }
    }

    fn scalar_of(&self, value: Value) -> Result<Tensor<1>> {
        match self.held(value)? {
            Held::Scalar(tensor) => Ok(tensor),
            _ => Err(Error::new(ErrorKind::Unsupported, "rows were given where a single number is needed")),
        }
    }

    /// The frozen model's logits at some positions, over the tokens it was loaded with, as constants of the graph.
    fn frozen_logits(&self, at: &[u32]) -> Result<Tensor<2>> {
        let (Some(frozen), Some(hidden)) = (self.frozen, &self.reference) else {
            return Err(Error::new(ErrorKind::Unknown, "there is no reference pass"));
        };
        let logits = frozen.logits(pick(hidden.clone(), at));
        Ok(Tensor::from_inner(logits.narrow(1, 0, frozen.base_vocabulary())))
    }
}

impl<M: Model> Pass for TrainPass<'_, M> {
    fn logits(&mut self) -> Result<Value> {
        Ok(self.hold(Held::Logits { frozen: false }))
    }

    fn reference(&mut self, _: &ForwardPlan) -> Result<Reference> {
        let Some(frozen) = self.frozen else {
            return Err(Error::new(ErrorKind::Phase, "a hook that wants a reference must name the loss phase"));
        };
        if self.reference.is_none() {
            let hidden = frozen.hidden(&Input::from(self.batch));
            let [rows, width, d] = hidden.dims();
            self.reference = Some(hidden.reshape([rows * width, d]));
        }
        Ok(Reference(self.references.hold(())))
    }

    fn of(&mut self, reference: Reference, site: Site) -> Result<Value> {
        self.references.get(reference.0)?;
        match site {
            Site::Logits => Ok(self.hold(Held::Logits { frozen: true })),
            other => Err(Error::new(ErrorKind::Unsupported, format!("this model has no tap at {other:?}"))),
        }
    }

    fn select(&mut self, v: Value, at: Positions) -> Result<Value> {
        let Held::Logits { frozen } = self.held(v)? else {
            return Err(Error::new(ErrorKind::Unsupported, "positions can be selected once"));
        };
        let rows = match (frozen, at) {
            (false, Positions::Answer) => self.answer_logits.clone(),
            (false, Positions::All) => self.model.logits(pick(self.hidden.clone(), &self.batch.token_positions())),
            (true, Positions::Answer) => self.frozen_logits(&self.batch.answer_positions().0)?,
            (true, Positions::All) => self.frozen_logits(&self.batch.token_positions())?,
        };
        Ok(self.hold(Held::Rows(rows)))
    }

    /// Over the tokens that both have: the reference knows no new ones.
    fn kl(&mut self, p: Value, q: Value, temperature: f32) -> Result<Value> {
        check_factor("the temperature", 1.0 / f64::from(temperature))?;
        let (p, q) = (self.rows(p)?, self.rows(q)?);
        let ([rows, p_width], [q_rows, q_width]) = (p.dims(), q.dims());
        if rows != q_rows {
            return Err(Error::new(ErrorKind::Unsupported, format!("{rows} rows against {q_rows}")));
        }
        let width = p_width.min(q_width);
        let log = |x: Tensor<2>| activation::log_softmax(x.narrow(1, 0, width).div_scalar(temperature), 1);
        let (log_p, log_q) = (log(p), log(q));
        let sum = (log_p.clone().exp() * (log_p - log_q)).sum();
        Ok(self.hold(Held::Scalar(sum.mul_scalar(temperature * temperature / rows.max(1) as f32))))
    }

    fn mse(&mut self, a: Value, b: Value) -> Result<Value> {
        let (a, b) = (self.rows(a)?, self.rows(b)?);
        if a.dims() != b.dims() {
            return Err(Error::new(ErrorKind::Unsupported, format!("{:?} against {:?}", a.dims(), b.dims())));
        }
        let mean = (a - b).square().mean();
        Ok(self.hold(Held::Scalar(mean)))
    }

    fn scalar(&mut self, v: Value) -> Result<f64> {
        let value = self.scalar_of(v)?.inner();
        Ok(crate::arithmetic::read(value).first().copied().map_or(f64::NAN, f64::from))
    }

    fn add_loss(&mut self, name: &str, weight: f64, term: Value) -> Result<()> {
        check_factor("the weight of a loss term", weight)?;
        let term = self.scalar_of(term)?.mul_scalar(weight);
        self.terms.push((format!("{}.{name}", self.hook), term));
        Ok(())
    }

    fn log(&mut self, key: &str, value: f64) {
        self.log.push((format!("{}.{key}", self.hook), value));
    }
}
