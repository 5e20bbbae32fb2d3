//! RQ-VAE (arXiv 2203.01941), by which TIGER (arXiv 2305.05065) makes semantic IDs: an autoencoder whose latent is coded level by
//! level, each level coding what the ones before left over. The codes are learned together with what is coded.
//!
//! Training needs a device; what comes out is plain numbers, which [`SemanticIds::from_quantiser`] makes IDs of and saves with
//! them.
//!
//! Two things keep it from coding everything alike, as it else does with embeddings of language models, which lie close
//! together: the codes start from k-means (TIGER), and those that nothing was coded by for an epoch move to where something is.
//!
//! [`SemanticIds::from_quantiser`]: orbit_data::SemanticIds::from_quantiser

mod network;

use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use orbit_data::ItemEmbeddings;
use orbit_data::semantic_id::{KMeans, Quantiser, Standard};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::network::{Network, Step};
use crate::{Error, Result};

/// Rounds of k-means that the codes start from.
const ROUNDS: usize = 10;
/// Of AdamW; those of PyTorch, as the latents of unit vectors have gradients far below burn's own epsilon.
const EPSILON: f32 = 1e-8;
const WEIGHT_DECAY: f32 = 0.01;

/// How an RQ-VAE is built and trained. Sizes are TIGER's, for embeddings of 768 values; training is not.
///
/// TIGER takes Adagrad at a rate of 0.4 for 20,000 epochs, by which unit vectors collapse to one code (reported by those who
/// repeated it). Our choice is AdamW at 1e-3, which was reported to work, with codes reset every epoch, and as many epochs as
/// two cores do in a few minutes for 12,000 items.
///
/// ```
/// use orbit_data::catalogue::Catalogue;
/// use orbit_data::semantic_id::Collisions;
/// use orbit_data::SemanticIds;
/// use orbit_models::rq_vae::{IdShape, RqVae};
///
/// let (_, embeddings) = Catalogue { items: 60, users: 1, ..Catalogue::default() }.generate();
/// let settings = RqVae { hidden: vec![16], latent: 8, epochs: 5, ..RqVae::default() };
/// let shape = IdShape { levels: 2, codes: 8, standardize: false };
/// let trained = settings.train(&embeddings, shape, 1, &orbit_core::device("flex")?, |_| {})?;
/// assert_eq!(trained.history.len(), 5);
/// let ids = SemanticIds::from_quantiser(trained.quantiser, &embeddings, Collisions::ExtraLevel)?;
/// assert_eq!((ids.len(), &ids.codes_per_level()[..2]), (60, &[8, 8][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RqVae {
    /// Units of the encoder's layers before the latent, each with a ReLU; the decoder has them the other way round. Default: 512,
    /// 256 and 128, as in TIGER.
    pub hidden: Vec<usize>,
    /// Numbers of a latent, and of a code. Default: 32, as in TIGER.
    pub latent: usize,
    /// Passes over the items. Default: 100.
    pub epochs: usize,
    /// Items a step. Default: 1024, as in TIGER.
    pub batch: usize,
    /// Of AdamW. Default: 1e-3.
    pub learning_rate: f64,
    /// How much latents are drawn to their codes, where codes are drawn to their latents by 1. Default: 0.25, as in TIGER.
    pub commitment: f64,
    /// Whether the codes start from k-means over the first batch, as in TIGER; else they start at random. Default: true.
    pub kmeans_start: bool,
    /// Whether a code that no item had for an epoch is moved to what is left of some item. Default: true.
    pub reset_dead_codes: bool,
}

impl Default for RqVae {
    fn default() -> Self {
        Self {
            hidden: vec![512, 256, 128],
            latent: 32,
            epochs: 100,
            batch: 1024,
            learning_rate: 1e-3,
            commitment: 0.25,
            kmeans_start: true,
            reset_dead_codes: true,
        }
    }
}

