//! The network: an encoder, a codebook a level, and a decoder that mirrors the encoder.
//!
//! Shapes: B rows, D values of an embedding, Z of a latent, K codes.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::kernel::{pick, relu};
use orbit_data::semantic_id::{Layer, nearest};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::dense::Dense;

/// Linear layers with a ReLU between, none after the last.
#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Dense>,
}

impl Mlp {
    /// From the first of `widths` through the others to the last.
    fn new(rng: &mut ChaCha8Rng, widths: &[usize], device: &Device) -> Self {
        Self { layers: widths.windows(2).map(|pair| Dense::new(rng, pair[1], pair[0], device)).collect() }
    }

    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (number, layer) in self.layers.iter().enumerate() {
            if number > 0 {
                x = relu(x);
            }
            x = layer.forward(x);
        }
        x
    }
}

/// What is trained.
#[derive(Module, Debug)]
pub(super) struct Network {
    encoder: Mlp,
    /// `[K, Z]` each.
    codebooks: Vec<Param<Tensor<2>>>,
    decoder: Mlp,
}

/// What a batch comes to. Errors are squared distances, the mean over the rows.
pub(super) struct Step {
    /// What is made small.
    pub(super) loss: Tensor<1>,
    /// Of the decoder's rows from the rows that went in.
    pub(super) reconstruction: f64,
    /// Of codes and latents from each other, over all levels, the latter times the commitment.
    pub(super) quantisation: f64,
    /// The code of each row, a list a level.
    pub(super) codes: Vec<Vec<u16>>,
}

impl Network {
    /// Fresh weights; `widths` are those of the encoder, from D to Z. Codes are uniform within ±1/K, as in most code for
    /// VQ-VAE.
    pub(super) fn new(rng: &mut ChaCha8Rng, widths: &[usize], levels: usize, codes: usize, device: &Device) -> Self {
        let encoder = Mlp::new(rng, widths, device);
        let mirrored: Vec<usize> = widths.iter().rev().copied().collect();
        let decoder = Mlp::new(rng, &mirrored, device);
        let (latent, bound) = (widths.last().copied().unwrap_or(0), (codes as f32).recip());
        let book = |_| {
            let entries: Vec<f32> = (0..codes * latent).map(|_| rng.random_range(-bound..bound)).collect();
            Param::from_tensor(Tensor::<2>::from_data(TensorData::new(entries, [codes, latent]), device))
        };
        Self { encoder, codebooks: (0..levels).map(book).collect(), decoder }
    }

    /// The loss of `rows`, D values each: TIGER's ‖x − x̂‖² + Σ ‖sg(r) − e‖² + β ‖r − sg(e)‖² over levels, with e the code
    /// nearest to r, which is what the levels before left over of the latent.
    pub(super) fn step(&self, rows: &[f32], commitment: f64) -> Step {
        let x_bd = self.tensor(rows);
        let z_bz = self.encoder.forward(x_bd.clone());
        let (sum_bz, cost, codes) = self.quantise(&z_bz, commitment);
        // Straight through: the decoder reads the codes, and what it wants of them is asked of the latent.
        let read_bz = z_bz.clone() + (sum_bz - z_bz).detach();
        let error = squared_error(self.decoder.forward(read_bz), x_bd);
        let [reconstruction, quantisation] = [&error, &cost].map(|x| f64::from(host(x.clone()).iter().sum::<f32>()));
        Step { loss: error + cost, reconstruction, quantisation, codes }
    }

    /// The sum of each row's codes, without a gradient; what codes and latents cost; the codes.
    fn quantise(&self, z_bz: &Tensor<2>, commitment: f64) -> (Tensor<2>, Tensor<1>, Vec<Vec<u16>>) {
        let [_, width] = z_bz.dims();
        let mut sum_bz = z_bz.zeros_like();
        let mut cost = Tensor::<1>::zeros([1], &z_bz.device());
        let mut codes = Vec::with_capacity(self.codebooks.len());
        for book in &self.codebooks {
            let residual_bz = z_bz.clone() - sum_bz.clone();
            let chosen = nearest(&host(residual_bz.clone()), &host(book.val()), width);
            let index: Vec<u32> = chosen.iter().map(|&code| u32::from(code)).collect();
            let code_bz = pick(book.val(), &index);
            // Each is drawn to the other, which is held still.
            let to_latents = squared_error(code_bz.clone(), residual_bz.clone().detach());
            let to_codes = squared_error(residual_bz, code_bz.clone().detach());
            cost = cost + to_latents + to_codes * commitment;
            sum_bz = sum_bz + code_bz.detach();
            codes.push(chosen);
        }
        (sum_bz, cost, codes)
    }

