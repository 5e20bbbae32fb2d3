#!/usr/bin/env bash
# The vectors that methods-smollm2.toml names, into runs/vectors. Give the data folder.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$1
extract() { orbit iv extract --model smollm2-135m-instruct "$@"; }

for task in present-past country-capital antonym; do
    extract --task recipes/functions/$task.jsonl --out runs/vectors/$task.safetensors
done

while read -r name file; do
    extract --task "$data/instruct/superni15/$file.train.jsonl" --form super-ni --shots 5 --averaged 60 \
        --by log-likelihood --out runs/vectors/$name.safetensors
done <<END
sentiment task1687_sentiment140_classification
science task591_sciq_answer_generation
emotion task875_emotion_classification
END
