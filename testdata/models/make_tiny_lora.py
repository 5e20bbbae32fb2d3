"""Makes the golden adapters of this folder with peft, on tiny-llama and tiny-t5, and what they compute and learn.

    python -m pip install torch transformers peft safetensors
    python make_tiny_lora.py

tiny-llama-lora   rank 3, alpha 6, on queries, values, and two layers of the MLP
tiny-t5-lora      rank 3, alpha 6, on queries, values, and both layers of the feed-forward layer, in both stacks

Each is what `peft` saves, without its README, plus golden.safetensors:

    logits, loss          the model with the adapter, on the input that the base model's golden.safetensors has
    losses [3]            the loss before each of three training steps on that input
    trained.NAME          the factors after these steps, by peft's names

A training step is: the mean cross-entropy; clip_grad_norm_ to 1; torch.optim.AdamW with lr 0.01, betas 0.9 and 0.999, eps 1e-8
and no weight decay. No dropout. These are orbit's `AdamW::default()` at a constant learning rate of 0.01 without warm-up.

The same versions of torch, transformers and peft make the same bytes.
"""

import shutil
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

HERE = Path(__file__).resolve().parent
SEED = 20240607
STEPS = 3


def causal(base: str) -> dict:
    input_ids = load_file(HERE / base / "golden.safetensors")["input_ids"].long()
    return {"input_ids": input_ids, "labels": input_ids}


def seq2seq(base: str) -> dict:
    file = load_file(HERE / base / "golden.safetensors")
    input_ids = file["input_ids"].long()
    seen = (torch.arange(input_ids.shape[1])[None, :] < file["prompt_lengths"][:, None]).long()
    return {"input_ids": input_ids, "attention_mask": seen, "labels": file["labels"].long()}


def factors(net) -> dict:
    return {name: weight for name, weight in net.named_parameters() if "lora_" in name}


def randomise(net) -> None:
    """An adapter that does as much as the weights under it: B is not zero."""
    torch.manual_seed(SEED)
    with torch.no_grad():
        for weight in factors(net).values():
            weight.copy_(0.7 * torch.randn_like(weight) / weight.shape[1] ** 0.5)


def train(net, batch: dict) -> dict:
    # Still in evaluation mode: T5 would drop activations otherwise, which orbit does not.
    optimizer = torch.optim.AdamW(factors(net).values(), lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses = []
    for _ in range(STEPS):
        loss = net(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(factors(net).values(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    after = {f"trained.{name.replace('.default', '')}": weight.detach() for name, weight in factors(net).items()}
    return {"losses": torch.tensor(losses)} | after


def make(base: str, kind, task: str, targets: list, batch: dict) -> None:
    directory = HERE / f"{base}-lora"
    shutil.rmtree(directory, ignore_errors=True)
    config = LoraConfig(r=3, lora_alpha=6, lora_dropout=0.0, target_modules=targets, task_type=task)
    net = get_peft_model(kind.from_pretrained(HERE / base).eval(), config).eval()
    randomise(net)
    # Where the base lies is this machine's business. peft keeps targets as a set, whose order is not the same twice.
    net.peft_config["default"].base_model_name_or_path = base
    net.peft_config["default"].target_modules = sorted(targets)
    net.save_pretrained(directory)
    (directory / "README.md").unlink()
    with torch.no_grad():
        out = net(**batch)
    golden = {"logits": out.logits, "loss": out.loss.reshape(1)}

    loaded = PeftModel.from_pretrained(kind.from_pretrained(HERE / base).eval(), directory).eval()
    with torch.no_grad():
        assert torch.equal(loaded(**batch).logits, out.logits), f"{directory.name}: what is on disk differs"
    golden |= train(net, batch)
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, directory / "golden.safetensors")


if __name__ == "__main__":
    make("tiny-llama", AutoModelForCausalLM, "CAUSAL_LM", ["q_proj", "v_proj", "gate_proj", "down_proj"], causal("tiny-llama"))
    make("tiny-t5", AutoModelForSeq2SeqLM, "SEQ_2_SEQ_LM", ["q", "v", "wi", "wo"], seq2seq("tiny-t5"))
