#!/bin/sh
# What the verse starter writes (form, rhyme, lines copied) and how well it predicts poems that it
# never saw, beside a 5-gram; with a second file the fables starter's prediction too.
#
#   bench/verse.sh tang_poems_zh.jsonl [aesop_en.jsonl]
#
# BUILD names the build folder (default: build), VERSE and FABLES other models (folders), OUT a file
# for all poems, SAMPLES (default: 200) and SEED (default: 1) how many are written and from where.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build}
poems=${1:?usage: bench/verse.sh tang_poems_zh.jsonl [aesop_en.jsonl]}
work=$(mktemp -d "${TMPDIR:-/tmp}/verse-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

die() {
    echo "verse.sh: $*" >&2
    exit 1
}
collect() { # DATASET FILE
    "$build/cli/maliang" collect --quiet --workspace "$work/w" --dataset "$1" "$2" ||
        die "collecting $2 failed"
}

ninja -C "$build" cli/maliang bench/verse_eval bench/heldout_eval >"$work/log" ||
    die "building in $build failed: $(tail -n 3 "$work/log")"
collect tang "$poems"
"$build/bench/verse_eval" "$work/w" "$root/recipes/verse.yaml" "${VERSE:-$root/starters/verse}" \
    --samples "${SAMPLES:-200}" --seed "${SEED:-1}" ${OUT:+--out "$OUT"} || exit 1
[ $# -gt 1 ] || exit 0
collect aesop "$2"
printf '\nfables\n'
"$build/bench/heldout_eval" "$work/w" "$root/recipes/fables.yaml" \
    "${FABLES:-$root/starters/fables}" '<|title|>' '<|moral|>'
