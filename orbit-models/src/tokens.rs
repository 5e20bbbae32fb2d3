//! Tokens in two tables: those the model was loaded with, and new ones after them.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use orbit_core::kernel::linear;
use orbit_core::pick;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

/// Rows of tokens that the model was not loaded with. They have no origin, and are not tied.
#[derive(Module, Debug)]
pub struct NewTokens {
    /// What the tokens look like to the model, `[new, d]`.
    pub(crate) input: Param<Tensor<2>>,
    /// What the model's last hidden state is compared with, `[new, d]`.
    pub(crate) output: Param<Tensor<2>>,
}

/// The name that the parameters of new tokens begin with.
pub(crate) const NEW_TOKENS: &str = "new_tokens";

impl NewTokens {
    pub(crate) fn new(input: Tensor<2>, output: Tensor<2>) -> Self {
        Self { input: Param::from_tensor(input), output: Param::from_tensor(output) }
    }

    /// `count` new tokens. Input and output rows are each drawn from the normal distribution that fits the rows there are,
    /// column by column (our choice; the ORBIT paper is silent).
    pub(crate) fn fitted(input: Tensor<2>, output: Tensor<2>, count: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let input = fitted_rows(&mut rng, input, count);
        let output = fitted_rows(&mut rng, output, count);
        Self::new(input, output)
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.input.val().dims()[0]
    }
}

/// The rows of `tokens`, `[tokens, d]`. A token is in one of two tables; it takes row 0 of the other, times 0.
pub(crate) fn embed(table: Tensor<2>, new: Option<&NewTokens>, tokens: &[u32]) -> Tensor<2> {
    let (base, device) = (table.dims()[0] as u32, table.device());
    let Some(new) = new.filter(|_| tokens.iter().any(|&token| token >= base)) else {
        return pick(table, tokens);
    };
    let rows = |index: &dyn Fn(u32) -> Option<u32>| {
        let picked: Vec<Option<u32>> = tokens.iter().map(|&token| index(token)).collect();
        let there: Vec<f32> = picked.iter().map(|id| f32::from(u8::from(id.is_some()))).collect();
        let there = Tensor::<2>::from_data(TensorData::new(there, [tokens.len(), 1]), &device);
        (picked.into_iter().map(Option::unwrap_or_default).collect::<Vec<u32>>(), there)
    };
    let (old_ids, is_old) = rows(&|token| (token < base).then_some(token));
    let (new_ids, is_new) = rows(&|token| token.checked_sub(base));
    pick(table, &old_ids) * is_old + pick(new.input.val(), &new_ids) * is_new
}

/// Scores of the rows of `hidden`, `[n, d]`, over the tokens of `table` and the new ones after them.
pub(crate) fn scores(hidden: Tensor<2>, table: Tensor<2>, new: Option<&NewTokens>) -> Tensor<2> {
    let old = linear(hidden.clone(), table);
    match new {
        None => old,
        Some(new) => Tensor::cat(vec![old, linear(hidden, new.output.val())], 1),
    }
}

/// `[count, d]` rows drawn from the normal distribution that fits each column of `[n, d]`.
fn fitted_rows(rng: &mut ChaCha8Rng, table: Tensor<2>, count: usize) -> Tensor<2> {
    let tracked = table.device().is_autodiff();
    let table = if tracked { table.inner() } else { table };
    let [_, d] = table.dims();
    let mean = table.clone().mean_dim(0);
    let deviation = (table - mean.clone()).square().mean_dim(0).sqrt();
    let noise = TensorData::new(draw(rng, 0.0, 1.0, count * d), [count, d]);
    let rows = Tensor::<2>::from_data(noise, &mean.device()) * deviation + mean;
    if tracked { Tensor::from_inner(rows) } else { rows }
}

/// Numbers drawn from a normal distribution.
pub(crate) fn draw(rng: &mut ChaCha8Rng, mean: f32, deviation: f32, count: usize) -> Vec<f32> {
    match Normal::new(mean, deviation) {
        Ok(normal) => normal.sample_iter(rng).take(count).collect(),
        Err(_) => vec![mean; count],
    }
}
