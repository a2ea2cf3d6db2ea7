#!/bin/sh
# How many cuts film_quality finds: in a film of eight seconds put together from two clips in turn (it
# has seven; the clips last 1.1 s or more), and in each clip alone (which should be one shot, so that any is a false one).
#
#   bench/film_cuts.sh CLIP CLIP
#
# Needs the program ffmpeg. MALIANG names the program (default: build/cli/maliang).
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
maliang=${MALIANG:-$root/build/cli/maliang}
first=$(realpath "${1:?name two clips}") second=$(realpath "${2:?name two clips}")
work=$(mktemp -d "${TMPDIR:-/tmp}/film-cuts-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

printf 'input: all\noutput: kept\nsteps:\n  - film_quality: {least_seconds: 0, cuts: 0}\n' >recipe.yaml
# Cuts of a film, from the cuts a minute for which it would go.
cuts_of() { # FILM
    rm -rf w
    "$maliang" collect -q -w w -d all "$1" >/dev/null || exit 1
    rate=$("$maliang" curate -q -n -w w recipe.yaml | sed -n 's/.*(\([0-9.]*\))$/\1/p')
    seconds=$(ffprobe -v error -show_entries format=duration -of csv=p=0 "$1")
    awk "BEGIN { printf \"%.0f of %.1f s\", ${rate:-0} * $seconds / 60, $seconds }"
}

for i in 0 1 2 3; do
    for clip in first second; do
        eval "path=\$$clip"
        ffmpeg -v error -nostdin -ss 0.0$i -t 1 -i "$path" -an -vf scale=320:240,fps=25 -c:v mjpeg -q:v 3 "$i$clip.avi" || exit 1
        echo "file $i$clip.avi" >>list
    done
done
ffmpeg -v error -nostdin -f concat -i list together.mp4 || exit 1
echo "seven cuts: $(cuts_of together.mp4)"
echo "first clip: $(cuts_of "$first")"
echo "second clip: $(cuts_of "$second")"
