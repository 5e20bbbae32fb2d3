//! The decoder of the Llama family.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use orbit_core::hook::ParamKind;
use orbit_core::kernel::{Rope, linear};
use orbit_core::{Input, Model, pick};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::DecoderConfig;
use crate::layer::{KeysValues, Layer, Linear, RmsNorm, Source};

/// A Llama-family language model: token embedding, pre-norm blocks, a norm, and the output layer, which may be the embedding.
///
/// Its parameters have the names of the Hugging Face checkpoint, and new tokens are parameters of their own beside it.
#[derive(Module, Debug)]
pub struct Decoder {
    model: Trunk,
    /// None when the embedding is the output layer too.
    lm_head: Option<Linear>,
    new_tokens: Option<NewTokens>,
    #[module(skip)]
    config: DecoderConfig,
}

#[derive(Module, Debug)]
struct Trunk {
    embed_tokens: Linear,
    layers: Vec<Layer>,
    norm: RmsNorm,
}

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

/// Keys and values of tokens already seen, a layer each. Starts empty and grows with every call it is given to.
#[derive(Debug, Default)]
pub struct Cache(Vec<Option<KeysValues>>);

impl Decoder {
    /// A decoder whose weights come from `source` by name and shape.
    pub(crate) fn from_source(config: DecoderConfig, source: &mut Source<'_>, device: &Device) -> Self {
        let d = config.hidden_size;
        let model = Trunk {
            embed_tokens: Linear::new(source, "model.embed_tokens", config.vocab_size, d, device),
            layers: (0..config.num_hidden_layers)
                .map(|layer| Layer::new(source, &format!("model.layers.{layer}"), &config, device))
                .collect(),
            norm: RmsNorm::new(source, "model.norm", &config, device),
        };
        let lm_head =
            (!config.tie_word_embeddings).then(|| Linear::new(source, "lm_head", config.vocab_size, d, device));
        Self { model, lm_head, new_tokens: None, config }
    }

    /// A decoder with fresh weights: normal with the config's standard deviation, those that write to the residual stream
    /// smaller by √(2 · layers) as in GPT-2, norms at 1.
    pub fn random(config: DecoderConfig, seed: u64, device: &Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let deviation = config.initializer_range as f32;
        let residual = deviation / (2.0 * config.num_hidden_layers as f32).sqrt();
        let mut source = |name: &str, shape: &[usize]| {
            let entries = shape.iter().product();
            if name.contains("norm") {
                return vec![1.0; entries];
            }
            let writes = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
            draw(&mut rng, 0.0, if writes { residual } else { deviation }, entries)
        };
        Self::from_source(config, &mut source, device)
    }

    /// Adds `count` tokens after those the model was loaded with, in place of any added before. Input and output rows are each drawn from the normal distribution that
    /// fits the rows there are, column by column (our choice; the ORBIT paper is silent).
    pub fn with_new_tokens(mut self, count: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let embedding = self.model.embed_tokens.weight.val();
        let input = fitted_rows(&mut rng, embedding.clone(), count);
        let output = self.lm_head.as_ref().map_or(embedding, |head| head.weight.val());
        let output = fitted_rows(&mut rng, output, count);
        self.new_tokens = Some(NewTokens::new(input, output));
        self
    }

    pub(crate) fn set_new_tokens(&mut self, tokens: NewTokens) {
        self.new_tokens = Some(tokens);
    }

    /// How many tokens were added.
    pub fn new_token_count(&self) -> usize {
        self.new_tokens.as_ref().map_or(0, |new| new.input.val().dims()[0])
    }

    /// The shape of the model as it was loaded, without new tokens.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// [`Model::hidden`] of tokens that follow those in `cache`; the input's mask covers both.
    pub fn hidden_after(&self, input: &Input, cache: &mut Cache) -> Tensor<3> {
        self.run(input, Some(cache))
    }

