//! The shape of a model of either kind, as far as memory goes by it.

use orbit_models::t5::FeedForwardProj;
use orbit_models::{DecoderConfig, Family, T5Config};

use super::F32;

/// Tokens of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tokens {
    /// All, of a model that reads and writes one text.
    All,
    /// Those that an encoder reads.
    Prompt,
    /// Those that the decoder beside it writes.
    Answer,
}

/// Numbers a token, by what tokens they are kept of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PerToken {
    all: usize,
    prompt: usize,
    answer: usize,
}

/// A product with a weight `[out, input]`.
#[derive(Clone, Debug)]
pub(super) struct Product {
    /// Of the layer, in the checkpoint.
    pub(super) name: String,
    /// Products of the same number read the same.
    pub(super) reads: usize,
    pub(super) tokens: Tokens,
    pub(super) input: usize,
    pub(super) out: usize,
}

/// Attention of some tokens to some.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attention {
    pub(super) queries: Tokens,
    pub(super) keys: Tokens,
}

/// What memory goes by.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) parameters: usize,
    pub(super) vocabulary: usize,
    /// Of the residual stream.
    pub(super) width: usize,
    /// Of the inside of the feed-forward layers.
    pub(super) inside: usize,
    /// What their activation reads, times that.
    pub(super) gates: usize,
    pub(super) heads: usize,
    /// Heads of keys and values.
    pub(super) groups: usize,
    pub(super) head_width: usize,
    /// Layers of what writes.
    pub(super) layers: usize,
    /// Whether the embedding is the output layer too.
    pub(super) tied: bool,
    /// The longest text that it was trained for.
    pub(super) longest: usize,
    /// Tokens that it can tell apart by their place; none where there is no end to them.
    pub(super) positions: Option<usize>,
    /// The layers that an adapter is for when nobody says otherwise.
    pub(super) query_and_value: &'static [&'static str],
    pub(super) products: Vec<Product>,
    pub(super) attention: Vec<Attention>,
    /// Numbers that are kept for the backward pass, whatever is trained.
    pub(super) kept: PerToken,
}

/// Takes down products, and what they read.
#[derive(Default)]
struct Products {
    list: Vec<Product>,
    sources: usize,
}

impl PerToken {
    pub(super) fn of(tokens: Tokens, numbers: usize) -> Self {
        let mut all = Self::default();
        all.add(tokens, numbers);
        all
    }

    pub(super) fn add(&mut self, tokens: Tokens, numbers: usize) {
        let of = match tokens {
            Tokens::All => &mut self.all,
            Tokens::Prompt => &mut self.prompt,
            Tokens::Answer => &mut self.answer,
        };
        *of = of.saturating_add(numbers);
    }

    pub(super) fn each(&self) -> [(Tokens, usize); 3] {
        [(Tokens::All, self.all), (Tokens::Prompt, self.prompt), (Tokens::Answer, self.answer)]
    }
}

impl Products {
    /// Products that all read the same of some tokens: their names and how wide they are.
    fn read(&mut self, tokens: Tokens, input: usize, named: impl IntoIterator<Item = (String, usize)>) {
        let reads = self.sources;
        self.sources += 1;
        self.list.extend(named.into_iter().map(|(name, out)| Product { name, reads, tokens, input, out }));
    }
}

impl Shape {
    /// Whether prompts are read by an encoder.
    pub(super) fn reads_with_encoder(&self) -> bool {
        self.attention.iter().any(|attention| attention.queries == Tokens::Prompt)
    }

    /// Bytes of the weights as they are computed with.
    pub(super) fn weights(&self) -> f64 {
        self.parameters as f64 * F32
    }

    /// Bytes of a table of tokens.
    pub(super) fn table(&self) -> f64 {
        self.vocabulary as f64 * self.width as f64 * F32
    }

    /// Bytes of the largest tensor.
    pub(super) fn largest(&self) -> f64 {
        self.table().max(self.inside as f64 * self.width as f64 * F32)
    }

    /// Numbers that the products read, each once.
    pub(super) fn inputs(&self) -> PerToken {
        let mut inputs = PerToken::default();
        for same in self.products.chunk_by(|a, b| a.reads == b.reads) {
            inputs.add(same[0].tokens, same[0].input);
        }
        inputs
    }
}

impl From<&DecoderConfig> for Shape {
    fn from(config: &DecoderConfig) -> Self {
        let (d, inside) = (config.hidden_size, config.intermediate_size);
        let (q, k) = (config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim);
        let gates = if config.family == Family::Llama { 2 } else { 1 };
        let mut products = Products::default();
        for layer in 0..config.num_hidden_layers {
            let mut read = |input: usize, named: &[(&str, usize)]| {
                let stack = if config.family == Family::Llama { "model.layers" } else { "transformer.h" };
                let named = named.iter().map(|(name, out)| (format!("{stack}.{layer}.{name}"), *out));
                products.read(Tokens::All, input, named);
            };
            match config.family {
                Family::Llama => {
                    read(d, &[("self_attn.q_proj", q), ("self_attn.k_proj", k), ("self_attn.v_proj", k)]);
                    read(q, &[("self_attn.o_proj", d)]);
                    read(d, &[("mlp.gate_proj", inside), ("mlp.up_proj", inside)]);
                    read(inside, &[("mlp.down_proj", d)]);
                }
                Family::Bloom => {
                    read(d, &[("self_attention.query_key_value", 3 * d)]);
                    read(q, &[("self_attention.dense", d)]);
                    read(d, &[("mlp.dense_h_to_4h", inside)]);
                    read(inside, &[("mlp.dense_4h_to_h", d)]);
                }
            }
        }
        let layers = config.num_hidden_layers;
        Self {
            parameters: config.parameter_count(),
            vocabulary: config.vocab_size,
            width: d,
            inside,
            gates,
            heads: config.num_attention_heads,
            groups: config.num_key_value_heads,
            head_width: config.head_dim,
            layers,
            tied: config.tie_word_embeddings,
            longest: config.max_position_embeddings,
            positions: config.positions(),
            query_and_value: config.family.query_and_value(),
            products: products.list,
            attention: vec![Attention { queries: Tokens::All, keys: Tokens::All }; layers],
            // The inputs of two norms, queries, keys and values, and what the gate reads.
            kept: PerToken::of(Tokens::All, layers * (2 * d + q + 2 * k + gates * inside)),
        }
    }
}

