"""Makes the golden Llama models of this folder with transformers: weights, token ids, and the logits and loss they give.

    python -m pip install torch transformers safetensors numpy
    python make_tiny_llama.py

tiny-llama          tied embeddings, one file
tiny-llama-untied   a separate output projection, one file
tiny-llama-sharded  the weights of tiny-llama in two shards with an index

Each has golden.safetensors: `input_ids` [batch, time], `logits` [batch, time, vocabulary] and `loss` [1], the mean
cross-entropy of the next token. The same versions of torch and numpy make the same bytes.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).resolve().parent
SEED = 20240607


def config(tied: bool) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )


def model(tied: bool) -> LlamaForCausalLM:
    """A random model whose logits are of order one, and whose norms are not all ones."""
    torch.manual_seed(SEED)
    net = LlamaForCausalLM(config(tied)).float().eval()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if weight.ndim == 1:
                weight.copy_(1.0 + 0.2 * torch.randn_like(weight))
            elif "embed_tokens" in name or "lm_head" in name:
                weight.copy_(0.4 * torch.randn_like(weight))
            else:
                weight.copy_(1.5 * torch.randn_like(weight) / weight.shape[1] ** 0.5)
    return net


def golden(net: LlamaForCausalLM, directory: Path) -> None:
    torch.manual_seed(SEED + 1)
    input_ids = torch.randint(3, net.config.vocab_size, (2, 24))
    with torch.no_grad():
        out = net(input_ids=input_ids, labels=input_ids)
    # safetensors readers that hold floats alone read the ids too: below 2^24 they are exact.
    tensors = {"input_ids": input_ids.float(), "logits": out.logits, "loss": out.loss.reshape(1)}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, directory / "golden.safetensors")


def save(net: LlamaForCausalLM, name: str, **options) -> Path:
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    net.save_pretrained(directory, **options)
    golden(net, directory)
    return directory


def shard(source: Path, name: str) -> None:
    """Splits in the middle of the names, with an index as transformers writes it."""
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for file in ["config.json", "generation_config.json", "golden.safetensors"]:
        shutil.copy(source / file, directory / file)
    tensors = load_file(source / "model.safetensors")
    names = sorted(tensors)
    weight_map = {}
    for i, part in enumerate([names[: len(names) // 2], names[len(names) // 2 :]]):
        file = f"model-{i + 1:05}-of-00002.safetensors"
        save_file({key: tensors[key] for key in part}, directory / file, metadata={"format": "pt"})
        weight_map |= {key: file for key in part}
    total_size = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    tied = save(model(tied=True), "tiny-llama")
    save(model(tied=False), "tiny-llama-untied")
    shard(tied, "tiny-llama-sharded")
    loaded = LlamaForCausalLM.from_pretrained(HERE / "tiny-llama-sharded")
    reference = load_file(tied / "golden.safetensors")
    logits = loaded(input_ids=reference["input_ids"].long()).logits
    assert torch.equal(logits, reference["logits"]), "the sharded model differs"
