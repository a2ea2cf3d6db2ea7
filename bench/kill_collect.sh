#!/bin/sh
# Kills collecting and curating at random moments (kill -9) and looks the workspace over after each:
# it opens, nothing is half written, and what the killed one left is found and cleared.
#
# usage: bench/kill_collect.sh [-n TIMES] [-s SEED] MALIANG FOLDER
#
# FOLDER is what is collected. Ends with the same records as an unbroken run.
set -eu

times=200 seed=1
while getopts n:s: option; do
    case $option in
    n) times=$OPTARG ;;
    s) seed=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
maliang=$1 folder=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/recipe.yaml" <<'END'
input: raw
output: clean
steps:
  - normalise:
  - language: {least: 0.5}
  - near_duplicates:
  - redact:
END

both() {
    "$maliang" collect -q -w "$1" -d raw "$folder" >/dev/null &&
        "$maliang" curate -q -w "$1" "$work/recipe.yaml" >/dev/null
}

hashes() {
    sqlite3 "$1/maliang.db" "SELECT name, hex(hash) FROM dataset ORDER BY name, version DESC" 2>/dev/null |
        sort -u -t'|' -k1,1
}

began=$(date +%s%N)
both "$work/whole"
lasted=$((($(date +%s%N) - began) / 1000000))
echo "an unbroken run takes $lasted ms"
killed=0 littered=0 at=0
while [ $at -lt "$times" ]; do
    at=$((at + 1))
    # now and then from nothing, so that every stage is met
    [ $((at % 10)) -eq 1 ] && rm -rf "$work/broken"
    delay=$(awk -v seed="$seed" -v at=$at -v most=$lasted 'BEGIN {srand(seed * 100003 + at); printf "%.3f", rand() * most / 1000}')
    setsid sh -c '"$0" collect -q -w "$1" -d raw "$2" && "$0" curate -q -w "$1" "$3"' \
        "$maliang" "$work/broken" "$folder" "$work/recipe.yaml" >/dev/null 2>&1 &
    victim=$!
    sleep "$delay"
    kill -s KILL -- "-$victim" 2>/dev/null && killed=$((killed + 1))
    wait $victim 2>/dev/null || true
    [ -f "$work/broken/maliang.db" ] || continue
    if ! "$maliang" doctor -w "$work/broken" --deep --json >"$work/said" 2>"$work/error"; then
        # a workspace that was left half made is finished by collecting into it
        grep -q "half made\|not a workspace" "$work/error" || { cat "$work/error"; echo "FAILED at $at"; exit 1; }
        continue
    fi
    if ! grep -q '"database_sound": true' "$work/said" || ! grep -q '"missing": 0' "$work/said" ||
        ! grep -q '"damaged": 0' "$work/said"; then
        cat "$work/said"
        echo "FAILED at $at"
        exit 1
    fi
    grep -q '"stray_files": 0' "$work/said" && grep -q '"unused_blobs": 0' "$work/said" || littered=$((littered + 1))
    "$maliang" doctor -w "$work/broken" --repair >/dev/null
    "$maliang" doctor -w "$work/broken" --json >"$work/said"
    if ! grep -q '"stray_files": 0' "$work/said" || ! grep -q '"unused_blobs": 0' "$work/said" ||
        ! grep -q '"unfinished": 0' "$work/said"; then
        cat "$work/said"
        echo "FAILED to clear at $at"
        exit 1
    fi
done
both "$work/broken"
if command -v sqlite3 >/dev/null; then
    [ "$(hashes "$work/whole")" = "$(hashes "$work/broken")" ] || { echo "FAILED: the datasets differ"; exit 1; }
fi
echo "n $times killed $killed, with something to clear $littered, none unsound; the datasets are those of the unbroken run"
