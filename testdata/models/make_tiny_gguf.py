"""Makes a small GGUF file of random weights, and the weights a reader should find in it, with the gguf package of llama.cpp.

    python -m pip install gguf safetensors numpy
    python make_tiny_gguf.py

tiny-llama-q4_1.gguf           2 layers, 4 query and 2 key-value heads; Q4_1 projections, Q8_0 embedding, F32 norms, one tensor
                               each in Q4_0, Q5_0, Q5_1, F16 and BF16; query and key rows interleaved as llama.cpp does
tiny-llama-q4_1.safetensors    what a reader should make of it: dequantised by the gguf package, rows back in Hugging Face's
                               order, under Hugging Face's names
"""

from pathlib import Path

import gguf
import numpy as np
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
LAYERS, HIDDEN, INNER, HEADS, KV_HEADS = 2, 32, 64, 4, 2
HEAD = HIDDEN // HEADS
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["Ġ t", "h e", "Ġt he", "i n"]
TEMPLATE = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
Kind = gguf.GGMLQuantizationType


def byte_tokens() -> list[str]:
    """The 256 printable stand-ins for bytes of GPT-2's tokenizer."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(shifted))]


def interleave(weight: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's order of query and key rows, as convert_hf_to_gguf.py makes it."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def tensors(vocabulary: int):
    """(name in GGUF, name in Hugging Face's files, shape, type, heads or 0)"""
    yield "token_embd.weight", "model.embed_tokens.weight", (vocabulary, HIDDEN), Kind.Q8_0, 0
    yield "output_norm.weight", "model.norm.weight", (HIDDEN,), Kind.F32, 0
    for i in range(LAYERS):
        gg, hf = f"blk.{i}", f"model.layers.{i}"
        odd = i == 1
        plain = Kind.F16 if odd else Kind.Q4_1
        yield f"{gg}.attn_norm.weight", f"{hf}.input_layernorm.weight", (HIDDEN,), Kind.F32, 0
        yield f"{gg}.attn_q.weight", f"{hf}.self_attn.q_proj.weight", (HEADS * HEAD, HIDDEN), Kind.Q4_1, HEADS
        yield f"{gg}.attn_k.weight", f"{hf}.self_attn.k_proj.weight", (KV_HEADS * HEAD, HIDDEN), Kind.Q4_1, KV_HEADS
        yield f"{gg}.attn_v.weight", f"{hf}.self_attn.v_proj.weight", (KV_HEADS * HEAD, HIDDEN), plain, 0
        yield f"{gg}.attn_output.weight", f"{hf}.self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD), Kind.BF16 if odd else Kind.Q4_1, 0
        yield f"{gg}.ffn_norm.weight", f"{hf}.post_attention_layernorm.weight", (HIDDEN,), Kind.F32, 0
        yield f"{gg}.ffn_gate.weight", f"{hf}.mlp.gate_proj.weight", (INNER, HIDDEN), Kind.Q4_0 if odd else Kind.Q4_1, 0
        yield f"{gg}.ffn_up.weight", f"{hf}.mlp.up_proj.weight", (INNER, HIDDEN), Kind.Q5_0 if odd else Kind.Q4_1, 0
        yield f"{gg}.ffn_down.weight", f"{hf}.mlp.down_proj.weight", (HIDDEN, INNER), Kind.Q5_1 if odd else Kind.Q4_1, 0


def main() -> None:
    rng = np.random.default_rng(20240607)
    tokens = SPECIAL + byte_tokens() + [merge.replace(" ", "") for merge in MERGES]
    writer = gguf.GGUFWriter(HERE / "tiny-llama-q4_1.gguf", "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(5000.0)
    writer.add_rope_dimension_count(HEAD)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    expected = {}
    for gg, hf, shape, kind, heads in tensors(len(tokens)):
        weight = rng.standard_normal(shape).astype(np.float32)
        stored = interleave(weight, heads) if heads else weight
        quantized = quantize(stored, kind)
        writer.add_tensor(gg, quantized, raw_dtype=kind)
        values = dequantize(quantized, kind).reshape(shape)
        if heads:
            # Undone by searching, not by a formula: whichever row went where, it comes back.
            order = interleave(np.arange(shape[0], dtype=np.float32)[:, None], heads)[:, 0].astype(int)
            restored = np.empty_like(values)
            restored[order] = values
            values = restored
        expected[hf] = np.ascontiguousarray(values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, HERE / "tiny-llama-q4_1.safetensors")
    (HERE / "tiny-llama-q4_1.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
