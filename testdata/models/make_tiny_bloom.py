"""Makes the golden BLOOM model of this folder with transformers: weights, token ids, and the logits, loss and gradients they give.

    python -m pip install torch transformers safetensors
    python make_tiny_bloom.py

tiny-bloom          3 heads, which is not a power of two; the names of published models, `h.0...` without `transformer.`

golden.safetensors has `input_ids` [batch, time], `logits` [batch, time, vocabulary], `loss` [1], the mean cross-entropy of the
next token, `gradient.NAME`, that loss's gradient of parameter NAME, and `slopes` [32, 32], whose row n - 1 begins with the
slopes of n heads. The same versions of torch and transformers make the same bytes.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import BloomConfig, BloomForCausalLM
from transformers.models.bloom.modeling_bloom import _get_alibi_slopes

HERE = Path(__file__).resolve().parent
SEED = 20240607


def model() -> BloomForCausalLM:
    """A random model whose logits are of order one, whose norms are not all ones, and whose biases are not zero."""
    torch.manual_seed(SEED)
    net = BloomForCausalLM(BloomConfig(vocab_size=96, hidden_size=24, n_layer=2, n_head=3, pad_token_id=3)).float().eval()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if name.endswith("bias"):
                weight.copy_(0.2 * torch.randn_like(weight))
            elif weight.ndim == 1:
                weight.copy_(1.0 + 0.2 * torch.randn_like(weight))
            elif "word_embeddings" in name:
                weight.copy_(0.4 * torch.randn_like(weight))
            else:
                weight.copy_(1.5 * torch.randn_like(weight) / weight.shape[1] ** 0.5)
    return net


def golden(net: BloomForCausalLM, directory: Path) -> None:
    torch.manual_seed(SEED + 1)
    input_ids = torch.randint(4, net.config.vocab_size, (2, 24))
    out = net(input_ids=input_ids, labels=input_ids)
    out.loss.backward()
    slopes = torch.zeros(32, 32)
    for heads in range(1, 33):
        slopes[heads - 1, :heads] = _get_alibi_slopes(heads, slopes.device)
    # safetensors readers that hold floats alone read the ids too: below 2^24 they are exact.
    tensors = {"input_ids": input_ids.float(), "logits": out.logits, "loss": out.loss.reshape(1), "slopes": slopes}
    tensors |= {f"gradient.{name}": weight.grad for name, weight in net.named_parameters()}
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, directory / "golden.safetensors")


def publish(net: BloomForCausalLM, name: str) -> Path:
    """Writes the files as those of bigscience/bloomz-560m are: a config of transformers 4, and the stack without a head."""
    directory = HERE / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    config = json.loads(net.config.to_json_string())
    config["n_embed"], config["num_attention_heads"] = config.pop("hidden_size"), config.pop("n_head")
    config |= {"architectures": ["BloomForCausalLM"], "n_inner": None, "offset_alibi": 100, "seq_length": 64}
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tensors = {key: weight.detach().contiguous() for key, weight in net.transformer.named_parameters()}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    golden(net, directory)
    return directory


if __name__ == "__main__":
    directory = publish(model(), "tiny-bloom")
    reference = load_file(directory / "golden.safetensors")
    net = BloomForCausalLM.from_pretrained(directory).eval()
    with torch.no_grad():
        logits = net(input_ids=reference["input_ids"].long()).logits
    assert torch.equal(logits, reference["logits"]), "what is on disk differs"
    print("loss", reference["loss"].item(), "logits", logits.std().item())
