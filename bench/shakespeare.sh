#!/bin/sh
# tinyshakespeare by characters with recipes/shakespeare.yaml, three seeds: the held-out loss beside
# what nanoGPT reports for its recipe of the same shape and token budget.
#
#   bench/shakespeare.sh TEXT [SEED...]
#
# TEXT is tinyshakespeare.txt. MALIANG names the program (default: build/cli/maliang).
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
maliang=${MALIANG:-$root/build/cli/maliang}
text=${1:?usage: bench/shakespeare.sh TEXT [SEED...]}
shift
[ $# -gt 0 ] || set -- 1 2 3
work=$(mktemp -d "${TMPDIR:-/tmp}/shakespeare-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

"$maliang" collect --quiet --workspace "$work/w" --dataset shakespeare "$text" >/dev/null || exit 1
for seed in "$@"; do
    "$maliang" train "$root/recipes/shakespeare.yaml" --quiet --json --workspace "$work/w" \
        --name "seed$seed" --set train.seed="$seed" >"$work/$seed.json" || exit 1
    awk -v seed="$seed" -F '[:,]' '/"validation_loss"/ { loss = $2 } /"tokens"/ { tokens = $2 }
        /"parameters"/ { weights = $2 } /"seconds"/ { seconds = $2 }
        END { printf "seed %s: held-out loss %.4f nats a character (%d weights, %d tokens, %.0f s)\n",
              seed, loss, weights, tokens, seconds }' "$work/$seed.json"
done | tee "$work/all"
awk '{ sum += $5; n++ } END {
    printf "mean of n=%d seeds: %.4f; nanoGPT reports 1.88 for its recipe\n", n, sum / n }' "$work/all"
