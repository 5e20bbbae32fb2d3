//! The encoder that a network learned to put before the codebooks.
//!
//! It is evaluated here without a tensor library, row by row, so that the bits depend neither on threads nor on how many
//! rows come together: an item that is coded alone gets the codes that it got among all.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Running sums of a dot product, so that the compiler may use vector instructions.
const LANES: usize = 16;

/// A linear layer, y = x Wᵀ + b.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// W, row-major, `[out, in]`.
    pub weight: Vec<f32>,
    /// b, `[out]`.
    pub bias: Vec<f32>,
}

impl Layer {
    fn forward(&self, x: &[f32]) -> Vec<f32> {
        self.weight.chunks_exact(x.len()).zip(&self.bias).map(|(row, bias)| dot(row, x) + bias).collect()
    }
}

/// Linear layers with a ReLU between, none after the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Encoder(pub(super) Vec<Layer>);

impl Encoder {
    /// How many values a row has behind the last layer.
    pub(super) fn width(&self) -> usize {
        self.0.last().map_or(0, |layer| layer.bias.len())
    }

    /// That rows of `dim` values go through; a file may say anything.
    pub(super) fn check(&self, dim: usize) -> Result<(), String> {
        if self.0.is_empty() {
            return Err("the encoder has no layers".to_owned());
        }
        let mut input = dim;
        for (number, Layer { weight, bias }) in self.0.iter().enumerate() {
            let output = bias.len();
            if input == 0 || output == 0 || input.checked_mul(output) != Some(weight.len()) {
                return Err(format!(
                    "layer {number} of the encoder has {} weights and {output} biases, which do not fit its {input} inputs",
                    weight.len()
                ));
            }
            if !weight.iter().chain(bias).all(|x| x.is_finite()) {
                return Err(format!("layer {number} of the encoder has weights that are not finite"));
            }
            input = output;
        }
        Ok(())
    }

    /// Rows of `dim` values each, encoded.
    pub(super) fn apply(&self, rows: &[f32], dim: usize) -> Vec<f32> {
        rows.par_chunks_exact(dim).flat_map_iter(|row| self.encode(row)).collect()
    }

    fn encode(&self, row: &[f32]) -> Vec<f32> {
        let mut x = row.to_vec();
        for (number, layer) in self.0.iter().enumerate() {
            if number > 0 {
                x.iter_mut().for_each(|x| *x = x.max(0.0));
            }
            x = layer.forward(&x);
        }
        x
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn layer(weight: &[f32], bias: &[f32]) -> Layer {
        Layer { weight: weight.to_vec(), bias: bias.to_vec() }
    }

    #[test]
    fn a_relu_stands_between_layers_and_not_behind_them() {
        // First x - y and y - x + 1, then minus their sum.
        let encoder = Encoder(vec![layer(&[1.0, -1.0, -1.0, 1.0], &[0.0, 1.0]), layer(&[-1.0, -1.0], &[0.0])]);
        encoder.check(2).unwrap();
        assert_eq!((encoder.width(), encoder.apply(&[3.0, 1.0, 0.0, 4.0], 2)), (1, vec![-2.0, -5.0]));
    }

    #[test]
    fn long_rows_sum_as_short_ones_do() {
        let (a, b): (Vec<f32>, Vec<f32>) = (0..37).map(|i| (i as f32, 1.0 - i as f32)).unzip();
        let plain: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        assert_eq!(dot(&a, &b), plain);
    }

    #[test]
    fn layers_that_do_not_follow_each_other_are_named() {
        let error = |layers: Vec<Layer>| Encoder(layers).check(2).unwrap_err();
        assert_eq!(error(vec![]), "the encoder has no layers");
        let first = || layer(&[1.0; 6], &[0.0; 3]);
        assert_eq!(
            error(vec![first(), layer(&[1.0; 4], &[0.0; 2])]),
            "layer 1 of the encoder has 4 weights and 2 biases, which do not fit its 3 inputs"
        );
        assert!(error(vec![layer(&[], &[])]).contains("layer 0 of the encoder has 0 weights"));
        let wraps = Encoder(vec![layer(&[], &[0.0; 2])]).check(1 << 63).unwrap_err();
        assert!(wraps.contains("0 weights and 2 biases"), "{wraps}");
        let broken = layer(&[1.0, f32::NAN, 0.0], &[0.0]);
        assert_eq!(error(vec![first(), broken]), "layer 1 of the encoder has weights that are not finite");
    }
}
