//! How llama.cpp stores a Llama model, and how Hugging Face does.

use super::metadata::{Metadata, needed};
use crate::config::{DecoderConfig, Family};
use crate::weights::Array;

/// The model's shape. `vocab_size` is how many tokens the tokenizer has, `tied` whether the output projection is not
/// there.
pub(super) fn config(metadata: &Metadata<'_>, vocab_size: usize, tied: bool) -> Result<DecoderConfig, String> {
    check_variant(metadata)?;
    let count = |key: &str| needed(key, metadata.count(key)?);
    let hidden_size = count("llama.embedding_length")?;
    let num_attention_heads = count("llama.attention.head_count")?;
    let per_head = hidden_size.checked_div(num_attention_heads).ok_or("llama.attention.head_count is 0")?;
    let head_dim = metadata.count("llama.attention.key_length")?.unwrap_or(per_head);
    let rotated = metadata.count("llama.rope.dimension_count")?.unwrap_or(head_dim);
    if rotated != head_dim {
        return Err(format!(
            "llama.rope.dimension_count is {rotated}, heads are {head_dim} wide: partial rotation is not supported"
        ));
    }
    let eps = "llama.attention.layer_norm_rms_epsilon";
    Ok(DecoderConfig {
        family: Family::Llama,
        vocab_size,
        hidden_size,
        intermediate_size: count("llama.feed_forward_length")?,
        num_hidden_layers: count("llama.block_count")?,
        num_attention_heads,
        num_key_value_heads: metadata.count("llama.attention.head_count_kv")?.unwrap_or(num_attention_heads),
        head_dim,
        norm_eps: needed(eps, metadata.float(eps)?)?,
        rope_theta: metadata.float("llama.rope.freq_base")?.unwrap_or(10_000.0),
        max_position_embeddings: count("llama.context_length")?,
        tie_word_embeddings: tied,
        bos_token_id: metadata.id("tokenizer.ggml.bos_token_id")?,
        eos_token_ids: metadata.id("tokenizer.ggml.eos_token_id")?.into_iter().collect(),
        pad_token_id: metadata.id("tokenizer.ggml.padding_token_id")?,
        ..DecoderConfig::default()
    })
}

/// That the file holds a Llama model.
pub(super) fn check_architecture(metadata: &Metadata<'_>) -> Result<(), String> {
    let key = "general.architecture";
    match needed(key, metadata.text(key)?)? {
        "llama" => Ok(()),
        other => Err(format!(
            "{key} is {other:?}; \"llama\" can be read: give a model of another architecture as a Hugging Face \
             directory"
        )),
    }
}

fn check_variant(metadata: &Metadata<'_>) -> Result<(), String> {
    if metadata.count("llama.expert_count")?.unwrap_or(0) > 0 {
        return Err("llama.expert_count is not 0: mixtures of experts are not supported".to_owned());
    }
    let scaling = metadata.text("llama.rope.scaling.type")?.unwrap_or("none");
    if scaling != "none" || metadata.has("llama.rope.scale_linear") {
        return Err("llama.rope.scaling: only plain rotary positions are supported".to_owned());
    }
    Ok(())
}

/// The name Hugging Face gives to llama.cpp's tensor `name`.
pub(super) fn name(name: &str) -> Result<String, String> {
    let unknown = || format!("tensor {name} is not one of a Llama model with plain rotary positions");
    if let Some(rest) = name.strip_prefix("blk.") {
        let (layer, part) = rest.split_once('.').ok_or_else(unknown)?;
        let number: usize = layer.parse().map_err(|_| unknown())?;
        // As `blk.+1` or `blk.01`, a second tensor would take the place of the first.
        if number.to_string() != layer {
            return Err(unknown());
        }
        return Ok(format!("model.layers.{layer}.{}", block_part(part).ok_or_else(unknown)?));
    }
    let whole = match name {
        "token_embd.weight" => "model.embed_tokens.weight",
        "output_norm.weight" => "model.norm.weight",
        "output.weight" => "lm_head.weight",
        _ => return Err(unknown()),
    };
    Ok(whole.to_owned())
}

fn block_part(part: &str) -> Option<&'static str> {
    Some(match part {
        "attn_norm.weight" => "input_layernorm.weight",
        "attn_q.weight" => "self_attn.q_proj.weight",
        "attn_k.weight" => "self_attn.k_proj.weight",
        "attn_v.weight" => "self_attn.v_proj.weight",
        "attn_output.weight" => "self_attn.o_proj.weight",
        "ffn_norm.weight" => "post_attention_layernorm.weight",
        "ffn_gate.weight" => "mlp.gate_proj.weight",
        "ffn_up.weight" => "mlp.up_proj.weight",
        "ffn_down.weight" => "mlp.down_proj.weight",
        _ => return None,
    })
}

/// Puts the rows of a query or key projection into the order of an implementation that rotates halves.
///
/// llama.cpp rotates neighbours, so its files interleave the two halves of each head: row `2 j + t` of a head is row
/// `t head_dim / 2 + j` of Hugging Face's. Nothing where the shape is not `[heads * head_dim, _]`.
pub(super) fn unpermute(array: &Array, head_dim: usize) -> Option<Array> {
    let [rows, columns] = *array.shape else { return None };
    if array.data.is_empty() || head_dim == 0 || !head_dim.is_multiple_of(2) || !rows.is_multiple_of(head_dim) {
        return None;
    }
    let mut data = Vec::with_capacity(array.data.len());
    for head in array.data.chunks_exact(head_dim * columns) {
        for half in 0..2 {
            head.chunks_exact(columns).skip(half).step_by(2).for_each(|row| data.extend_from_slice(row));
        }
    }
    Some(Array { shape: array.shape.clone(), data })
}
