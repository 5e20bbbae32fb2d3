//! The decoder, of either family.

mod bloom;
mod llama;
mod replace;

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use orbit_core::hook::ParamKind;
use orbit_core::{Change, Input, Model, Sites, Trace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::DecoderConfig;
use crate::cache::KeysValues;
use crate::config::Family;
use crate::generate::Incremental;
use crate::linear::{Linear, Source};
use crate::lora;
use crate::tokens::{NEW_TOKENS, NewTokens, draw, embed, scores};
use bloom::Bloom;
use llama::Llama;

/// A language model that reads and writes one text: token embedding, pre-norm blocks, a norm, and the output layer, which may be
/// the embedding. [`Family`] says what the blocks are made of.
///
/// Its parameters have the names of the Hugging Face checkpoint, and new tokens are parameters of their own beside it.
#[derive(Module, Debug)]
pub struct Decoder {
    /// The stack, in the field that has its family's name in a checkpoint.
    model: Option<Llama>,
    transformer: Option<Bloom>,
    /// None when the embedding is the output layer too.
    lm_head: Option<Linear>,
    new_tokens: Option<NewTokens>,
    #[module(skip)]
    config: DecoderConfig,
    /// Whether it has an adapter, which then is all that is trained.
    adapted: bool,
    /// How many adapters its rows choose from.
    bank: usize,
    /// What is changed in every pass.
    #[module(skip)]
    steering: Vec<Change>,
}

/// The layers whose output is added to the residual stream.
const WRITERS: [&str; 4] = ["o_proj.weight", "down_proj.weight", "self_attention.dense.weight", "dense_4h_to_h.weight"];

/// What a family makes of embedded tokens.
trait Stack {
    /// The embedding, which may be the output layer too.
    fn embedding(&self) -> &Linear;

    /// What the first layer reads, `[B, T, D]` of `[B, T, D]`.
    fn begin(&self, x_btd: Tensor<3>) -> Tensor<3>;

    /// The residual stream behind some layers, of tokens whose positions the cache, if there is one, knows.
    fn blocks(&self, layers: Range<usize>, x_btd: Tensor<3>, input: &Input, pass: Pass<'_>) -> Tensor<3>;

    /// What a layer's output projection makes of what its heads have found.
    fn project(&self, layer: usize, found: Tensor<3>, input: &Input) -> Tensor<3>;

    /// The last hidden states.
    fn end(&self, x_btd: Tensor<3>) -> Tensor<3>;
}

/// What a pass takes with it.
struct Pass<'a> {
    cache: Option<&'a mut Cache>,
    trace: &'a mut Trace,
}

/// Keys and values of tokens already seen, a layer each. Starts empty and grows with every call it is given to.
#[derive(Debug, Default)]
pub struct Cache {
    layers: Vec<Option<KeysValues>>,
    /// Where the tokens stand in their texts, a list a row, for a family whose keys do not say.
    positions: Vec<Vec<u32>>,
}

impl Cache {
    fn layer(&mut self, index: usize) -> &mut Option<KeysValues> {
        if self.layers.len() <= index {
            self.layers.resize(index + 1, None);
        }
        &mut self.layers[index]
    }

    /// Notes where the tokens of an input stand: keys and values of theirs follow.
    fn expect(&mut self, input: &Input) {
        self.positions.resize(input.rows, Vec::new());
        for (row, new) in self.positions.iter_mut().zip(input.positions.chunks(input.width.max(1))) {
            row.extend(new);
        }
    }

    /// The positions of all tokens, `[B, S]`.
    fn positions(&self) -> Vec<u32> {
        self.positions.concat()
    }
}

impl Decoder {
    /// A decoder whose weights come from `source` by name and shape.
    pub(crate) fn from_source(config: DecoderConfig, source: &mut Source<'_>, device: &Device) -> Self {
        let (model, transformer) = match config.family {
            Family::Llama => (Some(Llama::new(source, &config, device)), None),
            Family::Bloom => (None, Some(Bloom::new(source, &config, device))),
        };
        let lm_head = (!config.tie_word_embeddings)
            .then(|| Linear::new(source, "lm_head", config.vocab_size, config.hidden_size, device));
        Self { model, transformer, lm_head, new_tokens: None, config, adapted: false, bank: 0, steering: Vec::new() }
    }

    /// A decoder with fresh weights: normal with the config's standard deviation, those that write to the residual stream
    /// smaller by √(2 · layers) as in GPT-2, norms at 1, biases at 0.
    pub fn random(config: DecoderConfig, seed: u64, device: &Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let deviation = config.initializer_range as f32;
        let residual = deviation / (2.0 * config.num_hidden_layers as f32).sqrt();
        let mut source = |name: &str, shape: &[usize]| {
            let entries = shape.iter().product();
            if name.ends_with(".bias") {
                return vec![0.0; entries];
            }
            // A vector that is no bias is a norm's weight.
            if shape.len() == 1 {
                return vec![1.0; entries];
            }
            let writes = WRITERS.iter().any(|layer| name.ends_with(layer));
            draw(&mut rng, 0.0, if writes { residual } else { deviation }, entries)
        };
        Self::from_source(config, &mut source, device)
    }

    /// Keeps the first `rows` rows of the tables of tokens: an embedding may have rows that no token has.
    pub(crate) fn keep_rows(mut self, rows: usize) -> Self {
        let embedding = match (&mut self.model, &mut self.transformer) {
            (Some(llama), _) => Some(llama.embedding_mut()),
            (_, Some(bloom)) => Some(bloom.embedding_mut()),
            (None, None) => None,
        };
        embedding.into_iter().chain(&mut self.lm_head).for_each(|table| table.keep_rows(rows));
        self.config.vocab_size = self.config.vocab_size.min(rows);
        self
    }

    /// Adds `count` tokens after those the model was loaded with, in place of any added before. Input and output rows are each
    /// drawn from the normal distribution that fits the rows there are, column by column (our choice; the ORBIT paper is
    /// silent).
    pub fn with_new_tokens(mut self, count: usize, seed: u64) -> Self {
        let input = self.stack().embedding().weight.val();
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
        self.config.family.query_and_value()
    }

    fn stack(&self) -> &dyn Stack {
        match (&self.model, &self.transformer) {
            (Some(llama), _) => llama,
            (_, Some(bloom)) => bloom,
            (None, None) => unreachable!("a decoder is made with the stack of its family"),
        }
    }

    fn run(&self, input: &Input, mut cache: Option<&mut Cache>, trace: &mut Trace) -> Tensor<3> {
        if let Some(cache) = &mut cache {
            cache.expect(input);
        }
        trace.begin(self.sites(), input.rows, input.width, input.prompt_ends());
        let stack = self.stack();
        let x_btd = stack.begin(self.embed(input));
        stack.end(stack.blocks(0..self.config.num_hidden_layers, x_btd, input, Pass { cache, trace }))
    }

    /// The trace of a pass that nobody asks anything of but the model itself.
    fn plain(&self) -> Trace {
        Trace::new(Vec::new(), self.steering.clone())
    }

    /// As [`Stack::project`].
    pub(crate) fn project(&self, layer: usize, found: Tensor<3>, input: &Input) -> Tensor<3> {
        self.stack().project(layer, found, input)
    }

    /// Makes changes in every pass, before those that the pass is asked for.
    pub(crate) fn steered(mut self, changes: Vec<Change>) -> Self {
        self.steering = changes;
        self
    }

    /// `[B, T, D]`.
    fn embed(&self, input: &Input) -> Tensor<3> {
        let table = self.stack().embedding().weight.val();
        let shape = [input.rows, input.width, self.config.hidden_size];
        embed(table, self.new_tokens.as_ref(), &input.tokens).reshape(shape)
    }
}

impl Incremental for Decoder {
    type Cache = Cache;

    fn hidden_after(&self, input: &Input, cache: &mut Cache) -> Tensor<3> {
        self.run(input, Some(cache), &mut self.plain())
    }
}

impl Model for Decoder {
    fn hidden(&self, input: &Input) -> Tensor<3> {
        self.run(input, None, &mut self.plain())
    }

    fn traced(&self, input: &Input, trace: &mut Trace) -> Tensor<3> {
        trace.after(&self.steering);
        self.run(input, None, trace)
    }

    fn traced_from(&self, from: usize, stream: Tensor<3>, input: &Input, trace: &mut Trace) -> Option<Tensor<3>> {
        // What the model is steered by may lie before.
        if !self.steering.is_empty() {
            return None;
        }
        trace.begin(self.sites(), input.rows, input.width, input.prompt_ends());
        let pass = Pass { cache: None, trace };
        Some(self.stack().end(self.stack().blocks(from..self.config.num_hidden_layers, stream, input, pass)))
    }

    fn sites(&self) -> Sites {
        let config = &self.config;
        Sites {
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            head_width: config.head_dim,
            width: config.hidden_size,
        }
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let head = self.lm_head.as_ref().unwrap_or_else(|| self.stack().embedding());
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
