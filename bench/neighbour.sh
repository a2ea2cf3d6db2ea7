#!/bin/sh
# Training beside one busy neighbour: a step on two threads alone, then with a process that keeps
# one processor busy, taking turns. Half the processors' time is left at worst, so 0.5 is what a
# perfect split of the work would reach beside a neighbour that never gives way.
#
#   bench/neighbour.sh [-n ROUNDS] [-s SECONDS] [-m LEAST] [OPTION...]
#
# OPTIONs go to `maliang bench train` (--width 512 ...). Prints medians and their ratio; fails below
# LEAST (default: 0.45). MALIANG names the program (default: build/cli/maliang).
set -u

rounds=3 seconds=5 least=0.45
while getopts n:s:m:h option; do
    case $option in
    n) rounds=$OPTARG ;;
    s) seconds=$OPTARG ;;
    m) least=$OPTARG ;;
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
    echo "neighbour.sh: there is no $maliang; build it (ninja -C build) or set MALIANG" >&2
    exit 1
}
work=$(mktemp -d "${TMPDIR:-/tmp}/neighbour-XXXXXX") || exit 1
pid=''
clean() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

# Tokens a second of the best step, into the file $1; further words are options.
measure() {
    file=$1
    shift
    "$maliang" bench train --threads 2 --seconds "$seconds" "$@" |
        awk '/tokens\/s/ { for (i = 1; i <= NF; i++) if ($i == "tokens/s") print $(i - 1) }' \
            >>"$work/$file"
}

median() {
    sort -n "$work/$1" | awk '{ x[NR] = $1 } END { if (NR) print (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2 }'
}

round=0
while [ "$round" -lt "$rounds" ]; do
    measure alone "$@"
    sha256sum /dev/zero >/dev/null &
    pid=$!
    measure beside "$@"
    kill "$pid"
    wait "$pid" 2>/dev/null
    pid=''
    round=$((round + 1))
done
alone=$(median alone) beside=$(median beside)
[ -n "$alone" ] && [ -n "$beside" ] || {
    echo "neighbour.sh: $maliang bench train measured nothing" >&2
    exit 1
}
awk -v a="$alone" -v b="$beside" -v n="$rounds" -v least="$least" 'BEGIN {
    printf "2 threads, medians of n=%d: alone %.0f, beside one busy process %.0f tokens/s = %.2f (must: %s)\n",
        n, a, b, b / a, least
    exit b / a < least
}'
