//! [`Pass`] over one micro-batch of a burn model.

use burn::tensor::Tensor;
use orbit_hook::{
    Error, ErrorKind, ForwardPlan, Handles, Pass, Positions, Reference, Result, Site, Value, check_factor,
};

use crate::directions::Directions;
use crate::kernel::{kl_divergence, pick};
use crate::{Input, MicroBatch, Model, Trace};

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
    /// What the model has kept of its activations.
    trace: Trace,
    directions: &'a mut Directions,
    passes: Vec<Frozen>,
    values: Handles<Held>,
    /// Places among `passes`.
    references: Handles<usize>,
    /// Weighted terms under `hook.name`.
    pub(crate) terms: Vec<(String, Tensor<1>)>,
    pub(crate) log: Vec<(String, f64)>,
    hook: String,
}

/// A pass of the frozen original.
struct Frozen {
    plan: ForwardPlan,
    trace: Trace,
    /// `[rows · width, d]`.
    hidden: Tensor<2>,
}

/// What a handle stands for.
#[derive(Clone)]
enum Held {
    /// Of a whole pass, that of the model in training or one of the frozen original, by its place: nothing was computed of it yet.
    Whole {
        pass: Option<usize>,
        site: Site,
    },
    Rows(Tensor<2>),
    Scalar(Tensor<1>),
}

