"""orbit against PyTorch eager on the same training step, in turn, on an otherwise idle machine. Prints JSON.

    python bench/compare.py smollm2 --rounds 3 > results/bench/smollm2.json

Every round runs PyTorch as it comes, PyTorch with glibc's allocator kept from giving memory back (as orbit's program does for
itself), and orbit with and without that setting. Ratios are taken within a round.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEEP = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1), "MALLOC_TOP_PAD_": str(256 << 20)}

parser = argparse.ArgumentParser()
parser.add_argument("shape", choices=["smollm2", "tiny"])
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--rows", type=int, default=4)
parser.add_argument("--width", type=int, default=256)
parser.add_argument("--threads", type=int, default=os.cpu_count())
args = parser.parse_args()

size = ["--rows", str(args.rows), "--width", str(args.width), "--steps", str(args.steps)]
torch = [sys.executable, str(ROOT / "bench/torch_step.py"), args.shape, *size, "--threads", str(args.threads)]
orbit = [str(ROOT / "target/release/orbit"), "bench", "--shape", args.shape, *size]
CONTENDERS = {
    "torch": (torch, {}),
    "torch, memory kept": (torch, KEEP),
    "orbit, memory given back": (orbit, {"ORBIT_MALLOC": "system"}),
    "orbit": (orbit, {}),
    "orbit, ORBIT watching": ([*orbit, "--orbit"], {}),
}


def measure(command, environment):
    inherited = {key: value for key, value in os.environ.items() if key != "ORBIT_MALLOC"}
    inherited["RAYON_NUM_THREADS"] = str(args.threads)
    out = subprocess.run(command, env={**inherited, **environment}, capture_output=True, text=True, check=True)
    return json.loads(out.stdout.strip().splitlines()[-1])


rounds = [{name: measure(*contender) for name, contender in CONTENDERS.items()} for _ in range(args.rounds)]


def median(name, key):
    return statistics.median(one[name][key] for one in rounds)


def ratio(name, key, to="torch"):
    return statistics.median(one[name][key] / one[to][key] for one in rounds)


print(json.dumps({
    "command": "python bench/compare.py " + " ".join(sys.argv[1:]),
    "commit": subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip(),
    "machine": {"os": platform.platform(), "cores": os.cpu_count(), "threads": args.threads},
    "summary": {
        name: {
            "tokens_per_second": median(name, "tokens_per_second"),
            "peak_memory_bytes": median(name, "peak_memory_bytes"),
            "speed_over_torch": ratio(name, "tokens_per_second"),
            "memory_over_torch": ratio(name, "peak_memory_bytes"),
        }
        for name in CONTENDERS
    },
    "orbit_share_of_step": median("orbit, ORBIT watching", "hook_share"),
    "rounds": rounds,
}, indent=1))