/// The IDs that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdShape {
    /// How many levels, from 1.
    pub levels: usize,
    /// How many codes a level has, 1 to 65,536.
    pub codes: usize,
    /// Whether each dimension of the embeddings is scaled to mean 0 and variance 1 first, now and for later items.
    pub standardize: bool,
}

/// How an epoch went. Errors are squared distances, the mean over the items, each as it was before the step it was in.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Of what the decoder makes of the codes from what went in.
    pub reconstruction: f64,
    /// Of codes and latents from each other, over all levels, the latter times the commitment.
    pub quantisation: f64,
    /// How many codes of each level some item had.
    pub used: Vec<usize>,
}

/// What training leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Codes embeddings.
    pub quantiser: Quantiser,
    /// The epochs in order.
    pub history: Vec<Epoch>,
}

impl RqVae {
    /// Trains on `embeddings` and tells `progress` of each epoch. The same arguments give the same bits on the same machine, for
    /// any number of threads, on `flex`.
    ///
    /// # Errors
    /// For settings out of range, without any items, and when an error is no number any more.
    pub fn train(
        &self,
        embeddings: &ItemEmbeddings,
        shape: IdShape,
        seed: u64,
        device: &Device,
        mut progress: impl FnMut(&Epoch),
    ) -> Result<Trained> {
        self.check(shape)?;
        if embeddings.is_empty() {
            return Err(Error::rq_vae("an RQ-VAE needs at least one item"));
        }
        let standard = shape.standardize.then(|| Standard::of(embeddings));
        let mut rows = embeddings.rows().to_vec();
        standard.iter().for_each(|standard| standard.apply(&mut rows));
        let rows = |items: &[usize]| -> Vec<f32> {
            items.iter().flat_map(|&item| &rows[item * embeddings.dim()..][..embeddings.dim()]).copied().collect()
        };

        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let widths = [&[embeddings.dim()][..], self.hidden.as_slice(), &[self.latent]].concat();
        let mut network = Network::new(&mut rng, &widths, shape.levels, shape.codes, &device.clone().autodiff());
        let mut optimizer = AdamWConfig::new().with_epsilon(EPSILON).with_weight_decay(WEIGHT_DECAY).init();
        let mut order: Vec<usize> = (0..embeddings.len()).collect();
        let mut history: Vec<Epoch> = Vec::with_capacity(self.epochs);
        let mut usage = Usage::new(shape);
        for number in 0..self.epochs {
            order.shuffle(&mut rng);
            let batches: Vec<Vec<f32>> = order.chunks(self.batch).map(&rows).collect();
            match number {
                0 if self.kmeans_start => network.renew(&batches[0], |level, residuals, codes| {
                    *codes = start(residuals, self.latent, shape.codes, seed.wrapping_add(level as u64));
                }),
                1.. if self.reset_dead_codes => network.renew(&batches[0], |level, residuals, codes| {
                    usage.move_dead(level, residuals, codes, &mut rng);
                }),
                _ => {}
            }
            usage = Usage::new(shape);
            let epoch;
            (network, epoch) = self.pass(network, &mut optimizer, &batches, &mut usage);
            if !(epoch.reconstruction + epoch.quantisation).is_finite() {
                let reason = format!("the error of epoch {number}, from 0, is no number: lower the learning rate");
                return Err(Error::rq_vae(reason));
            }
            progress(&epoch);
            history.push(epoch);
        }
        let quantiser = Quantiser { standard, encoder: network.encoder(), codebooks: network.codebooks() };
        Ok(Trained { quantiser, history })
    }

    /// A step for each of `batches`.
    fn pass(
        &self,
        mut network: Network,
        optimizer: &mut ModuleOptimizer,
        batches: &[Vec<f32>],
        usage: &mut Usage,
    ) -> (Network, Epoch) {
        let all: usize = batches.iter().map(Vec::len).sum();
        let mut epoch = Epoch { reconstruction: 0.0, quantisation: 0.0, used: Vec::new() };
        for batch in batches {
            let Step { loss, reconstruction, quantisation, codes } = network.step(batch, self.commitment);
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(self.learning_rate, network, gradients);
            let share = batch.len() as f64 / all as f64;
            epoch.reconstruction += share * reconstruction;
            epoch.quantisation += share * quantisation;
            usage.note(&codes);
        }
        epoch.used = usage.counts();
        (network, epoch)
    }