    fn run(&self, input: &Input, mut cache: Option<&mut Cache>) -> Tensor<3> {
        let rope = Rope::new(&input.positions, self.config.head_dim, self.config.rope_theta);
        if let Some(cache) = &mut cache {
            cache.0.resize(self.model.layers.len(), None);
        }
        let mut x_btd = self.embed(input);
        for (index, layer) in self.model.layers.iter().enumerate() {
            x_btd = layer.forward(x_btd, &rope, input, cache.as_mut().map(|cache| &mut cache.0[index]));
        }
        self.model.norm.forward(x_btd)
    }

    /// `[B, T, D]`. A token is in one of two tables; it takes row 0 of the other, times 0.
    fn embed(&self, input: &Input) -> Tensor<3> {
        let table = self.model.embed_tokens.weight.val();
        let (device, d) = (table.device(), self.config.hidden_size);
        let shape = [input.rows, input.width, d];
        let Some(new) = self.new_tokens.as_ref().filter(|_| self.has_new(input)) else {
            return pick(table, &input.tokens).reshape(shape);
        };
        let base = self.config.vocab_size as u32;
        let rows = |index: &dyn Fn(u32) -> Option<u32>| {
            let picked: Vec<Option<u32>> = input.tokens.iter().map(|&token| index(token)).collect();
            let count = picked.len();
            let ids: Vec<i32> = picked.iter().map(|id| id.unwrap_or(0) as i32).collect();
            let there: Vec<f32> = picked.iter().map(|id| f32::from(u8::from(id.is_some()))).collect();
            (
                Tensor::<1, Int>::from_data(TensorData::new(ids, [count]), &device),
                Tensor::<2>::from_data(TensorData::new(there, [count, 1]), &device),
            )
        };
        let (old_ids, is_old) = rows(&|token| (token < base).then_some(token));
        let (new_ids, is_new) = rows(&|token| token.checked_sub(base));
        (table.select(0, old_ids) * is_old + new.input.val().select(0, new_ids) * is_new).reshape(shape)
    }

    fn has_new(&self, input: &Input) -> bool {
        input.tokens.iter().any(|&token| token as usize >= self.config.vocab_size)
    }
}

impl Model for Decoder {
    fn hidden(&self, input: &Input) -> Tensor<3> {
        self.run(input, None)
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let head = self.lm_head.as_ref().unwrap_or(&self.model.embed_tokens);
        let old = head.forward(hidden.clone());
        match &self.new_tokens {
            None => old,
            Some(new) => Tensor::cat(vec![old, linear(hidden, new.output.val())], 1),
        }
    }

    fn base_vocabulary(&self) -> usize {
        self.config.vocab_size
    }

    fn vocabulary(&self) -> usize {
        self.config.vocab_size + self.new_token_count()
    }

    fn kind(&self, parameter: &str) -> ParamKind {
        if parameter.starts_with(NEW_TOKENS) { ParamKind::New } else { ParamKind::Base }
    }
}

impl NewTokens {
    pub(crate) fn new(input: Tensor<2>, output: Tensor<2>) -> Self {
        Self { input: Param::from_tensor(input), output: Param::from_tensor(output) }
    }
}

/// `[count, d]` rows drawn from the normal distribution that fits each column of `[n, d]`.
fn fitted_rows(rng: &mut ChaCha8Rng, table: Tensor<2>, count: usize) -> Tensor<2> {
    let table = if table.device().is_autodiff() { table.inner() } else { table };
    let [_, d] = table.dims();
    let mean = table.clone().mean_dim(0);
    let deviation = (table - mean.clone()).square().mean_dim(0).sqrt();
    let noise = TensorData::new(draw(rng, 0.0, 1.0, count * d), [count, d]);
    Tensor::<2>::from_data(noise, &mean.device()) * deviation + mean
}

fn draw(rng: &mut ChaCha8Rng, mean: f32, deviation: f32, count: usize) -> Vec<f32> {
    match Normal::new(mean, deviation) {
        Ok(normal) => normal.sample_iter(rng).take(count).collect(),
        Err(_) => vec![mean; count],
    }
}
