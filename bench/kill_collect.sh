#!/bin/sh
# Collects material unbroken, then again with `kill -9` at random moments, `maliang doctor --deep`
# after each and the same command once more; then changes the material and does the same. Whatever
# the moment, nothing may be missing or damaged, what a kill left over must be mended, and at the end
# the dataset must have the same hash as the unbroken one. Tries on until the kills are all made.
#
#   bench/kill_collect.sh [-n KILLS] [-s SEED] [-l LINES] [-u postgresql://...]
#
# LINES is the size of the material. With -u rows lie in that server, in a schema kill_SEED_... for
# each workspace. CURATE may hold a command that is run (and killed) after collecting, such as
# "curate light.yaml --output clean" with the recipe that this script writes for its made-up words. MALIANG names the program (default: build/cli/maliang), KEEP=1 leaves
# the folders in place.
set -u

kills=200 seed=1 lines=30000 url=''
while getopts n:s:l:u:h option; do
    case $option in
    n) kills=$OPTARG ;;
    s) seed=$OPTARG ;;
    l) lines=$OPTARG ;;
    u) url=$OPTARG ;;
    *)
        sed -n '2,/^set/{s/^# \{0,1\}//;/^set/!p;}' "$0"
        exit 2
        ;;
    esac
done
root=$(cd "$(dirname "$0")/.." && pwd)
maliang=${MALIANG:-$root/build/cli/maliang}
[ -x "$maliang" ] || {
    echo "kill_collect.sh: there is no $maliang; build it (ninja -C build) or set MALIANG" >&2
    exit 1
}
curate=${CURATE:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/kill-collect-XXXXXX") || exit 1
pid=''
# shellcheck disable=SC2317  # called by the trap
clean() {
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
    if [ "${KEEP:-0}" = 1 ]; then echo "left in place: $work"; else rm -rf "$work"; fi
}
trap clean EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 1

die() {
    echo "kill_collect.sh: $*" >&2
    exit 1
}

# Poems of words in one large and some smaller files, and 200 texts of a file each.
material() { # VERSION: the second differs in a third of the lines, and some files are gone
    rm -rf text && mkdir text || exit 1
    awk -v seed="$seed" -v lines="$lines" -v version="$1" 'BEGIN {
        srand(seed)
        for (i = 0; i < lines; i++) {
            words = ""
            for (w = 0; w < 20; w++)
                words = words int(rand() * 100000) " "
            changed = version > 1 && i % 3 == 0 ? "changed " : ""
            file = i < lines / 2 ? "large.jsonl" : "part-" int(i * 10 / lines) ".jsonl"
            printf "{\"title\": \"%d\", \"text\": \"%s%s\"}\n", i, changed, words > ("text/" file)
        }
        for (f = 0; f < (version > 1 ? 150 : 200); f++) {
            edition = version > 1 && f % 2 ? version : 1
            printf "file %d of version %d\n", f, edition > ("text/" f ".txt")
            close("text/" f ".txt")
        }
    }'
}