impl From<&T5Config> for Shape {
    fn from(config: &T5Config) -> Self {
        let (d, inside, heads) = (config.d_model, config.d_ff, config.num_heads * config.d_kv);
        let gated = config.feed_forward_proj == FeedForwardProj::GatedGelu;
        let gates = if gated { 2 } else { 1 };
        let mut products = Products::default();
        let mut attention = Vec::new();
        let own = |products: &mut Products, tokens: Tokens, block: &str| {
            let named = ["q", "k", "v"].map(|part| (format!("{block}.layer.0.SelfAttention.{part}"), heads));
            products.read(tokens, d, named);
            products.read(tokens, heads, [(format!("{block}.layer.0.SelfAttention.o"), d)]);
        };
        let feed_forward = |products: &mut Products, tokens: Tokens, layer: &str| {
            let wide = if gated { &["wi_0", "wi_1"][..] } else { &["wi"] };
            products.read(tokens, d, wide.iter().map(|part| (format!("{layer}.DenseReluDense.{part}"), inside)));
            products.read(tokens, inside, [(format!("{layer}.DenseReluDense.wo"), d)]);
        };
        for block in (0..config.num_layers).map(|at| format!("encoder.block.{at}")) {
            own(&mut products, Tokens::Prompt, &block);
            feed_forward(&mut products, Tokens::Prompt, &format!("{block}.layer.1"));
            attention.push(Attention { queries: Tokens::Prompt, keys: Tokens::Prompt });
        }
        let blocks = || (0..config.num_decoder_layers).map(|at| format!("decoder.block.{at}"));
        // What the encoder has made of the prompt is read by every block of the decoder.
        let across = |block: String| ["k", "v"].map(|part| (format!("{block}.layer.1.EncDecAttention.{part}"), heads));
        products.read(Tokens::Prompt, d, blocks().flat_map(across));
        for block in blocks() {
            own(&mut products, Tokens::Answer, &block);
            products.read(Tokens::Answer, d, [(format!("{block}.layer.1.EncDecAttention.q"), heads)]);
            products.read(Tokens::Answer, heads, [(format!("{block}.layer.1.EncDecAttention.o"), d)]);
            feed_forward(&mut products, Tokens::Answer, &format!("{block}.layer.2"));
            attention.push(Attention { queries: Tokens::Answer, keys: Tokens::Answer });
            attention.push(Attention { queries: Tokens::Answer, keys: Tokens::Prompt });
        }
        // The inputs of norms, queries, keys and values, and what the activation reads.
        let mut kept = PerToken::of(Tokens::Prompt, config.num_layers * (2 * d + 3 * heads + gates * inside));
        kept.add(Tokens::Prompt, config.num_decoder_layers * 2 * heads);
        kept.add(Tokens::Answer, config.num_decoder_layers * (3 * d + 4 * heads + gates * inside));
        // Files of today call every T5 tied; those that do not scale the decoder's output have an output layer.
        let tied = config.tie_word_embeddings && config.scale_decoder_outputs;
        Self {
            parameters: T5Config { tie_word_embeddings: tied, ..config.clone() }.parameter_count(),
            vocabulary: config.vocab_size,
            width: d,
            inside,
            gates,
            heads: config.num_heads,
            groups: config.num_heads,
            head_width: config.d_kv,
            layers: config.num_decoder_layers,
            tied,
            longest: usize::MAX,
            positions: None,
            query_and_value: &["q", "v"],
            products: products.list,
            attention,
            kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that is not a table of tokens, a table of positions or a norm is a product.
    #[test]
    fn products_are_all_the_weights_but_tables_and_norms() {
        for feed_forward_proj in [FeedForwardProj::Relu, FeedForwardProj::GatedGelu] {
            let config = T5Config { num_layers: 2, num_decoder_layers: 3, feed_forward_proj, ..T5Config::default() };
            let shape = Shape::from(&config);
            let products: usize = shape.products.iter().map(|product| product.input * product.out).sum();
            let norms = (2 * 2 + 3 * 3 + 2) * 512;
            assert_eq!(products + norms + 2 * 32 * 8 + 32_128 * 512, shape.parameters);
        }
    }

    #[test]
    fn keys_and_values_of_the_prompt_read_the_same_in_every_block() {
        let shape = Shape::from(&T5Config { num_layers: 1, num_decoder_layers: 5, ..T5Config::default() });
        let across = shape.products.iter().filter(|product| product.name.ends_with("EncDecAttention.k"));
        let reads: Vec<usize> = across.map(|product| product.reads).collect();
        assert!(reads.len() == 5 && reads.iter().all(|&read| read == reads[0]), "{reads:?}");
        // 512 for attention, 512 of heads, 512 and 2048 of the feed-forward layer, and the end.
        assert_eq!(shape.inputs().each()[1], (Tokens::Prompt, 3 * 512 + 2048 + 512));
    }
}
