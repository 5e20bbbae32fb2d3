"""Makes the golden T5 models of this folder with transformers: weights, prompts and answers, and the logits and loss they give.

    python -m pip install torch transformers safetensors
    python make_tiny_t5.py

tiny-t5        T5 v1.0: ReLU, the embedding is the output layer, 8 buckets up to distance 20; as transformers 5 writes it
tiny-mt5       mT5: gated GELU, a separate output layer, more layers in the encoder; as transformers 5 writes it, whose config
               says "tied" for every mT5
tiny-flan-t5   the same function as T5 v1.1 and flan-T5 are published: `tie_word_embeddings` is false, the embedding is there
               under its aliases too, an unused table of old checkpoints is left in, and the weights are in two shards

Each has golden.safetensors. Prompts are padded and masked, labels padded with -100:

    input_ids [batch, source]   prompt_lengths [batch]   labels [batch, target]   answer_lengths [batch]
    logits [batch, target, vocabulary]   the teacher-forced pass, of which padding is to be left out
    loss [1]                             the mean cross-entropy of the labels
    buckets [2, 601]                     relative position buckets of distances -300 to 300, in the encoder and the decoder

The same versions of torch and transformers make the same bytes.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM, MT5Config, MT5ForConditionalGeneration, T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

HERE = Path(__file__).resolve().parent
SEED = 20240607
SHAPE = dict(vocab_size=64, d_model=16, d_kv=6, d_ff=28, num_heads=3, num_layers=2, num_decoder_layers=2, decoder_start_token_id=0)
PROMPTS, ANSWERS = [40, 23], [12, 7]


def randomise(net) -> None:
    """Weights that give logits of order one, attention that is not uniform, and norms that are not all ones."""
    torch.manual_seed(SEED)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if weight.ndim == 1:
                weight.copy_(1.0 + 0.2 * torch.randn_like(weight))
            elif "relative_attention_bias" in name:
                weight.copy_(torch.randn_like(weight))
            elif name == "shared.weight":
                weight.copy_(torch.randn_like(weight))
            elif name == "lm_head.weight":
                weight.copy_(0.4 * torch.randn_like(weight))
            else:
                by = 0.6 if name.endswith((".q.weight", ".k.weight")) else 1.2
                weight.copy_(by * torch.randn_like(weight) / weight.shape[1] ** 0.5)


def untie(net) -> None:
    """transformers 5 makes every T5 tied; a checkpoint with two tables is loaded as two."""
    net.lm_head.weight = torch.nn.Parameter(torch.empty_like(net.shared.weight))


def ragged(lengths, low: int, high: int, fill: int) -> torch.Tensor:
    rows = torch.randint(low, high, (len(lengths), max(lengths)))
    for row, length in zip(rows, lengths):
        row[length:] = fill
    return rows


def buckets(config) -> torch.Tensor:
    distances = torch.arange(-300, 301)
    how = dict(num_buckets=config.relative_attention_num_buckets, max_distance=config.relative_attention_max_distance)
    sides = [T5Attention._relative_position_bucket(distances, bidirectional=side, **how) for side in (True, False)]
    return torch.stack(sides)


def golden(net, directory: Path) -> None:
    torch.manual_seed(SEED + 1)
    net.eval()
    input_ids = ragged(PROMPTS, 2, net.config.vocab_size, net.config.pad_token_id)
    labels = ragged(ANSWERS, 2, net.config.vocab_size, -100)
    lengths = torch.tensor(PROMPTS)
    seen = (torch.arange(input_ids.shape[1])[None, :] < lengths[:, None]).long()
    with torch.no_grad():
        out = net(input_ids=input_ids, attention_mask=seen, labels=labels)
    tensors = {
        "input_ids": input_ids,
        "prompt_lengths": lengths,
        "labels": labels,
        "answer_lengths": torch.tensor(ANSWERS),
        "logits": out.logits,
        "loss": out.loss.reshape(1),
        "buckets": buckets(net.config),
    }
    # safetensors readers that hold floats alone read the ids too: below 2^24 they are exact.
    save_file({name: tensor.float().contiguous() for name, tensor in tensors.items()}, directory / "golden.safetensors")


def fresh(name: str) -> Path:
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return directory


def save(net, name: str) -> Path:
    directory = fresh(name)
    net.save_pretrained(directory)
    golden(net, directory)
    return directory


def publish(net, name: str) -> None:
    """Writes the files as those of google/flan-t5-* are: a config of transformers 4, aliases, shards."""
    directory = fresh(name)
    golden(net, directory)
    config = json.loads(net.config.to_json_string())
    del config["scale_decoder_outputs"]
    config |= {"tie_word_embeddings": False, "architectures": ["T5ForConditionalGeneration"], "n_positions": 512}
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tensors = {key: weight.detach().contiguous() for key, weight in net.named_parameters()}
    for alias in ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]:
        tensors[alias] = tensors["shared.weight"].clone()
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    tensors[unused] = torch.zeros_like(tensors["decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"])
    names = sorted(tensors)
    weight_map = {}
    for i, part in enumerate([names[: len(names) // 2], names[len(names) // 2 :]]):
        file = f"model-{i + 1:05}-of-00002.safetensors"
        save_file({key: tensors[key] for key in part}, directory / file, metadata={"format": "pt"})
        weight_map |= {key: file for key in part}
    total_size = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def check(name: str) -> None:
    """What is on disk gives the logits that are in golden.safetensors."""
    reference = load_file(HERE / name / "golden.safetensors")
    net = AutoModelForSeq2SeqLM.from_pretrained(HERE / name).eval()
    seen = (torch.arange(max(PROMPTS))[None, :] < reference["prompt_lengths"][:, None]).long()
    with torch.no_grad():
        out = net(input_ids=reference["input_ids"].long(), attention_mask=seen, labels=reference["labels"].long())
    assert torch.equal(out.logits, reference["logits"]), name
    print(name, "loss", out.loss.item(), "logits", out.logits.std().item())


if __name__ == "__main__":
    relu = T5ForConditionalGeneration(T5Config(relative_attention_num_buckets=8, relative_attention_max_distance=20, **SHAPE))
    randomise(relu)
    save(relu, "tiny-t5")

    gated = MT5ForConditionalGeneration(MT5Config(**(SHAPE | dict(num_layers=3))))
    untie(gated)
    randomise(gated)
    save(gated, "tiny-mt5")

    flan = T5ForConditionalGeneration(T5Config(feed_forward_proj="gated-gelu", tie_word_embeddings=False, **SHAPE))
    untie(flan)
    randomise(flan)
    publish(flan, "tiny-flan-t5")

    for name in ["tiny-t5", "tiny-mt5", "tiny-flan-t5"]:
        check(name)
