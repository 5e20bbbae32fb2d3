"""Residual k-means: the error of semantic IDs that orbit made against that of scikit-learn on the same embeddings.

    orbit ids RUN.toml --data DATA --out ids.json
    python bench/residual_kmeans.py DATA/rec/beauty/title_emb_minilm_i8.npy ids.json [more.json ...]

The error is the share of the variance that is left when every code is replaced by the mean of what the levels before leave over of
its items, level by level, whatever the codes were made by.
"""

import json
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
    x = np.load(embeddings).astype(np.float32)
    # As orbit reads them.
    x /= np.linalg.norm(x, axis=1, keepdims=True).clip(min=1e-12)
    shown = lambda shares: " ".join(f"{share:.4f}" for share in shares)
    for file in files:
        ids = json.load(open(file))
        levels = len(ids["health"]["levels"])
        print(f"{file}: {shown(left(x, np.array(ids['codes'])[:, :levels]))}")
    for seed in range(2):
        start = time.perf_counter()
        labels = by_scikit_learn(x, levels, len(np.unique(np.array(ids["codes"])[:, 0])), seed)
        print(f"scikit-learn, seed {seed}: {shown(left(x, labels))} in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
