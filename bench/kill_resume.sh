#!/bin/sh
# Trains a small model unbroken, then again with `kill -9` at random moments and the same command
# after each, and compares the bytes of the two results. Tries on until the kills are all made.
#
#   bench/kill_resume.sh [-n KILLS] [-s SEED] [-t THREADS] [TEXT]
#
# TEXT defaults to words that the seed makes. MALIANG names the program (default:
# build/cli/maliang), KEEP=1 leaves the folders in place.
set -u

kills=30 seed=1 threads=''
while getopts n:s:t:h option; do
    case $option in
    n) kills=$OPTARG ;;
    s) seed=$OPTARG ;;
    t) threads=$OPTARG ;;
    *)
        sed -n '2,/^set/{s/^# \{0,1\}//;/^set/!p;}' "$0"
        exit 2
        ;;
    esac
done
shift $((OPTIND - 1))
root=$(cd "$(dirname "$0")/.." && pwd)
maliang=${MALIANG:-$root/build/cli/maliang}
[ -x "$maliang" ] || {
    echo "kill_resume.sh: there is no $maliang; build it (ninja -C build) or set MALIANG" >&2
    exit 1
}
work=$(mktemp -d "${TMPDIR:-/tmp}/kill-resume-XXXXXX") || exit 1
pid=''
clean() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
    if [ "${KEEP:-0}" = 1 ]; then echo "left in place: $work"; else rm -rf "$work"; fi
}
trap clean EXIT
trap 'exit 130' INT TERM

die() {
    echo "kill_resume.sh: $*" >&2
    exit 1
}

# Everything that carries state from step to step is on: dropout, accumulation, averaged weights,
# both optimisers, packing, a held-out part with its best weights.
cat >"$work/recipe.yaml" <<END
name: killed
data: {dataset: words, validation: 0.1, packing: documents}
tokenizer: {vocab: 512}
model: {layers: 2, width: 64, heads: 4, kv_heads: 2, context: 64, dropout: 0.1}
train: {steps: 480, batch: 16, accumulation: 2, optimizer: muon, ema: 0.99, eval_every: 40,
        eval_batches: 2, checkpoint_every: 10, keep: 3, seed: $seed}
END
text=${1:-}
if [ -z "$text" ]; then
    text=$work/text
    mkdir "$text" || exit 1
    awk -v seed="$seed" -v folder="$text" 'BEGIN {
        srand(seed)
        for (f = 0; f < 300; f++) {
            for (w = 0; w < 150; w++) {
                word = ""
                for (l = 2 + int(rand() * 6); l > 0; l--)
                    word = word substr("etaoinshrdlu", 1 + int(rand() * rand() * 12), 1)
                printf "%s%s", word, w % 12 == 11 ? "\n" : " " > (folder "/" f ".txt")
            }
            close(folder "/" f ".txt")
        }
    }'
fi

start() { # FOLDER: trains into it in the background
    "$maliang" train "$work/recipe.yaml" --quiet --json ${threads:+--threads "$threads"} \
        --workspace "$work/workspace" --name "${1##*/}" --out "$1" \
        >"$work/out.json" 2>"$work/out.log" &
    pid=$!
}
finish() { # waits for it
    wait "$pid" || die "training failed: $(cat "$work/out.log")"
    pid=''
}
now() { date +%s.%N; }
calc() { awk "BEGIN { printf \"%.6f\", $1 }"; }
# The numbers in a checkpoint, without its header, in which the run notes the time it took.
tensors() {
    n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    tail -c +$((n + 9)) "$1" | sha256sum | cut -d' ' -f1
}
sum() { sha256sum "$1" | cut -d' ' -f1; }
newest() { # FOLDER: the file's name; names sort as steps do
    last=''
    for file in "$1"/checkpoints/step-*.safetensors; do [ ! -f "$file" ] || last=${file##*/}; done
    echo "$last"
}
step_of() { # FILE: 0 when there is none
    printf '%s\n' "$1" | awk '{ gsub(/[^0-9]/, ""); print $0 + 0 }'
}
# The last step that a run had written down; steps are logged one by one.
step_seen() {
    [ -f "$1/metrics.jsonl" ] || { echo 0; return; }
    awk 'match($0, /"step": *[0-9]+/) { s = substr($0, RSTART, RLENGTH); gsub(/[^0-9]/, "", s); n = s }
         END { print n + 0 }' "$1/metrics.jsonl"
}

"$maliang" collect --quiet --workspace "$work/workspace" --dataset words "$text" >/dev/null ||
    die "collecting $text failed"
began=$(now)
start "$work/unbroken"
finish
whole=$(calc "$(now) - $began")
steps=$(step_of "$(newest "$work/unbroken")")
echo "unbroken: $steps steps in ${whole%????} s, seed $seed"

# awk's own random numbers, one a line: where in its share of the run a life ends.
awk -v seed="$seed" 'BEGIN { srand(seed); for (i = 0; i < 100000; i++) print rand() }' \
    >"$work/random"
draws=0 made=0 lost=0 runs=0 different=0
while [ "$made" -lt "$kills" ]; do
    runs=$((runs + 1))
    broken=$work/broken$runs
    while :; do
        done_steps=$(step_of "$(newest "$broken")")
        draws=$((draws + 1))
        r=$(sed -n "${draws}p" "$work/random")
        start "$broken"
        if [ "$made" -ge "$kills" ]; then
            finish
            break
        fi
        # From nothing (killed while it starts) to three times an even share of what is left.
        sleep "$(calc "$r * (0.3 + 3 * $whole * ($steps - $done_steps) / $steps / ($kills - $made))")"
        kill -9 "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
        status=$?
        pid=''
        [ "$status" -ne 0 ] || break # it was done before
        [ "$status" -eq 137 ] || die "training failed: $(cat "$work/out.log")"
        made=$((made + 1))
        saved=$(step_of "$(newest "$broken")") seen=$(step_seen "$broken")
        gone=$((seen > saved ? seen - saved : 0))
        lost=$((lost + gone))
        echo "  kill $made: at step $seen, newest checkpoint $saved, $gone steps lost"
    done
    a=$(newest "$work/unbroken") b=$(newest "$broken")
    echo "broken run $runs: last checkpoint $b"
    for pair in "model $(sum "$work/unbroken/model/model.safetensors") $(sum "$broken/model/model.safetensors")" \
        "checkpoint $(tensors "$work/unbroken/checkpoints/$a") $(tensors "$broken/checkpoints/$b")"; do
        # shellcheck disable=SC2086  # three words
        set -- $pair
        if [ "$2" = "$3" ] && [ "$a" = "$b" ]; then
            echo "  $1: identical, sha256 $2"
        else
            echo "  $1: DIFFERENT: unbroken $2, broken $3"
            different=1
        fi
    done
done
printf 'n=%d kills, seed %s, %d of %d steps a run lost and done again (%d broken runs): %s\n' \
    "$made" "$seed" "$lost" "$steps" "$runs" \
    "$([ $different = 0 ] && echo "final weights and optimiser state identical" || echo DIFFERENT)"
exit $different
