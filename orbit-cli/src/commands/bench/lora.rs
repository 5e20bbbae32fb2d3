//! `orbit bench --lora`: how fast the drift of an adapter's update is measured.
//!
//! By the Gram matrices of the factors, as orbit does it, and by the products themselves, in the precision of the weights.

use std::time::Instant;

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use orbit_models::LanguageModel;
use orbit_models::lora::{Adapter, LoraConfig, distance};
use orbit_models::weights::Array;
use serde::Serialize;

use super::median;

const ROUNDS: usize = 5;

#[derive(Serialize)]
pub(super) struct Measured {
    rank: usize,
    /// The layers that are adapted, by the last parts of their names: PEFT's default.
    targets: Vec<String>,
    trained_parameters: usize,
    /// Medians over the rounds, of all adapted weights together.
    drift_seconds: f64,
    dense_drift_seconds: f64,
    /// The median over rounds of the first over the second.
    drift_ratio: f64,
    /// What each forms beside the factors.
    drift_bytes: usize,
    dense_drift_bytes: usize,
    drift: f64,
    dense_drift: f64,
}

/// An adapter of this rank that does nothing yet.
pub(super) fn fresh(model: &LanguageModel, rank: usize) -> Result<Adapter> {
    Ok(model.fresh_adapter(&LoraConfig { rank, ..LoraConfig::default() }, 1)?)
}

/// The drift of the adapter that a model has since it was `began`.
pub(super) fn measure(model: &LanguageModel, began: &Adapter, device: &Device) -> Measured {
    let now = Adapter::of(model, &began.config);
    let (mut drift, mut dense_drift) = (0.0, 0.0);
    let rounds: Vec<[f64; 2]> = (0..ROUNDS)
        .map(|_| {
            let gram = timed(|| drift = distance(&now, Some(began)));
            [gram, timed(|| dense_drift = dense(&now, began, device))]
        })
        .collect();
    let rank = now.config.rank;
    let sizes = now.factors.values().map(|[a, b]| (b.shape[0], a.shape[1]));
    let (formed, products): (Vec<usize>, Vec<usize>) =
        sizes.map(|(out, input)| (2 * rank * (out + input) + 2 * (2 * rank).pow(2), 2 * out * input)).unzip();
    Measured {
        rank,
        targets: now.config.targets.clone(),
        trained_parameters: now.factors.values().flatten().map(|factor| factor.data.len()).sum(),
        drift_seconds: median(rounds.iter().map(|[gram, _]| *gram)),
        dense_drift_seconds: median(rounds.iter().map(|[_, dense]| *dense)),
        drift_ratio: median(rounds.iter().map(|[gram, dense]| gram / dense)),
        drift_bytes: formed.iter().sum::<usize>() * size_of::<f64>(),
        dense_drift_bytes: products.iter().sum::<usize>() * size_of::<f32>(),
        drift,
        dense_drift,
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// s ‖B A − B₀ A₀‖ from the products, a weight at a time.
fn dense(now: &Adapter, then: &Adapter, device: &Device) -> f64 {
    let tensor = |array: &Array| {
        Tensor::<2>::from_data(TensorData::new(array.data.clone(), [array.shape[0], array.shape[1]]), device)
    };
    let product = |[a, b]: &[Array; 2]| tensor(b).matmul(tensor(a));
    let squares = now.factors.iter().zip(then.factors.values()).map(|((_, now), then)| {
        let difference = product(now) - product(then);
        f64::from(difference.square().sum().into_scalar::<f32>())
    });
    now.config.scale() * squares.sum::<f64>().sqrt()
}
