"""Writes files of instruction vectors as `orbit iv extract` would: `vector.safetensors`, the sum of two heads, and
`one-head.safetensors`.

    python orbit-regularizers/tests/make_vector.py
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

HEADS = [{"layer": 1, "head": 0, "effect": 0.5}, {"layer": 2, "head": 1, "effect": 0.25}]

for name, heads in [("vector", HEADS), ("one-head", HEADS[:1])]:
    about = json.dumps({"format": 1, "heads": heads})
    vector = {"vector": torch.tensor([1.0, -1.0])}
    save_file(vector, Path(__file__).parent / f"{name}.safetensors", metadata={"orbit": about})
