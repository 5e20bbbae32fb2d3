"""orbit eval against lm-evaluation-harness, item by item, on the same files and weights.

    pip install torch transformers lm-eval==0.4.13
    orbit pull smollm2-135m-instruct
    python bench/lm_eval.py ~/.cache/orbit/smollm2-135m-instruct DATA --out results/bench/lm_eval.json

Every suite is written once for each side: as its authors or the usual exports publish it for orbit, and as the data set that the
harness's own task expects. The harness's tasks are its own; only where their data come from is changed.
"""

import argparse
import bz2
import datetime
import gzip
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import zipfile

# This file has the package's name, and Python looks beside it first.
del sys.path[0]

import lm_eval
import torch
import transformers
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

PARADIGMS = ["adjunct_island", "anaphor_gender_agreement"]
BOOLQ = "instruct/olora/boolq.test.jsonl.gz"


def lines(path):
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [line for line in file if line.strip()]


def write(folder, name, rows):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write((row if isinstance(row, str) else json.dumps(row)) + "\n")
    return path


def arc(data, name):
    """The simplified rows as the hub has them."""
    rows = map(json.loads, lines(os.path.join(data, "mc", name)))
    label = lambda row: [chr(ord("A") + at) for at in range(len(row["choices"]))]
    return [
        {
            "id": str(at),
            "question": row["question"],
            "choices": {"text": row["choices"], "label": label(row)},
            "answerKey": label(row)[row["gold"]],
        }
        for at, row in enumerate(rows)
    ]


def hellaswag(data):
    """The text form as the questions that the harness's `process_docs` makes."""
    with bz2.open(os.path.join(data, "mc/hellaswag_val_full.txt.bz2"), "rt", encoding="utf-8") as file:
        text = [line.strip() for line in file if line.strip()]
    blocks = [text[at : at + 6] for at in range(0, len(text), 6)]
    return [{"query": query, "label": int(label), "choices": endings} for query, label, *endings in blocks], blocks


def piqa(data):
    labels = lines(os.path.join(data, "mc/piqa_valid-labels.lst"))
    rows = map(json.loads, lines(os.path.join(data, "mc/piqa_valid.jsonl.gz")))
    return [{**row, "label": int(label)} for row, label in zip(rows, labels)]


def boolq(data):
    made = []
    for row in map(json.loads, lines(os.path.join(data, BOOLQ))[1:]):
        question, passage = row["input"].removeprefix("question: ").split("\npassage: ", 1)
        made.append({"question": question, "passage": passage, "label": int(row["output"] == "True")})
    return made


def blimp(data, paradigm):
    with zipfile.ZipFile(os.path.join(data, "mc/BLiMP.zip")) as archive:
        name = next(n for n in archive.namelist() if n.endswith(f"/{paradigm}.jsonl") and "__MACOSX" not in n)
        return [json.loads(line) for line in archive.read(name).decode().splitlines()]


def page(data, words):
    """The beginning of WikiText-2's test part, as one document."""
    return "".join(lines(os.path.join(data, "text/wikitext-2/test.txt.gz")))[:words]


