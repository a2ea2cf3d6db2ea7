#!/bin/sh
# How many changed copies of sounds their fingerprints find, and how many sounds are taken for others.
#
#   bench/near_sounds.sh FOLDER-OF-SOUNDS
#
# Needs the program ffmpeg. BUILD names the build folder (default: build); MOST, OVERLAP and SHOW are
# bench_near_sounds's.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
program=${BUILD:-$root/build}/bench/bench_near_sounds
sounds=$(cd "${1:?name a folder of sounds}" && pwd) || exit 2
work=$(mktemp -d "${TMPDIR:-/tmp}/near-sounds-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

mkdir originals
for sound in "$sounds"/*; do
    case $sound in
    *.wav | *.flac | *.mp3 | *.ogg) ln -s "$sound" originals/ ;;
    esac
done
folders=originals
while IFS='|' read -r name filter options; do
    mkdir "$name"
    folders="$folders $name"
    for sound in originals/*; do
        base=$(basename "$sound")
        # shellcheck disable=SC2086  # words
        ffmpeg -v error -nostdin -i "$sound" -af "$filter" $options "$name/${base%.*}.${name##*-}" || exit 1
    done
done <<'END'
64k-mp3|anull|-b:a 64k
16khz-wav|aresample=16000|
quiet6-wav|volume=-6dB|
late0.2-wav|adelay=200:all=1|
END
# Noise 30 dB under the level of each sound.
mkdir noise30-wav
folders="$folders noise30-wav"
for sound in originals/*; do
    base=$(basename "$sound")
    level=$(ffmpeg -nostdin -i "$sound" -af volumedetect -f null - 2>&1 | sed -n 's/.*mean_volume: \(.*\) dB/\1/p')
    # anoisesrc is even between -amplitude and amplitude: its level is 4.8 dB under that
    amplitude=$(awk -v level="$level" 'BEGIN { print 10 ^ ((level - 30 + 4.77) / 20) }')
    rate=$(ffprobe -v error -show_entries stream=sample_rate -of csv=p=0 "$sound")
    ffmpeg -v error -nostdin -i "$sound" -f lavfi -i "anoisesrc=a=$amplitude:r=$rate:seed=1" \
        -filter_complex 'amix=inputs=2:duration=first:normalize=0' "noise30-wav/${base%.*}.wav" || exit 1
done
# shellcheck disable=SC2086  # words
"$program" $folders
