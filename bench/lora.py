"""A training step of a low-rank adapter against one of all weights, in turn. Prints JSON.

    python bench/lora.py smollm2 --rank 8 --rounds 3 --steps 3 > results/bench/lora.json

Ratios are taken within a round, so that whatever else the machine does slows both; its load before each run is in the result.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

parser = argparse.ArgumentParser()
parser.add_argument("shape", choices=["smollm2", "tiny"])
parser.add_argument("--rank", type=int, default=8)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--rows", type=int, default=4)
parser.add_argument("--width", type=int, default=256)
parser.add_argument("--orbit", default=str(ROOT / "target/release/orbit"), help="the program, built in release mode")
args = parser.parse_args()

size = ["--rows", str(args.rows), "--width", str(args.width), "--steps", str(args.steps)]
CONTENDERS = {"full": [], "lora": ["--lora", str(args.rank)]}


def measure(more):
    load = os.getloadavg()[0]
    command = [args.orbit, "bench", "--shape", args.shape, *size, *more]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"load_before": load, **json.loads(out.stdout.strip().splitlines()[-1])}


started = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
rounds = [{name: measure(more) for name, more in CONTENDERS.items()} for _ in range(args.rounds)]


def median(values):
    return statistics.median(values)


def ratio(key):
    return median(one["lora"][key] / one["full"][key] for one in rounds)


command = f"python bench/lora.py {args.shape} --rank {args.rank} --rounds {args.rounds} --steps {args.steps}"
print(json.dumps({
    "command": command,
    "commit": subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip(),
    "started": started,
    "machine": {"os": platform.platform(), "cores": os.cpu_count()},
    "seed": 1,
    "summary": {
        "step_seconds": {name: median(one[name]["step_seconds"] for one in rounds) for name in CONTENDERS},
        "peak_memory_bytes": {name: median(one[name]["peak_memory_bytes"] for one in rounds) for name in CONTENDERS},
        "time_ratio": ratio("step_seconds"),
        "memory_ratio": ratio("peak_memory_bytes"),
        "drift_time_ratio": median(one["lora"]["lora"]["drift_ratio"] for one in rounds),
        "drift_bytes_ratio": rounds[0]["lora"]["lora"]["drift_bytes"] / rounds[0]["lora"]["lora"]["dense_drift_bytes"],
    },
    "rounds": rounds,
}, indent=1))