impl<'a, M: Model> TrainPass<'a, M> {
    pub(crate) fn new(
        model: &'a M,
        frozen: Option<&'a M>,
        batch: &'a MicroBatch,
        (hidden, answer_logits, trace): (Tensor<2>, Tensor<2>, Trace),
        directions: &'a mut Directions,
    ) -> Self {
        Self {
            model,
            frozen,
            batch,
            hidden,
            answer_logits,
            trace,
            directions,
            passes: Vec::new(),
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

    fn rows_of(&mut self, value: Value) -> Result<Tensor<2>> {
        let value = match self.held(value)? {
            Held::Whole { .. } => self.select(value, Positions::All)?,
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

    /// The places of some positions in the flattened batch.
    fn places(&self, at: Positions) -> Vec<u32> {
        match at {
            Positions::All => self.batch.token_positions(),
            Positions::Answer => self.batch.answer_positions().0,
            Positions::PromptEnd => self.batch.prompt_ends(),
        }
    }

    fn logits_at(&self, pass: Option<usize>, at: Positions) -> Result<Tensor<2>> {
        match (pass, at) {
            (None, Positions::Answer) => Ok(self.answer_logits.clone()),
            (None, _) => Ok(self.model.logits(pick(self.hidden.clone(), &self.places(at)))),
            (Some(pass), _) => self.frozen_logits(pass, at),
        }
    }

    /// The frozen model's logits at some positions, over the tokens it was loaded with, as constants of the graph.
    fn frozen_logits(&self, pass: usize, at: Positions) -> Result<Tensor<2>> {
        let frozen = self.frozen.ok_or_else(no_reference)?;
        let logits = frozen.logits(pick(self.passes[pass].hidden.clone(), &self.places(at)));
        Ok(Tensor::from_inner(logits.narrow(1, 0, frozen.base_vocabulary())))
    }

    /// The layer of a plan's first edit and the residual stream before it, if an earlier pass without edits kept that, and the plan
    /// wants nothing of the layers before.
    fn shared(&self, plan: &ForwardPlan) -> Option<(usize, Tensor<3>)> {
        let first = plan.edits.iter().filter_map(|edit| edit.site.layer()).min()?;
        let before = first.checked_sub(1)?;
        if plan.taps.iter().filter_map(|site| site.layer()).any(|layer| layer < first) {
            return None;
        }
        let plain = self.passes.iter().filter(|pass| pass.plan.edits.is_empty());
        let stream = plain.filter_map(|pass| pass.trace.kept(Site::Out(before))).next()?;
        Some((first, stream))
    }

    fn activation_at(&self, pass: Option<usize>, site: Site, at: Positions) -> Result<Tensor<2>> {
        let trace = pass.map_or(&self.trace, |pass| &self.passes[pass].trace);
        let kept = trace.kept(site).ok_or_else(|| {
            Error::new(ErrorKind::Unknown, format!("{site} was not kept: ask for it in the plan of the pass"))
        })?;
        let places = match at {
            Positions::PromptEnd => trace.ends(),
            // What an encoder reads has other places than the batch.
            _ if trace.grid() != [self.batch.rows, self.batch.width] => {
                let message = "the prompt's end is the one position at which an encoder's activations can be had";
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            _ => self.places(at),
        };
        let [rows, width, entries] = kept.dims();
        let rows = pick(kept.reshape([rows * width, entries]), &places);
        Ok(if pass.is_some() { Tensor::from_inner(rows) } else { rows })
    }
}

fn no_reference() -> Error {
    Error::new(ErrorKind::Phase, "a hook that wants a reference must name the loss phase")
}

impl<M: Model> Pass for TrainPass<'_, M> {
    fn logits(&mut self) -> Result<Value> {
        self.tapped(Site::Logits)
    }

    fn tapped(&mut self, site: Site) -> Result<Value> {
        Ok(self.hold(Held::Whole { pass: None, site }))
    }

    fn reference(&mut self, plan: &ForwardPlan) -> Result<Reference> {
        let frozen = self.frozen.ok_or_else(no_reference)?;
        let serves = |pass: &Frozen| {
            pass.plan.edits == plan.edits
                && plan.taps.iter().all(|site| *site == Site::Logits || pass.plan.taps.contains(site))
        };
        let place = match self.passes.iter().position(serves) {
            Some(place) => place,
            None => {
                let device = self.hidden.clone().inner().device();
                let mut trace = self.directions.trace(plan, &frozen.sites(), &device)?;
                let input = Input::from(self.batch);
                let shared =
                    self.shared(plan).and_then(|(from, stream)| frozen.traced_from(from, stream, &input, &mut trace));
                let hidden = shared.unwrap_or_else(|| frozen.traced(&input, &mut trace));
                let [rows, width, d] = hidden.dims();
                self.passes.push(Frozen { plan: plan.clone(), trace, hidden: hidden.reshape([rows * width, d]) });
                self.passes.len() - 1
            }
        };
        Ok(Reference(self.references.hold(place)))
    }

    fn of(&mut self, reference: Reference, site: Site) -> Result<Value> {
        let pass = Some(*self.references.get(reference.0)?);
        Ok(self.hold(Held::Whole { pass, site }))
    }

    fn select(&mut self, v: Value, at: Positions) -> Result<Value> {
        let rows = match self.held(v)? {
            Held::Whole { pass, site: Site::Logits } => self.logits_at(pass, at)?,
            Held::Whole { pass, site } => self.activation_at(pass, site, at)?,
            _ => return Err(Error::new(ErrorKind::Unsupported, "positions can be selected once")),
        };
        Ok(self.hold(Held::Rows(rows)))
    }

    fn rows(&mut self, v: Value) -> Result<usize> {
        Ok(match self.held(v)? {
            Held::Scalar(_) => 1,
            _ => self.rows_of(v)?.dims()[0],
        })
    }

    /// Over the tokens that both have: the reference knows no new ones.
    fn kl(&mut self, p: Value, q: Value, temperature: f32) -> Result<Value> {
        check_factor("the temperature", 1.0 / f64::from(temperature))?;
        let (p, q) = (self.rows_of(p)?, self.rows_of(q)?);
        let ([rows, p_width], [q_rows, q_width]) = (p.dims(), q.dims());
        if rows != q_rows {
            return Err(Error::new(ErrorKind::Unsupported, format!("{rows} rows against {q_rows}")));
        }
        let width = p_width.min(q_width);
        let shared = |x: Tensor<2>| if x.dims()[1] == width { x } else { x.narrow(1, 0, width) };
        let sum = kl_divergence(shared(p), shared(q), temperature);
        Ok(self.hold(Held::Scalar(sum.mul_scalar(temperature * temperature / rows.max(1) as f32))))
    }

    fn mse(&mut self, a: Value, b: Value) -> Result<Value> {
        let (a, b) = (self.rows_of(a)?, self.rows_of(b)?);
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
