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

[ -x "$maliang" ] || {
    echo "shakespeare.sh: there is no $maliang; build it (ninja -C build) or set MALIANG" >&2
    exit 1
}
"$maliang" collect --quiet --workspace "$work/w" --dataset shakespeare "$text" >/dev/null || exit 1
: >"$work/all"
for seed in "$@"; do
    "$maliang" train "$root/recipes/shakespeare.yaml" --quiet --json --workspace "$work/w" \
        --name "seed$seed" --set train.seed="$seed" >"$work/$seed.json" || exit 1
    # The validation loss of the result is measured on all of the held-out text.
    awk -v seed="$seed" -F '[:,]' '/"validation_loss"/ { loss = $2 } /"tokens"/ { tokens = $2 }
        /"parameters"/ { weights = $2 } /"seconds"/ { seconds = $2 }
        END { printf "seed %s: held-out loss %.4f nats a character (%d weights, %d tokens, %.0f s)\n",
              seed, loss, weights, tokens, seconds }' "$work/$seed.json" | tee -a "$work/all"
done
# How much was held out: nanoGPT takes the last tenth of the characters.
bytes=$(wc -c <"$text")
awk -v bytes="$bytes" '{ sum += $5; n++ } END {
    printf "mean of n=%d seeds: %.4f over the last %d of %d bytes; nanoGPT reports 1.88 for its recipe of " \
           "this size (4 layers, 128 wide, context 64, batch 12, 2000 steps): ratio %.3f\n",
           n, sum / n, bytes - int(bytes * 0.9), bytes, sum / n / 1.88 }' "$work/all"
