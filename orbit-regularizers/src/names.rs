//! What the names of parameters say of their place, in the models that orbit knows.

/// What stands before a layer's number: Llama's kind, both stacks of T5, BLOOM.
const STACKS: [&str; 5] = ["model.layers.", "encoder.block.", "decoder.block.", "transformer.h.", "h."];

/// What stands before the rest of an embedding's name, or of its norm's.
const EMBEDDINGS: [&str; 6] = [
    "model.embed_tokens.",
    "shared.",
    "transformer.word_embeddings.",
    "transformer.word_embeddings_layernorm.",
    "word_embeddings.",
    "word_embeddings_layernorm.",
];

/// The stack of layers that a parameter belongs to, the layer's number from the bottom, and what follows.
pub(crate) fn layer(name: &str) -> Option<(&'static str, usize, &str)> {
    STACKS.into_iter().find_map(|stack| {
        let (number, rest) = name.strip_prefix(stack)?.split_once('.')?;
        Some((stack, number.parse().ok()?, rest))
    })
}

/// Whether a parameter is of the embedding that was loaded with the model.
pub(crate) fn embeds(name: &str) -> bool {
    EMBEDDINGS.into_iter().any(|prefix| name.starts_with(prefix))
}
