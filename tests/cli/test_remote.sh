#!/bin/sh
# The round on a workspace whose rows lie in a PostgreSQL server (tests/store/with_postgres.sh).
#   MALIANG=PROGRAM test_remote.sh
set -u
maliang=$MALIANG
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
unset MALIANG_WORKSPACE
export LC_ALL=C.UTF-8

die() {
    echo "test_remote.sh: $*" >&2
    exit 1
}

mkdir texts || exit 1
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    mood=calm
    [ $((i % 2)) -eq 0 ] || mood=wild
    echo "Poem number $i is a $mood one about the river, and its $mood water goes on for $i miles." >"texts/$i.txt"
done
cp texts/1.txt texts/again.txt
printf 'input: poems\noutput: clean\nsteps:\n  - normalise:\n  - exact_duplicates:\n  - split: {validation: 0.2}\n' >light.yaml
printf 'kind: choice\nlabels: [calm, wild]\n' >mood.yaml

"$maliang" init w --database "$MALIANG_TEST_DATABASE&schema=remote" >out || die "init: $(cat out)"
grep -q 'postgresql://.*schema=remote' out || die "init says: $(cat out)"
"$maliang" collect -q -w w -d poems texts || die "collect"
"$maliang" init other --database "$MALIANG_TEST_DATABASE&schema=remote" 2>out && die "joined without its files"
grep -q "files do not lie there" out && [ ! -e other/maliang.url ] || die "init of another says: $(cat out)"
"$maliang" curate -q -w w light.yaml || die "curate"
"$maliang" find -q -w w "wild water" | grep -q wild || die "find"
"$maliang" label start mood -q -w w -d clean --task mood.yaml || die "label start"
"$maliang" label export mood first.csv -q -w w || die "label export"
"$maliang" label status mood -q -w w | grep -q . || die "label status"
"$maliang" datasets card clean -q -w w | grep -q clean || die "card"
"$maliang" datasets export clean clean.jsonl -q -w w || die "export"
grep -q river clean.jsonl || die "export is empty"
"$maliang" doctor --deep -q -w w | grep -q 'health *sound' || die "doctor"
"$maliang" collect -w w -d stories "$MALIANG_TEST_DATABASE&query=SELECT 'A story about oxen' AS text" >out ||
    die "collect from the server: $(cat out)"
echo "the round on a PostgreSQL server: fine"
