//! What is kept of tokens already seen.

use burn::tensor::Tensor;

/// Keys and values of the tokens so far, `[B, G, S, K]`: B rows, G groups of heads, S tokens, K head.
pub(crate) type KeysValues = (Tensor<4>, Tensor<4>);

/// Puts the keys and values of new tokens behind those that are `kept`, if any are to be, and gives all there are.
pub(crate) fn append(kept: Option<&mut Option<KeysValues>>, (mut keys, mut values): KeysValues) -> KeysValues {
    let Some(kept) = kept else { return (keys, values) };
    if let Some((past_keys, past_values)) = kept.take() {
        keys = Tensor::cat(vec![past_keys, keys], 2);
        values = Tensor::cat(vec![past_values, values], 2);
    }
    *kept = Some((keys.clone(), values.clone()));
    (keys, values)
}
