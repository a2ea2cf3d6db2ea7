#!/bin/sh
# How many changed copies of pictures `curate` finds with picture_duplicates, and how many pictures it
# takes for copies that are none. Photographs are cut into 16 tiles each, which are the pictures.
#
#   bench/near_pictures.sh FOLDER-OF-PHOTOGRAPHS
#
# Needs the program ffmpeg. MALIANG names the program (default: build/cli/maliang).
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
maliang=${MALIANG:-$root/build/cli/maliang}
photographs=$(cd "${1:?name a folder of photographs}" && pwd) || exit 2
work=$(mktemp -d "${TMPDIR:-/tmp}/near-pictures-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

mkdir tiles
for photograph in "$photographs"/*; do
    name=$(basename "$photograph")
    for i in 0 1 2 3; do
        for k in 0 1 2 3; do
            ffmpeg -v error -nostdin -i "$photograph" -vf "crop=iw/4:ih/4:$i*iw/4:$k*ih/4" -frames:v 1 \
                "tiles/$name-$i$k.png" || exit 1
        done
    done
done
printf 'input: all\noutput: kept\nsteps:\n  - picture_duplicates:\n' >recipe.yaml

# Pictures that go: of the tiles alone, or of tiles and copies.
dropped() { # FOLDER...
    rm -rf w
    "$maliang" collect -q -w w -d all "$@" >/dev/null || exit 1
    "$maliang" curate -q -n --json -w w recipe.yaml | sed -n 's/^ *"dropped": \([0-9]*\).*/\1/p' | tail -n 1
}

count=$(find tiles -type f | wc -l)
wrong=$(dropped tiles)
echo "tiles: n=$count, taken for copies of each other: $wrong"
while IFS='|' read -r name filter options; do
    mkdir "$name"
    for tile in tiles/*; do
        # shellcheck disable=SC2086  # words
        ffmpeg -v error -nostdin -i "$tile" -vf "$filter" $options "$name/$(basename "$tile" .png).${name##*-}" || exit 1
    done
    echo "$name: found $(($(dropped tiles "$name") - wrong)) of $count"
done <<'END'
half-png|scale=iw/2:-1|
double-png|scale=iw*2:-1|
quality-jpg|null|-q:v 12
brighter-png|eq=brightness=0.1|
blurred-png|gblur=sigma=1|
crop2-png|crop=iw*0.98:ih*0.98|
grey-png|hue=s=0|
mirrored-png|hflip|
END
