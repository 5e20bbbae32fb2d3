#!/usr/bin/env bash
# The vectors that methods-smollm2.toml names. Give the data folder, and for another model that, where the vectors go, and shots.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$1
model=${2:-smollm2-135m-instruct}
out=${3:-runs/vectors}
shots=${4:-5}
mkdir -p "$out"
extract() { orbit iv extract --model "$model" "$@"; }

for task in present-past country-capital antonym; do
    extract --task recipes/functions/$task.jsonl --out "$out/$task.safetensors"
done

while read -r name file; do
    extract --task "$data/instruct/superni15/$file.train.jsonl" --form super-ni --shots "$shots" --averaged 60 \
        --by log-likelihood --out "$out/$name.safetensors"
done <<END
sentiment task1687_sentiment140_classification
science task591_sciq_answer_generation
emotion task875_emotion_classification
END