    fn check(&self, shape: IdShape) -> Result<()> {
        let IdShape { levels, codes, .. } = shape;
        let counts = [
            ("levels", levels),
            ("codes", codes),
            ("latent", self.latent),
            ("epochs", self.epochs),
            ("batch", self.batch),
        ];
        let hidden = self.hidden.iter().map(|&units| ("hidden", units));
        if let Some((name, _)) = counts.into_iter().chain(hidden).find(|&(_, count)| count == 0) {
            return Err(Error::rq_vae(format!("{name} must be at least 1, got 0")));
        }
        if codes > usize::from(u16::MAX) + 1 {
            return Err(Error::rq_vae(format!("codes must be at most 65,536, got {codes}")));
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return Err(Error::rq_vae(format!("learning_rate must be above 0, got {}", self.learning_rate)));
        }
        if !(self.commitment.is_finite() && self.commitment >= 0.0) {
            return Err(Error::rq_vae(format!("commitment must be 0 or above, got {}", self.commitment)));
        }
        Ok(())
    }
}

/// Codes that k-means finds in `residuals`. Where fewer rows differ than codes are wanted, codes repeat.
fn start(residuals: &[f32], width: usize, codes: usize, seed: u64) -> Vec<f32> {
    let found = KMeans { codes, iterations: ROUNDS, seed }.fit(residuals, width).centroids;
    found.iter().cycle().take(codes * width).copied().collect()
}

/// Which codes of each level some item had.
struct Usage(Vec<Vec<bool>>);

impl Usage {
    fn new(shape: IdShape) -> Self {
        Self(vec![vec![false; shape.codes]; shape.levels])
    }

    fn note(&mut self, codes: &[Vec<u16>]) {
        for (used, codes) in self.0.iter_mut().zip(codes) {
            codes.iter().for_each(|&code| used[usize::from(code)] = true);
        }
    }

    fn counts(&self) -> Vec<usize> {
        self.0.iter().map(|used| used.iter().filter(|&&used| used).count()).collect()
    }

    /// Moves each code of a level that no item had to one of `residuals`, a different one each while there are any.
    fn move_dead(&self, level: usize, residuals: &[f32], codes: &mut [f32], rng: &mut ChaCha8Rng) {
        let used = &self.0[level];
        let width = codes.len() / used.len();
        let mut places: Vec<&[f32]> = residuals.chunks_exact(width).collect();
        places.shuffle(rng);
        let dead = codes.chunks_exact_mut(width).zip(used).filter(|(_, used)| !**used).map(|(code, _)| code);
        dead.zip(places.iter().cycle()).for_each(|(code, place)| code.copy_from_slice(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dead_codes_move() {
        let mut used = Usage::new(IdShape { levels: 1, codes: 4, standardize: false });
        used.note(&[vec![2, 2, 0]]);
        assert_eq!(used.counts(), [2]);
        let mut codes = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0];
        used.move_dead(0, &[7.0, 7.0, 8.0, 8.0], &mut codes, &mut ChaCha8Rng::seed_from_u64(0));
        assert_eq!((&codes[..2], &codes[4..6]), (&[1.0; 2][..], &[3.0; 2][..]));
        let mut moved = [codes[2], codes[6]];
        moved.sort_by(f32::total_cmp);
        assert_eq!(moved, [7.0, 8.0]);
    }

    #[test]
    fn codes_repeat_where_there_are_fewer_rows() {
        let codes = start(&[1.0, 2.0, 3.0, 4.0], 2, 5, 0);
        assert_eq!((codes.len(), &codes[..4]), (10, &codes[4..8]));
    }
}