workspace() { # NAME
    rm -rf "$1" && mkdir "$1" || exit 1
    [ -z "$url" ] || echo "$url$(case $url in *\?*) echo '&' ;; *) echo '?' ;; esac)schema=kill_${seed}_$1" >"$1/maliang.url"
}
# One life: the command's group is one process, so that the kill hits it and nothing else.
start() { # WORKSPACE COMMAND...
    place=$1
    shift
    "$maliang" "$@" --quiet --json --workspace "$place" >out.json 2>out.log &
    pid=$!
}
number() { # NAME: of the last answer
    sed -n "s/^ *\"$1\": \([0-9]*\),*\$/\1/p" doctor.json
}
# Sound but for what a killed writer may leave, which is mended; then wholly sound.
examine() { # WORKSPACE
    "$maliang" doctor --deep --json --quiet --workspace "$1" >doctor.json 2>doctor.log
    for fault in database_faults missing damaged lost_records; do
        [ "$(number $fault)" = 0 ] || die "after kill $made: $fault: $(number $fault): $(cat doctor.json doctor.log)"
    done
    orphans=$((orphans + $(number orphans))) leftovers=$((leftovers + $(number leftovers)))
    dirty=$((dirty + ($(number problems) > 0)))
    records=$(number records)
    "$maliang" doctor --repair --json --quiet --workspace "$1" >doctor.json 2>doctor.log ||
        die "after kill $made: not mended: $(cat doctor.json doctor.log)"
    "$maliang" doctor --deep --json --quiet --workspace "$1" >doctor.json 2>doctor.log ||
        die "after kill $made: not sound after it was mended: $(cat doctor.json doctor.log)"
}
hash_of() { # of the dataset, from the answer of collect
    sed -n 's/.*"hash": "\([0-9a-f]*\)".*/\1/p' "$1"
}
now() { date +%s.%N; }
calc() { awk "BEGIN { printf \"%.6f\", $1 }"; }

cat >light.yaml <<'END'
input: default
steps:
  - normalise:
  - exact_duplicates:
  - near_duplicates: {threshold: 0.8}
  - split: {validation: 0.1}
END

made=0 orphans=0 leftovers=0 dirty=0 lives=0 records=0
workspace unbroken
for version in 1 2; do
    material $version
    began=$(now)
    start unbroken collect text
    wait "$pid" || die "collecting failed: $(cat out.log)"
    pid=''
    eval "whole$version=$(calc "$(now) - $began") hash$version=$(hash_of out.json)"
    [ -z "$curate" ] || {
        # shellcheck disable=SC2086  # words
        start unbroken $curate
        wait "$pid" || die "$curate failed: $(cat out.log)"
        pid=''
    }
done
examine unbroken
# shellcheck disable=SC2154  # by eval
echo "unbroken: $records records; collecting takes ${whole1%????} s, and ${whole2%????} s again; seed $seed"

# awk's own random numbers, one a line: where in a run its life ends.
awk -v seed="$seed" 'BEGIN { srand(seed); for (i = 0; i < 100000; i++) print rand() }' >random

# Runs the command until it lives to its end, killing it at random moments.
until_done() { # WORKSPACE SECONDS COMMAND...
    place=$1 seconds=$2
    shift 2
    while :; do
        lives=$((lives + 1))
        start "$place" "$@"
        if [ "$made" -lt "$kills" ]; then
            sleep "$(calc "$seconds * $(sed -n "${lives}p" random)")"
            kill -9 "$pid" 2>/dev/null
        fi
        wait "$pid" 2>/dev/null
        status=$?
        pid=''
        [ "$status" -ne 0 ] || return 0
        [ "$status" -eq 137 ] || die "$* failed: $(cat out.log)"
        made=$((made + 1))
        examine "$place"
    done
}

rounds=0
while [ "$made" -lt "$kills" ]; do
    rounds=$((rounds + 1))
    workspace broken
    # A schema of the server outlives its folder.
    [ -z "$url" ] || workspace "broken$rounds"
    place=broken$([ -z "$url" ] || echo $rounds)
    for version in 1 2; do
        material $version
        whole='' expected=''
        eval "whole=\$whole$version expected=\$hash$version"
        until_done "$place" "$whole" collect text
        [ "$(hash_of out.json)" = "$expected" ] ||
            die "round $rounds, version $version: another dataset than unbroken: $(cat out.json)"
        # shellcheck disable=SC2086  # words
        [ -z "$curate" ] || until_done "$place" "$whole" $curate
    done
    examine "$place"
    echo "  round $rounds: $made kills so far, same datasets as unbroken"
done
printf 'n=%d kills in %d lives, seed %s, %d records: nothing missing or damaged; ' \
    "$made" "$lives" "$seed" "$records"
printf '%d kills left something over (%d orphans, %d half-written files), all mended\n' \
    "$dirty" "$orphans" "$leftovers"
