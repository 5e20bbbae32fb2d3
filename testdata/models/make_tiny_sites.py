"""Writes the activations of the tiny models at every site, and what comes out when one is changed, as `sites.safetensors`.

    python testdata/models/make_tiny_sites.py

Needs torch, transformers and safetensors. Reads the checkpoints that stand beside it.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

HERE = Path(__file__).parent
PROMPT = [[5, 9, 2, 14, 7, 3]]
# The head that is replaced, and the layer that a vector is added in.
LAYER, HEAD = 1, 1


def layers(model):
    """The output projection of each layer's attention, and the layer."""
    if model.config.model_type == "bloom":
        return [(block.self_attention.dense, block) for block in model.transformer.h]
    if model.config.model_type == "llama":
        return [(layer.self_attn.o_proj, layer) for layer in model.model.layers]
    return [(block.layer[0].SelfAttention.o, block) for block in model.encoder.block]


def first(output):
    return output[0] if isinstance(output, tuple) else output


def logits(model):
    prompt = torch.tensor(PROMPT)
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            start = torch.tensor([[model.config.decoder_start_token_id]])
            return model(input_ids=prompt, decoder_input_ids=start).logits[:, -1]
        return model(input_ids=prompt).logits[:, -1]


def activations(model):
    """What every site holds, by the name of the site."""
    kept, hooks = {}, []
    for index, (projection, layer) in enumerate(layers(model)):
        name = f"layers.{index}"
        hooks += [
            projection.register_forward_pre_hook(lambda _, x, n=name: kept.__setitem__(f"{n}.heads", x[0][0].clone())),
            projection.register_forward_hook(lambda _, x, y, n=name: kept.__setitem__(f"{n}.attn_out", y[0].clone())),
            layer.register_forward_hook(lambda _, x, y, n=name: kept.__setitem__(f"{n}.out", first(y)[0].clone())),
        ]
    kept["logits"] = logits(model)[0]
    for hook in hooks:
        hook.remove()
    return {name: x.reshape(-1, x.shape[-1]).contiguous() for name, x in kept.items()}


def changed(model, vector, mean):
    projection, _ = layers(model)[LAYER]

    def add(_, x, y):
        y = y.clone()
        y[:, -1] += 0.5 * vector
        return y

    def replace(_, x):
        x = x[0].clone()
        x[:, -1, HEAD * len(mean) : (HEAD + 1) * len(mean)] = mean
        return (x,)

    hook = projection.register_forward_hook(add)
    with_vector = logits(model)
    hook.remove()
    hook = projection.register_forward_pre_hook(replace)
    with_mean = logits(model)
    hook.remove()
    return {"added": with_vector, "replaced": with_mean}


def main():
    kinds = [("tiny-llama", AutoModelForCausalLM), ("tiny-bloom", AutoModelForCausalLM), ("tiny-flan-t5", AutoModelForSeq2SeqLM)]
    for name, kind in kinds:
        model = kind.from_pretrained(HERE / name, dtype=torch.float32, attn_implementation="eager").eval()
        torch.manual_seed(3)
        arrays = activations(model)
        heads = arrays["layers.0.heads"].shape[1]
        count = model.config.num_attention_heads if hasattr(model.config, "num_attention_heads") else model.config.num_heads
        arrays["vector"] = torch.randn(arrays["layers.0.out"].shape[1])
        arrays["mean"] = torch.randn(heads // count)
        arrays |= changed(model, arrays["vector"], arrays["mean"])
        arrays["input_ids"] = torch.tensor(PROMPT, dtype=torch.float32)
        save_file({n: x.contiguous() for n, x in arrays.items()}, HERE / name / "sites.safetensors", metadata={"format": "pt"})
        print(name, sorted(arrays))


if __name__ == "__main__":
    main()
