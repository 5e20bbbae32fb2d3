"""Makes blocks of every type of tensor data that orbit reads from GGUF files, and a small model of such types, with
what the gguf package of llama.cpp makes of them.

    python -m pip install gguf safetensors numpy
    python make_gguf.py

blocks.safetensors          "TYPE.blocks": raw bytes, random but for their scales; "TYPE.values": what they stand for
tiny-llama-k.gguf           1 layer, 2 query heads and 1 key-value head of 8; Q6_K embedding, Q4_K queries, Q5_K keys,
                            other matrices in the remaining types of 256 entries; query and key rows interleaved
tiny-llama-k.safetensors    its embedding, query, key and gate weights as a reader should find them, rows back in
                            Hugging Face's order, under Hugging Face's names
"""

from pathlib import Path

import gguf
import numpy as np
from gguf.quants import dequantize
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
Kind = gguf.GGMLQuantizationType
# Where a block has half-precision scales.
SCALES = {
    Kind.Q4_0: [0],
    Kind.Q4_1: [0, 2],
    Kind.Q5_0: [0],
    Kind.Q5_1: [0, 2],
    Kind.Q8_0: [0],
    Kind.Q2_K: [80, 82],
    Kind.Q3_K: [108],
    Kind.Q4_K: [0, 2],
    Kind.Q5_K: [0, 2],
    Kind.Q6_K: [208],
    Kind.IQ4_NL: [0],
    Kind.IQ4_XS: [0],
}
# The largest and the smallest half-precision numbers, and both zeros.
EXTREMES = [65504.0, -65504.0, 2.0**-24, -(2.0**-24), 0.0, -0.0]
HIDDEN, INNER, HEADS, KV_HEADS, HEAD = 256, 16, 2, 1, 8
TOKENS = ["<s>", "</s>", "a", "b", "c", "ab", "abc", "d"]


def random_blocks(rng: np.random.Generator, kind: Kind, count: int) -> np.ndarray:
    """Random bytes with scales of a size that weights have."""
    blocks = rng.integers(0, 256, (count, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    for at in SCALES[kind]:
        blocks[:, at : at + 2] = (rng.standard_normal((count, 1)) * 0.01).astype(np.float16).view(np.uint8)
    return blocks


def extreme_blocks(rng: np.random.Generator, kind: Kind) -> np.ndarray:
    """Extreme scales over quants that are all zeros, all ones, or random."""
    blocks = random_blocks(rng, kind, len(EXTREMES))
    blocks[0::3] = 0
    blocks[1::3] = 255
    for turn, at in enumerate(SCALES[kind]):
        blocks[:, at : at + 2] = np.roll(EXTREMES, turn).astype(np.float16)[:, None].view(np.uint8)
    return blocks


def float_blocks(rng: np.random.Generator) -> dict[Kind, tuple[np.ndarray, np.ndarray]]:
    """Numbers and infinities, as bytes and in single precision."""
    numbers = np.concatenate([rng.standard_normal(58), EXTREMES, [np.inf, -np.inf]])
    beyond = [1e39, -1e39, 1e-46, 1e-40, 1 + 2.0**-24, 1 + 3 * 2.0**-24]
    with np.errstate(over="ignore", under="ignore"):
        single, half = numbers.astype(np.float32), numbers.astype(np.float16)
        brain = gguf.quants.quantize(single, Kind.BF16)
        double = np.concatenate([numbers, beyond])
        return {
            Kind.F32: (single.view(np.uint8), dequantize(single, Kind.F32)),
            Kind.F16: (half.view(np.uint8), dequantize(half, Kind.F16)),
            Kind.BF16: (brain, dequantize(brain, Kind.BF16)),
            # The package leaves double precision alone; this is IEEE 754's rounding to nearest, ties to even.
            Kind.F64: (double.view(np.uint8), double.astype(np.float32)),
        }


def write_blocks(rng: np.random.Generator) -> None:
    tensors = {}
    for kind in SCALES:
        blocks = np.concatenate([random_blocks(rng, kind, 4), extreme_blocks(rng, kind)])
        tensors[f"{kind.name}.blocks"], tensors[f"{kind.name}.values"] = blocks, dequantize(blocks, kind)
    for kind, (blocks, values) in float_blocks(rng).items():
        tensors[f"{kind.name}.blocks"], tensors[f"{kind.name}.values"] = blocks, values
    for name, tensor in tensors.items():
        assert tensor.dtype == np.uint8 or not np.isnan(tensor).any(), name
    save(tensors, "blocks.safetensors")


def restored(interleaved: np.ndarray, heads: int) -> np.ndarray:
    """Rows of llama.cpp's order back in Hugging Face's: the inverse of what convert_hf_to_gguf.py does."""
    rows = interleaved.shape[0]
    order = np.arange(rows).reshape(heads, 2, rows // heads // 2).swapaxes(1, 2).reshape(rows)
    out = np.empty_like(interleaved)
    out[order] = interleaved
    return out


def write_model(rng: np.random.Generator) -> None:
    writer = gguf.GGUFWriter(HERE / "tiny-llama-k.gguf", "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3] + [1] * (len(TOKENS) - 2))
    writer.add_token_merges(["a b", "ab c"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    shapes = [
        ("token_embd.weight", "model.embed_tokens.weight", len(TOKENS), Kind.Q6_K, 0),
        ("blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight", HEADS * HEAD, Kind.Q4_K, HEADS),
        ("blk.0.attn_k.weight", "model.layers.0.self_attn.k_proj.weight", KV_HEADS * HEAD, Kind.Q5_K, KV_HEADS),
        ("blk.0.attn_v.weight", None, KV_HEADS * HEAD, Kind.Q3_K, 0),
        ("blk.0.ffn_gate.weight", "model.layers.0.mlp.gate_proj.weight", INNER, Kind.Q2_K, 0),
        ("blk.0.ffn_up.weight", None, INNER, Kind.IQ4_XS, 0),
    ]
    expected = {}
    for name, original, rows, kind, heads in shapes:
        blocks = random_blocks(rng, kind, rows)
        writer.add_tensor(name, blocks, raw_dtype=kind)
        values = dequantize(blocks, kind)
        if original:
            expected[original] = restored(values, heads) if heads else values
    for name in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"]:
        writer.add_tensor(f"{name}.weight", np.ones(HIDDEN, np.float32))
    for name, columns in [("attn_output", HEADS * HEAD), ("ffn_down", INNER)]:
        writer.add_tensor(f"blk.0.{name}.weight", rng.standard_normal((HIDDEN, columns)).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save(expected, "tiny-llama-k.safetensors")


def save(tensors: dict[str, np.ndarray], name: str) -> None:
    save_file({key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()}, HERE / name)
    (HERE / name).chmod(0o644)


def main() -> None:
    write_blocks(np.random.default_rng(20240608))
    write_model(np.random.default_rng(20240609))


if __name__ == "__main__":
    main()
