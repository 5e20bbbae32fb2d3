//! The decoder of the Llama family.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use orbit_core::hook::ParamKind;
use orbit_core::kernel::Rope;
use orbit_core::{Input, Model};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::DecoderConfig;
use crate::generate::Incremental;
use crate::layer::{KeysValues, Layer, RmsNorm};
use crate::linear::{Linear, Source};
use crate::lora;
use crate::tokens::{NEW_TOKENS, NewTokens, draw, embed, scores};

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
    /// Whether it has an adapter, which then is all that is trained.
    adapted: bool,
    /// How many adapters its rows choose from.
    bank: usize,
}

#[derive(Module, Debug)]
struct Trunk {
    embed_tokens: Linear,
    layers: Vec<Layer>,
    norm: RmsNorm,
}

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
        Self { model, lm_head, new_tokens: None, config, adapted: false, bank: 0 }
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

    /// Adds `count` tokens after those the model was loaded with, in place of any added before. Input and output rows are each
    /// drawn from the normal distribution that fits the rows there are, column by column (our choice; the ORBIT paper is
    /// silent).
    pub fn with_new_tokens(mut self, count: usize, seed: u64) -> Self {
        let input = self.model.embed_tokens.weight.val();
        let output = self.lm_head.as_ref().map_or_else(|| input.clone(), |head| head.weight.val());
        self.new_tokens = Some(NewTokens::fitted(input, output, count, seed));
        self
    }

    pub(crate) fn set_new_tokens(&mut self, tokens: NewTokens) {
        self.new_tokens = Some(tokens);
    }

    /// How many tokens were added.
    pub fn new_token_count(&self) -> usize {
        self.new_tokens.as_ref().map_or(0, NewTokens::count)
    }

    /// The shape of the model as it was loaded, without new tokens.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The model with an adapter put on it by `change`, or several that rows choose from.
    pub(crate) fn map_adapted(self, bank: usize, change: impl FnOnce(Self) -> Self) -> Self {
        Self { adapted: true, bank, ..change(self) }
    }

    pub(crate) fn adapted(&self) -> bool {
        self.adapted
    }

    /// The layers that an adapter is for when nobody says otherwise.
    pub(crate) fn query_and_value(&self) -> &'static [&'static str] {
        &["q_proj", "v_proj"]
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

    /// `[B, T, D]`.
    fn embed(&self, input: &Input) -> Tensor<3> {
        let table = self.model.embed_tokens.weight.val();
        let shape = [input.rows, input.width, self.config.hidden_size];
        embed(table, self.new_tokens.as_ref(), &input.tokens).reshape(shape)
    }
}

impl Incremental for Decoder {
    type Cache = Cache;

    fn hidden_after(&self, input: &Input, cache: &mut Cache) -> Tensor<3> {
        self.run(input, Some(cache))
    }
}

impl Model for Decoder {
    fn hidden(&self, input: &Input) -> Tensor<3> {
        self.run(input, None)
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let head = self.lm_head.as_ref().unwrap_or(&self.model.embed_tokens);
        scores(hidden, head.weight.val(), self.new_tokens.as_ref())
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

    fn trains(&self, parameter: &str) -> bool {
        !self.adapted || lora::trains(parameter)
    }

    fn adapters(&self) -> usize {
        self.bank
    }
}
