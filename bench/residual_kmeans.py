"""Residual k-means: the error of semantic IDs that orbit made against that of scikit-learn on the same embeddings.

    orbit ids RUN.toml --data DATA --out ids.json
    python bench/residual_kmeans.py DATA/rec/beauty/title_emb_minilm_i8.npy ids.json [more.json ...] > results/bench/residual-kmeans.json

The error is the share of the variance that is left when every code is replaced by the mean of what the levels before leave over of
its items, level by level, whatever the codes were made by.
"""

import datetime
import json
import os
import platform
import subprocess
import sys
import time

import numpy as np
from sklearn.cluster import KMeans


def left(x, codes):
    """Shares of the variance left after each level."""
    residual = x - x.mean(axis=0)
    whole, shares = (residual**2).sum(), []
    for level in codes.T:
        residual = residual.copy()
        for code in np.unique(level):
            members = level == code
            residual[members] -= residual[members].mean(axis=0)
        shares.append(float((residual**2).sum() / whole))
    return shares


def by_scikit_learn(x, levels, codes, seed):
    residual, labels = x.copy(), []
    for level in range(levels):
        fitted = KMeans(n_clusters=codes, n_init=1, random_state=seed + level).fit(residual)
        residual = residual - fitted.cluster_centers_[fitted.labels_]
        labels.append(fitted.labels_)
    return np.stack(labels, axis=1)


def main():
    embeddings, *files = sys.argv[1:]
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    x = np.load(embeddings).astype(np.float32)
    # As orbit reads them.
    x /= np.linalg.norm(x, axis=1, keepdims=True).clip(min=1e-12)
    made = {}
    for file in files:
        ids = json.load(open(file))
        codes = np.array(ids["codes"])[:, : len(ids["health"]["levels"])]
        made[os.path.basename(file)] = {"left": left(x, codes), "collision_rate": ids["health"]["collision_rate"]}
    sizes = [len(np.unique(level)) for level in codes.T]
    for seed in range(2):
        start = time.perf_counter()
        labels = by_scikit_learn(x, len(sizes), sizes[0], seed)
        made[f"scikit-learn, seed {seed}"] = {"left": left(x, labels), "seconds": time.perf_counter() - start}
    git = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    about = {
        "command": " ".join(["python", "bench/residual_kmeans.py", *map(os.path.basename, sys.argv[1:])]),
        "commit": git.stdout.strip(),
        "started": started,
        "machine": {"os": platform.platform(), "cores": os.cpu_count()},
        "shape": [*x.shape, *sizes],
    }
    print(json.dumps({**about, "made": made}, indent=2))


if __name__ == "__main__":
    main()
