"""Makes the golden BERT of this folder with transformers: weights, token ids, and the hidden states and means they give.

    python -m pip install torch transformers safetensors
    python make_tiny_bert.py

golden.safetensors has `input_ids` [batch, time], padded with 0, `lengths` [batch], `hidden` [batch, time, d], and `means` [batch, d],
the mean of the hidden states over each text's own tokens, as sentence-transformers pools them. The same versions of torch and
transformers make the same bytes.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

HERE = Path(__file__).resolve().parent / "tiny-bert"
SEED = 20261127
LENGTHS = [9, 4, 12]


def model() -> BertModel:
    """A random model whose norms are not all ones, and whose biases are not zero."""
    torch.manual_seed(SEED)
    config = BertConfig(
        vocab_size=64,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=16,
    )
    net = BertModel(config, add_pooling_layer=False).float().eval()
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if name.endswith("bias"):
                weight.copy_(0.2 * torch.randn_like(weight))
            elif weight.ndim == 1:
                weight.copy_(1.0 + 0.2 * torch.randn_like(weight))
            elif "embeddings" in name:
                weight.copy_(0.5 * torch.randn_like(weight))
            else:
                weight.copy_(1.5 * torch.randn_like(weight) / weight.shape[1] ** 0.5)
    return net


def main() -> None:
    net = model()
    net.save_pretrained(HERE, safe_serialization=True)
    torch.manual_seed(SEED + 1)
    lengths = torch.tensor(LENGTHS)
    mask = torch.arange(max(LENGTHS))[None] < lengths[:, None]
    input_ids = torch.randint(1, net.config.vocab_size, mask.shape) * mask
    with torch.no_grad():
        hidden = net(input_ids=input_ids, attention_mask=mask.long()).last_hidden_state
    means = (hidden * mask[..., None]).sum(1) / lengths[:, None]
    tensors = {"input_ids": input_ids.float(), "lengths": lengths.float(), "hidden": hidden, "means": means}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, HERE / "golden.safetensors")


if __name__ == "__main__":
    main()
