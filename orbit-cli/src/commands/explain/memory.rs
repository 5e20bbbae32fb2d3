//! What a run keeps in memory, by arithmetic on the model's shape.

use orbit_models::{DecoderConfig, Family};
use orbit_regularizers::{At, Use};

use crate::config::RunFile;

/// Bytes of a number; everything is f32.
const F32: usize = 4;
/// Tokens that a chat template writes around the turns, roughly.
const TEMPLATE: usize = 32;

/// Something in memory, and its bytes.
pub(super) type Part = (String, usize);

/// The shape of one forward pass.
pub(super) struct Batch {
    /// Rows at once.
    pub(super) rows: usize,
    /// Tokens of the longest row.
    pub(super) width: usize,
    /// Tokens of all rows that are learned.
    answers: usize,
}

impl Batch {
    /// The largest forward pass of a run whose semantic IDs have this many levels.
    pub(super) fn of(run: &RunFile, levels: usize) -> Self {
        let rows = run.train.micro_batch();
        // An item is its codes between two special tokens; an answer is an item and the end of the turn.
        let item = levels + 2;
        Self { rows, width: TEMPLATE + (run.examples.max_history + 1) * item, answers: rows * (item + 1) }
    }

    fn tokens(&self) -> usize {
        self.rows * self.width
    }
}

/// The parts, largest first as they come in a run: what is there all the time, then what a step adds.
pub(super) fn parts(run: &RunFile, model: &DecoderConfig, codes_per_level: &[usize]) -> Vec<Part> {
    let batch = Batch::of(run, codes_per_level.len());
    let base = model.parameter_count() * F32;
    // A new token has a row in the embedding and one in the output layer; two tokens stand around each ID.
    let new = 2 * (codes_per_level.iter().sum::<usize>() + 2) * model.hidden_size * F32;
    let all = base + new;
    let mut parts = vec![
        ("weights".to_owned(), all),
        ("gradients".to_owned(), all),
        ("moments of AdamW".to_owned(), 2 * all),
        ("origin".to_owned(), base),
    ];
    if run.train.micro_batch() < run.train.batch {
        parts.push(("gradients of a micro-batch".to_owned(), all));
    }
    let vocabulary = model.vocab_size + new / (2 * model.hidden_size * F32);
    for (position, entry) in (1..).zip(&run.hooks) {
        let (name, bytes) = match &entry.r#use {
            Use::Ema(_) => ("ema", all),
            // Logits of the original and of the model, and their gradient; the original's weights are the origin's.
            Use::Kl(kl) => ("kl", 3 * F32 * vocabulary * if kl.at == At::All { batch.tokens() } else { batch.answers }),
            Use::Lwf(_) => ("lwf", 3 * F32 * vocabulary * batch.tokens()),
            Use::InstructionVector(guidance) => {
                let positions = if guidance.positions == At::All { batch.tokens() } else { batch.answers };
                ("instruction_vector", 3 * F32 * vocabulary * positions)
            }
            Use::Ewc(_) => ("ewc", 2 * all),
            Use::Mas(_) => ("mas", 2 * all),
            Use::Si(_) => ("si", 5 * all),
            Use::Freeze(freeze) => ("freeze", bottom(model, freeze.layers, freeze.embeddings)),
            Use::Half(_) => ("half", base / 2),
            _ => continue,
        };
        parts.push((format!("hook {position}, {name}"), bytes));
    }
    parts.push(("activations".to_owned(), activations(model, &batch, vocabulary)));
    parts
}

/// The bottom layers, with or without the embedding.
fn bottom(model: &DecoderConfig, layers: usize, embeddings: bool) -> usize {
    let embedding = model.vocab_size * model.hidden_size;
    let layer = model.parameter_count().saturating_sub(embedding) / model.num_hidden_layers.max(1);
    F32 * (layer * layers.min(model.num_hidden_layers) + if embeddings { embedding } else { 0 })
}

/// What the forward pass keeps for the backward pass: in each layer the inputs of every product and norm and the attention
/// weights; at the end the logits of the learned tokens and their gradient.
fn activations(model: &DecoderConfig, batch: &Batch, vocabulary: usize) -> usize {
    let (d, f) = (model.hidden_size, model.intermediate_size);
    let (heads, groups, k) = (model.num_attention_heads, model.num_key_value_heads, model.head_dim);
    let inner = if model.family == Family::Llama { 3 } else { 2 };
    let a_token = 4 * d + 2 * (heads + groups) * k + inner * f + heads * batch.width;
    F32 * (model.num_hidden_layers * a_token * batch.tokens() + 2 * batch.answers * vocabulary)
}