class Suites:
    """What both sides are asked."""

    def __init__(self, folder, data, limit, characters):
        self.folder, self.limit, self.tasks, self.orbit = folder, limit, {}, []
        easy = arc(data, "arc-easy_test.jsonl.gz")
        self.add("arc_easy", easy, "test", "arc", easy)
        shown = easy[-500:]
        self.add("arc_easy_5_shot", easy, "test", "arc", easy, base="arc_easy", shots=5, shown=shown)
        challenge = arc(data, "arc-challenge_test.jsonl.gz")
        self.add("arc_challenge", challenge, "test", "arc", challenge)
        questions, blocks = hellaswag(data)
        text = [line for block in blocks[: limit // 8] for line in block]
        identity = {"process_docs": lambda docs: docs}
        self.add("hellaswag", questions, "validation", "hellaswag", text, more=identity, end="txt", whole=True, long=True)
        solutions = piqa(data)
        self.add("piqa", solutions, "validation", "piqa", solutions)
        self.add("piqa_3_shot", solutions, "validation", "piqa", solutions, base="piqa", shots=3, shown=solutions[-300:])
        asked = boolq(data)
        self.add("boolq", asked, "validation", "boolq", asked, long=True)
        for paradigm in PARADIGMS:
            pairs = blimp(data, paradigm)
            self.add(f"blimp_{paradigm}", pairs, "train", "blimp", pairs)
        self.text = page(data, characters)
        path = write(folder, "page.txt", [])
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.text)
        self.orbit.append({"name": "page", "kind": "perplexity", "path": path})

    def add(self, name, docs, split, kind, rows, base=None, more=None, end="jsonl", shots=0, shown=None, whole=False, long=False):
        # Long prompts, and those with examples, are the most of the time.
        limit = self.limit // 8 if shots or long else self.limit
        files = {part: write(self.folder, f"{name}.docs.jsonl", docs[:limit]) for part in {split, "validation", "test", "train"}}
        suite = {"name": name, "kind": kind, "path": write(self.folder, f"{name}.{end}", rows if whole else rows[:limit])}
        if shown:
            files["train"] = write(self.folder, f"{name}.shown.jsonl", shown)
            suite |= {"shots": shots, "shots_from": files["train"]}
        task = {"task": base or name, "dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}
        self.tasks[name] = (task | (more or {}), shots)
        self.orbit.append(suite)

    def run_file(self):
        run = ["[model]", 'path = "none"', "[corpus]", "generated = { items = 10, users = 10, seed = 0 }", "[evaluate.text]"]
        for suite in self.orbit:
            run.append("[[evaluate.text.tasks]]")
            run += [f"{key} = {json.dumps(value)}" for key, value in suite.items()]
        return write(self.folder, "run.toml", run)


def by_orbit(model, suites):
    scores, samples = (os.path.join(suites.folder, name) for name in ("orbit.json", "orbit.jsonl"))
    command = ["orbit", "-q", "eval", model, "--run", suites.run_file(), "--out", scores, "--log-samples", samples]
    subprocess.run(command, check=True)
    found = {}
    for sample in map(json.loads, open(samples, encoding="utf-8")):
        found.setdefault(sample["suite"], []).append(sample)
    return json.load(open(scores))["results"], found


def by_harness(lm, suites, names):
    manager, found = TaskManager(), {}
    for name in names:
        changes, shots = suites.tasks[name]
        # The harness's own configuration with other files: a specification by itself would replace all of it.
        entry = manager.task_index[changes["task"]]
        task = manager._factory.build(entry, overrides=changes, registry=manager.task_index)
        made = lm_eval.simple_evaluate(lm, tasks=[task], num_fewshot=shots or None, log_samples=True, bootstrap_iters=0)
        (samples,) = made["samples"].values()
        found[name] = (sorted(samples, key=lambda sample: sample["doc_id"]), next(iter(made["results"].values())))
    return found


def rolling(lm, text):
    """The harness's figures of one document."""
    from lm_eval.api.instance import Instance

    request = Instance(request_type="loglikelihood_rolling", doc={}, arguments=(text,), idx=0)
    (loglik,) = lm.loglikelihood_rolling([request], disable_tqdm=True)
    import re

    words, size = len(re.split(r"\s+", text)), len(text.encode("utf-8"))
    return {
        "word_perplexity": math.exp(-loglik / words),
        "byte_perplexity": math.exp(-loglik / size),
        "bits_per_byte": -loglik / size / math.log(2),
    }


def logliks(sample):
    return [response[0][0] for response in sample["resps"]]


def compare(name, ours, theirs):
    samples, figures = theirs
    assert len(ours) == len(samples), (name, len(ours), len(samples))
    largest, prompts, choices = 0.0, 0, {"acc": 0, "acc_norm": 0}
    normalised = "acc_norm" in samples[0]
    for our, their in zip(ours, samples):
        largest = max([largest] + [abs(a - b) for a, b in zip(our["log_likelihoods"], logliks(their))])
        asked = [arguments[0] for arguments in their["arguments"]]
        read = our["prompts"] * (len(asked) if len(our["prompts"]) == 1 else 1)
        prompts += read == asked and our["choices"] == [arguments[1] for arguments in their["arguments"]]
        choices["acc"] += our["acc"] == their["acc"]
        choices["acc_norm"] += not normalised or our["acc_norm"] == their["acc_norm"]
    share = lambda key: sum(sample[key] for sample in ours) / len(ours)
    row = {
        "items": len(ours),
        "same_prompts": prompts,
        "same_acc": choices["acc"],
        "largest_difference": largest,
        "acc": {"orbit": share("acc"), "harness": figures["acc,none"]},
    }
    if normalised:
        row["same_acc_norm"] = choices["acc_norm"]
        row["acc_norm"] = {"orbit": share("acc_norm"), "harness": figures["acc_norm,none"]}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--limit", type=int, default=200, help="items of a suite, of one with long prompts an eighth")
    parser.add_argument("--characters", type=int, default=20_000)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory() as folder:
        suites = Suites(folder, os.path.abspath(args.data), args.limit, args.characters)
        results, ours = by_orbit(args.model, suites)
        harness = lambda dtype: HFLM(pretrained=args.model, device="cpu", dtype=dtype, batch_size=8)
        lm = harness("float32")
        theirs = by_harness(lm, suites, suites.tasks)
        running = rolling(lm, suites.text)
        compared = {name: compare(name, ours[name], theirs[name]) for name in suites.tasks}
        # Two roundings differ by more than either: the harness itself, in float64, says which part is whose.
        rounded = [name for name, row in compared.items() if row["largest_difference"] > 5e-4]
        exact = by_harness(harness("float64"), suites, rounded)
        for name in rounded:
            to_exact = lambda samples: compare(name, samples, exact[name])["largest_difference"]
            as_ours = [{**our, "log_likelihoods": logliks(their)} for our, their in zip(ours[name], theirs[name][0])]
            compared[name]["largest_difference_to_float64"] = {"orbit": to_exact(ours[name]), "harness": to_exact(as_ours)}
    page = {key: {"orbit": results["page"][f"{key},none"], "harness": value} for key, value in running.items()}
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    version = subprocess.run(["orbit", "--version"], capture_output=True, text=True).stdout.strip()
    outcome = {
        "command": "python " + " ".join(sys.argv).replace(os.path.expanduser("~"), "~").replace(args.data, "DATA"),
        "commit": commit,
        "started": started,
        "machine": {"os": platform.platform(), "cores": os.cpu_count(), "torch_threads": torch.get_num_threads()},
        "versions": {
            "orbit": version,
            "lm_eval": lm_eval.__version__,
            "transformers": transformers.__version__,
            "torch": torch.__version__,
        },
        "seed": 1234,
        "model": os.path.basename(os.path.abspath(args.model)),
        "suites": compared,
        "rolling_windows": page,
    }
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump(outcome, file, indent=2)
        file.write("\n")
    for name, row in compared.items():
        print(name, {key: value for key, value in row.items() if key != "items"}, "of", row["items"])
    print("rolling windows", page)


if __name__ == "__main__":
    main()