    /// Lets `change` make each codebook anew, in order: it gets the number of the level, what the levels before leave over
    /// of `rows`, and the codes.
    pub(super) fn renew(&mut self, rows: &[f32], mut change: impl FnMut(usize, &[f32], &mut Vec<f32>)) {
        let mut residuals = host(self.encoder.valid().forward(self.tensor(rows).inner()));
        for (level, book) in self.codebooks.iter_mut().enumerate() {
            let (old, mut codes) = (book.val(), host(book.val()));
            let [count, width] = old.dims();
            change(level, &residuals, &mut codes);
            let chosen = nearest(&residuals, &codes, width);
            for (residual, code) in residuals.chunks_exact_mut(width).zip(chosen) {
                residual.iter_mut().zip(&codes[usize::from(code) * width..]).for_each(|(x, c)| *x -= c);
            }
            let new = Tensor::<2>::from_data(TensorData::new(codes, [count, width]), &old.device());
            // The id ties it to what the optimizer remembers.
            *book = Param::initialized(book.id, new.require_grad());
        }
    }

    /// The layers of the encoder.
    pub(super) fn encoder(&self) -> Vec<Layer> {
        let layer = |dense: &Dense| Layer { weight: host(dense.weight.val()), bias: host(dense.bias.val()) };
        self.encoder.layers.iter().map(layer).collect()
    }

    /// The codes of each level, row-major.
    pub(super) fn codebooks(&self) -> Vec<Vec<f32>> {
        self.codebooks.iter().map(|book| host(book.val())).collect()
    }

    /// Rows as the encoder takes them, `[B, D]`.
    fn tensor(&self, rows: &[f32]) -> Tensor<2> {
        let weight = self.encoder.layers[0].weight.val();
        let [_, width] = weight.dims();
        Tensor::from_data(TensorData::new(rows.to_vec(), [rows.len() / width, width]), &weight.device())
    }
}

/// The squared distance of rows, the mean over them: `[1]`.
fn squared_error(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    let [rows, _] = a.dims();
    (a - b).square().sum() / rows as f64
}

fn host<const N: usize>(tensor: Tensor<N>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn network() -> (Network, Vec<f32>) {
        let device = orbit_core::device("flex").unwrap().autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let network = Network::new(&mut rng, &[6, 8, 3], 2, 4, &device);
        (network, (0..60).map(|at| ((at * at) as f32).sin()).collect())
    }

    #[test]
    fn the_gradient_goes_straight_through_the_codes() {
        let (network, rows) = network();
        // Without commitment there is no other way from the loss to the encoder.
        let gradients = network.step(&rows, 0.0).loss.backward();
        for layer in &network.encoder.layers {
            let gradient = host(layer.weight.val().grad(&gradients).unwrap());
            assert!(gradient.iter().any(|&x| x != 0.0) && gradient.iter().all(|x| x.is_finite()), "{gradient:?}");
        }
        for book in &network.codebooks {
            assert!(host(book.val().grad(&gradients).unwrap()).iter().any(|&x| x != 0.0));
        }
    }

    #[test]
    fn the_costs_are_those_of_the_codes() {
        let (network, rows) = network();
        let latents = host(network.encoder.valid().forward(network.tensor(&rows).inner()));
        let step = network.step(&rows, 0.5);
        // Codes and latents are as far from each other as latents and codes: 1 and 0.5 times the same.
        let mut left = latents;
        let mut expected = 0.0;
        for (codes, book) in step.codes.iter().zip(network.codebooks()) {
            for (row, &code) in left.chunks_exact_mut(3).zip(codes) {
                row.iter_mut().zip(&book[3 * usize::from(code)..]).for_each(|(x, c)| *x -= c);
                expected += 1.5 * f64::from(row.iter().map(|x| x * x).sum::<f32>()) / 10.0;
            }
        }
        assert!((step.quantisation - expected).abs() < 1e-4 * expected, "{} {expected}", step.quantisation);
        assert!(step.reconstruction > 0.0);
    }

    #[test]
    fn renewed_codes_are_used_and_trained_on() {
        let (mut network, rows) = network();
        let mut seen = Vec::new();
        network.renew(&rows, |level, residuals, codes| {
            seen.push(residuals.len());
            codes[..3].copy_from_slice(&residuals[..3]);
            assert_eq!(level + 1, seen.len());
        });
        assert_eq!(seen, [30, 30]);
        // The first row is on its code, and nothing is left of it.
        let step = network.step(&rows, 0.25);
        assert_eq!(step.codes[0][0], 0);
        let gradients = step.loss.backward();
        assert!(network.codebooks.iter().all(|book| book.val().grad(&gradients).is_some()));
    }
}
