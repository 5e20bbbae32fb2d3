//! How far an adapter has moved the weights.

use rayon::prelude::*;

use super::Adapter;
use crate::weights::Array;

/// ‖s (B A − B₀ A₀)‖ over all adapted weights, for an adapter now and as it was; `then` None is a model without one.
///
/// The product, of the size of the weight, is never formed: B A − B₀ A₀ = (B − B₀) A + B₀ (A − A₀) = L R with L `[out, 2r]` and
/// R `[2r, in]`, and ‖L R‖² = Σ (LᵀL) ∘ (R Rᵀ), two matrices of 2r × 2r. Differences are taken before products, so small moves
/// keep their digits; sums are in f64. Costs (out + in) · (2r)² multiplications a weight, where the product costs
/// out · in · r and its memory.
///
/// # Panics
/// When the two differ in rank or scale: they are then not one adapter at two times.
pub fn distance(now: &Adapter, then: Option<&Adapter>) -> f64 {
    if let Some(then) = then {
        let shape = |adapter: &Adapter| (adapter.config.rank, adapter.config.scale());
        assert_eq!(shape(now), shape(then), "an adapter's rank and scale stay as they are");
    }
    let layers: Vec<_> = now.factors.iter().collect();
    let squares: Vec<f64> = layers
        .into_par_iter()
        .map(|(layer, factors)| squared(factors, then.and_then(|then| then.factors.get(layer))))
        .collect();
    now.config.scale().abs() * squares.iter().sum::<f64>().max(0.0).sqrt()
}

/// ‖B A − B₀ A₀‖², with B₀ A₀ = 0 where there was no adapter.
fn squared([a, b]: &[Array; 2], then: Option<&[Array; 2]>) -> f64 {
    let (mut left, mut right) = (columns(b), rows(a));
    if let Some([a0, b0]) = then {
        let (b0, a0) = (columns(b0), rows(a0));
        let moved: Vec<Vec<f64>> = right.iter().zip(&a0).map(|(now, then)| difference(now, then)).collect();
        left = left.iter().zip(&b0).map(|(now, then)| difference(now, then)).chain(b0.iter().cloned()).collect();
        right.extend(moved);
    }
    gram(&left).iter().zip(gram(&right)).map(|(l, r)| l * r).sum()
}

/// The inner products of all pairs.
fn gram(vectors: &[Vec<f64>]) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    vectors.iter().flat_map(|a| vectors.iter().map(move |b| dot(a, b))).collect()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn rows(array: &Array) -> Vec<Vec<f64>> {
    array.data.chunks(array.shape[1].max(1)).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect()
}

fn columns(array: &Array) -> Vec<Vec<f64>> {
    let width = array.shape[1];
    (0..width).map(|column| array.data.iter().skip(column).step_by(width).map(|&x| f64::from(x)).collect()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::lora::LoraConfig;

    fn drawn(layers: &[(usize, usize)], rank: usize, size: f32, seed: u64) -> Adapter {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut array = |rows: usize, columns: usize| Array {
            shape: vec![rows, columns],
            data: (0..rows * columns).map(|_| rng.random_range(-size..size)).collect(),
        };
        let factors = layers.iter().enumerate();
        let factors = factors.map(|(at, &(out, input))| (at.to_string(), [array(rank, input), array(out, rank)]));
        Adapter { factors: factors.collect(), config: LoraConfig { rank, alpha: 3.0, ..LoraConfig::default() } }
    }

    /// ‖s (B A − B₀ A₀)‖ from the products themselves.
    fn dense(now: &Adapter, then: Option<&Adapter>) -> f64 {
        let product = |[a, b]: &[Array; 2]| -> Vec<f64> {
            let (a, b) = (columns(a), rows(b));
            b.iter().flat_map(|b| a.iter().map(move |a| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>())).collect()
        };
        let squares = now.factors.iter().map(|(layer, factors)| {
            let before = then.map(|then| product(&then.factors[layer]));
            let entries = product(factors).into_iter().enumerate();
            entries.map(|(at, x)| (x - before.as_ref().map_or(0.0, |before| before[at])).powi(2)).sum::<f64>()
        });
        now.config.scale() * squares.sum::<f64>().sqrt()
    }

    proptest! {
        /// Also where the adapter has hardly moved, and the products nearly cancel.
        #[test]
        fn is_that_of_the_products(rank in 1..6usize, out in 1..20usize, input in 1..20usize, by in 1e-6..1f32, seed: u64) {
            let then = drawn(&[(out, input), (input, out)], rank, 1.0, seed);
            let step = drawn(&[(out, input), (input, out)], rank, by, seed ^ 1);
            let mut now = then.clone();
            for (factors, step) in now.factors.values_mut().zip(step.factors.values()) {
                for (factor, step) in factors.iter_mut().zip(step) {
                    factor.data.iter_mut().zip(&step.data).for_each(|(x, by)| *x += by);
                }
            }
            for (found, expected) in [
                (distance(&now, Some(&then)), dense(&now, Some(&then))),
                (distance(&now, None), dense(&now, None)),
            ] {
                prop_assert!((found - expected).abs() <= 1e-6 * expected + 1e-12, "{found} {expected}");
            }
        }
    }
}
