//! How much each parameter in training matters, from examples one at a time.

use burn::tensor::Tensor;
use orbit_hook::Phases;

use crate::arithmetic::{Update, update};
use crate::kernel::{cross_entropy, pick};
use crate::model::check_tokens;
use crate::parameters::Trained;
use crate::{Input, MicroBatch, Model, Result};

/// What is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Estimate {
    /// The diagonal of the empirical Fisher: the mean over examples of (∂/∂θ log p(y | x))² at the given answer y
    /// (arXiv 1612.00796).
    Fisher,
    /// The mean over examples of |∂/∂θ ‖f(x)‖²|, f the logits where the answer is predicted, the squared norm averaged over these
    /// positions (arXiv 1711.09601).
    Sensitivity,
}

impl Estimate {
    /// What the bit of [`Phases::ESTIMATES`] asks for.
    pub(crate) fn asked_by(phase: Phases) -> Self {
        if phase == Phases::FISHER { Self::Fisher } else { Self::Sensitivity }
    }

    /// The estimate over some examples, a vector a parameter. Costs a step's forward and backward pass an example.
    pub(crate) fn over<M: Model>(
        self,
        model: &M,
        trained: &Trained,
        examples: &[MicroBatch],
    ) -> Result<Vec<Tensor<1>>> {
        let share = 1.0 / examples.len().max(1) as f32;
        let mut sum: Vec<Tensor<1>> = trained.weights(model).iter().map(Tensor::zeros_like).collect();
        for example in examples {
            check_tokens(&example.tokens, model.vocabulary())?;
            let mut grads = self.objective(model, example).backward();
            for (sum, gradient) in sum.iter_mut().zip(trained.gradients(model, &mut grads)) {
                match self {
                    Self::Fisher => update(Update::AddProduct(share), sum, Some(&gradient), Some(&gradient)),
                    Self::Sensitivity => update(Update::Add(share), sum, Some(&gradient.abs()), None),
                }
            }
        }
        Ok(sum)
    }

    fn objective<M: Model>(self, model: &M, example: &MicroBatch) -> Tensor<1> {
        let hidden = model.hidden(&Input::from(example));
        let [rows, width, d] = hidden.dims();
        let (positions, targets) = example.answer_positions();
        let logits = model.logits(pick(hidden.reshape([rows * width, d]), &positions));
        match self {
            Self::Fisher => cross_entropy(logits, &targets, 1.0),
            Self::Sensitivity => logits.square().sum().div_scalar(targets.len() as f32),
        }
    }
}
