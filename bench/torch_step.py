"""The speed of a training step in PyTorch eager, on the shapes of `orbit bench`. Prints one line of JSON.

    python bench/torch_step.py smollm2 --rows 4 --width 256

Needs torch and transformers from pip. Same parameters, batch, precision (f32) and update (AdamW, clip at 1) as orbit.
"""

import argparse
import json
import resource
import statistics
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES = {
    "smollm2": dict(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, head_dim=64,
    ),
    "tiny": dict(
        vocab_size=4096, hidden_size=192, intermediate_size=512, num_hidden_layers=6,
        num_attention_heads=6, num_key_value_heads=3, head_dim=32,
    ),
}

parser = argparse.ArgumentParser()
parser.add_argument("shape", choices=SHAPES)
parser.add_argument("--rows", type=int, default=4)
parser.add_argument("--width", type=int, default=256)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--warmup", type=int, default=2)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(1)
model = LlamaForCausalLM(LlamaConfig(**SHAPES[args.shape], tie_word_embeddings=True, use_cache=False))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0)
tokens = torch.randint(0, model.config.vocab_size, (args.rows, args.width + 1))
seconds = []
for step in range(args.warmup + args.steps):
    start = time.perf_counter()
    logits = model(tokens[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step >= args.warmup:
        seconds.append(time.perf_counter() - start)
median = statistics.median(seconds)
print(json.dumps({
    "shape": args.shape,
    "torch": torch.__version__,
    "parameters": sum(p.numel() for p in model.parameters()),
    "rows": args.rows,
    "width": args.width,
    "steps": args.steps,
    "step_seconds": median,
    "tokens_per_second": args.rows * args.width / median,
    "loss": loss.item(),
    "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
