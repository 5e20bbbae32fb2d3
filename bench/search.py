"""Constrained beam search: orbit against `generate` of transformers with `prefix_allowed_tokens_fn`, on the same weights, histories
and processor, with the agreement of the lists.

    orbit train recipes/tiger-beauty.toml --device flex --steps 300 --data DATA --out runs/tiger-search
    python bench/search.py runs/tiger-search/model DATA/rec/beauty/sequences.txt.gz --out results/bench/search.json
"""

import argparse
import datetime
import gzip
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time

import torch
from tokenizers import Tokenizer
from transformers import T5ForConditionalGeneration


def histories(path, count, longest):
    """The last items before the last one, of the first users."""
    with gzip.open(path, "rt") as lines:
        users = [line.split()[1:-1] for line in lines]
    return [items[-longest:] for items in users[:count]]


def by_orbit(model, asked, width, batch):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for history in asked:
            file.write(json.dumps({"history": history}) + "\n")
        file.flush()
        command = ["orbit", "recommend", "--model", model, "--histories", file.name, "-v"]
        command += ["--count", str(width), "--beams", str(width), "--batch", str(batch)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = float(re.search(r"histories in ([0-9.]+) s", done.stderr).group(1))
    lists = [json.loads(line) for line in done.stdout.splitlines()]
    return [[(found["id"], found["log_probability"]) for found in line] for line in lists], seconds


class ByTransformers:
    def __init__(self, folder):
        self.model = T5ForConditionalGeneration.from_pretrained(folder).eval()
        tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        ids = json.load(open(os.path.join(folder, "semantic_ids.json")))
        items = json.load(open(os.path.join(folder, "catalogue.json")))["items"]
        token = tokenizer.token_to_id
        start, end = token("<start_of_sid>"), token("<end_of_sid>")
        sid = lambda codes: [start, *(token(f"<sid_{level}_{code}>") for level, code in enumerate(codes)), end]
        self.sids = {item["id"]: sid(codes) for item, codes in zip(items, ids["codes"])}
        self.items = {tuple(tokens): item for item, tokens in self.sids.items()}
        self.allowed = {}
        for tokens in self.sids.values():
            for at, following in enumerate(tokens):
                self.allowed.setdefault(tuple(tokens[:at]), set()).add(following)
        self.allowed = {prefix: sorted(following) for prefix, following in self.allowed.items()}
        self.length = len(next(iter(self.items)))

    @torch.no_grad()
    def lists(self, asked, width):
        prompts = [sum((self.sids[item] for item in history), []) for history in asked]
        longest = max(map(len, prompts))
        ids = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts])
        mask = torch.tensor([[1] * len(prompt) + [0] * (longest - len(prompt)) for prompt in prompts])
        found = self.model.generate(
            input_ids=ids,
            attention_mask=mask,
            num_beams=width,
            num_return_sequences=width,
            max_new_tokens=self.length,
            min_new_tokens=self.length,
            eos_token_id=None,
            length_penalty=0.0,
            do_sample=False,
            prefix_allowed_tokens_fn=lambda _, tokens: self.allowed[tuple(tokens[1:].tolist())],
            output_scores=True,
            return_dict_in_generate=True,
        )
        named = [self.items[tuple(tokens[1:].tolist())] for tokens in found.sequences]
        scored = list(zip(named, found.sequences_scores.tolist()))
        return [scored[at * width : (at + 1) * width] for at in range(len(asked))]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model")
    arguments.add_argument("sequences")
    arguments.add_argument("--users", type=int, default=256)
    arguments.add_argument("--width", type=int, default=20)
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--out")
    args = arguments.parse_args()
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    longest = json.load(open(os.path.join(args.model, "catalogue.json")))["max_history"]
    asked = sorted(histories(args.sequences, args.users, longest), key=len)
    transformers = ByTransformers(args.model)
    rounds = []
    for _ in range(args.rounds):
        ours, seconds = by_orbit(args.model, asked, args.width, args.batch)
        start, theirs = time.perf_counter(), []
        for at in range(0, len(asked), args.batch):
            theirs += transformers.lists(asked[at : at + args.batch], args.width)
        rounds.append([seconds, time.perf_counter() - start])
        print(f"orbit {seconds:.2f} s, transformers {rounds[-1][1]:.2f} s", file=sys.stderr)
    pairs = list(zip(ours, theirs))
    names = lambda found: [name for name, _ in found]
    shared = [len(set(names(a)) & set(names(b))) / args.width for a, b in pairs]
    differences = [abs(score - dict(b)[name]) for a, b in pairs for name, score in a if name in dict(b)]
    ratios = sorted(theirs / ours for ours, theirs in rounds)
    result = {
        "command": " ".join(["python", *sys.argv]),
        "commit": subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "started": started,
        "machine": {"os": platform.platform(), "cores": os.cpu_count(), "torch_threads": torch.get_num_threads()},
        "versions": {"torch": torch.__version__, "orbit": subprocess.run(["orbit", "--version"], capture_output=True, text=True).stdout.strip()},
        "parameters": sum(p.numel() for p in transformers.model.parameters()),
        "users": len(asked),
        "width": args.width,
        "batch": args.batch,
        "seconds": rounds,
        "users_per_second": {"orbit": len(asked) / min(r[0] for r in rounds), "transformers": len(asked) / min(r[1] for r in rounds)},
        "ratio": ratios[len(ratios) // 2],
        "agreement": {
            "same_lists": sum(names(a) == names(b) for a, b in pairs) / len(pairs),
            "shared_items": sum(shared) / len(shared),
            "largest_difference_of_scores": max(differences),
        },
    }
    text = json.dumps(result, indent=2)
    print(text)
    if args.out:
        open(args.out, "w").write(text + "\n")


if __name__ == "__main__":
    main()
