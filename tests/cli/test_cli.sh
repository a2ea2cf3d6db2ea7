#!/bin/sh
# The program as a person meets it, in the output form of cmocka.
#   test_cli.sh PROGRAM ROOT
set -u
maliang=$(cd "$(dirname "$1")" && pwd)/$(basename "$1") root=$2
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
unset MALIANG_WORKSPACE MALIANG_STARTERS
export LC_ALL=C.UTF-8
passed=0
failed=''

# check NAME COMMAND...: one case.
check() {
    name=$1
    shift
    echo "[ RUN      ] $name"
    if "$@" >"$scratch/output" 2>&1; then
        echo "[       OK ] $name"
        passed=$((passed + 1))
    else
        sed 's/^/    /' "$scratch/output"
        echo "[  FAILED  ] $name"
        failed="$failed $name"
    fi
}

# refused STATUS PART COMMAND...: ends with the status, one line on stderr that holds the part, and
# nothing on stdout.
refused() {
    status=$1 part=$2
    shift 2
    "$@" >"$scratch/stdout" 2>"$scratch/stderr"
    got=$?
    echo "status $got, stdout: $(cat "$scratch/stdout"), stderr: $(cat "$scratch/stderr")"
    [ $got -eq "$status" ] && [ ! -s "$scratch/stdout" ] &&
        [ "$(wc -l <"$scratch/stderr")" -eq 1 ] && grep -qF -- "$part" "$scratch/stderr"
}

commands='init collect datasets label curate find train write models bench doctor completion'

# Bytes of UTF-8 that begin a character, wide ones (from U+2E80 up) twice: columns.
fits_80() {
    awk '{ wide = $0; n = gsub(/[\343-\352][\200-\277][\200-\277]/, "", wide) + gsub(/\357[\274-\277][\200-\277]/, "", wide)
           plain = wide; gsub(/[\200-\277]/, "", plain)
           if (length(plain) + 2 * n > 80) { print length(plain) + 2 * n ": " $0; bad = 1 } }
         END { exit bad }'
}

help_fits() {
    for language in C.UTF-8 zh_CN.UTF-8; do
        LC_ALL=$language "$maliang" --help >"$scratch/help" && LC_ALL=C fits_80 <"$scratch/help" || return 1
        for command in $commands; do
            grep -q "^  $command" "$scratch/help" || return 1
            LC_ALL=$language "$maliang" "$command" --help | LC_ALL=C fits_80 || return 1
        done
    done
    LC_ALL=zh_CN.UTF-8 "$maliang" --help | grep -q 命令
}

completion_works() {
    "$maliang" completion bash >"$scratch/completion" || return 1
    bash -c ". '$scratch/completion'; COMP_WORDS=(maliang tra) COMP_CWORD=1; _maliang
        [ \"\${COMPREPLY[*]}\" = train ] || exit 1
        COMP_WORDS=(maliang write --temp) COMP_CWORD=2; _maliang
        [ \"\${COMPREPLY[*]}\" = --temperature ]"
}

inits() {
    "$maliang" init made/new | grep -q "made/new/maliang.db" || return 1
    "$maliang" init --json -w other | grep -q '"blobs": "blobs/ in the folder"' || return 1
    "$maliang" doctor -w made/new | grep -q sound || return 1
    "$maliang" init broken --database 'postgresql://u:hidden@/d?host=/nowhere' 2>message && return 1
    ! grep -q hidden message && [ ! -e broken/maliang.url ] && "$maliang" init broken
}

# A file of the material is cut short: found, marked, and brought back by collecting again.
doctor_mends() {
    mkdir ill && echo 'something to keep' >ill/a.txt
    "$maliang" collect --quiet -w ward ill && "$maliang" doctor -w ward | grep -q '^health  *sound' || return 1
    blob=$(grep -rl 'something to keep' ward/blobs) || return 1
    echo 'something to lose' >"$blob"
    "$maliang" doctor -w ward || return 1 # its size is right
    refused_with 'health *not sound' doctor -w ward --deep --quiet || return 1
    refused_with 'records are lost' doctor -w ward --deep --repair --quiet || return 1
    "$maliang" collect --quiet -w ward ill && "$maliang" doctor -w ward --deep --json | grep -q '"problems": 0'
}
refused_with() {
    part=$1
    shift
    "$maliang" "$@" >"$scratch/stdout" 2>"$scratch/stderr" && return 1
    cat "$scratch/stdout" "$scratch/stderr"
    [ "$(wc -l <"$scratch/stderr")" -eq 1 ] && grep -q "$part" "$scratch/stdout"
}

make_texts() {
    mkdir -p texts
    for i in 1 2 3 4 5 6 7 8; do
        awk -v i=$i 'BEGIN { for (k = 0; k < 40; k++) print "the " i " foxes crossed river " k % 7 " at night" }' \
            >texts/$i.txt
    done
    cat >tiny.yaml <<END
name: tiny
data: {dataset: tales, validation: 0.2}
tokenizer: {vocab: 300}
model: {layers: 1, width: 32, heads: 2, ffn: 64, context: 128}
train: {steps: 200, batch: 4, eval_every: 100, checkpoint_every: 10, precision: f32}
END
}

collects() {
    "$maliang" collect --dataset tales texts >out && grep -q '^tales@1: 8 records' out &&
        "$maliang" collect --dataset tales texts --json >out && grep -q '"added": 0' out
}

# Datasets in two languages, and out in every form; what is there already is not overwritten by a folder.
describes_and_exports() {
    "$maliang" datasets | grep -q '^tales@1' && "$maliang" datasets show tales --quiet >out &&
        grep -q '^kinds *text 8' out && "$maliang" datasets show tales@1 --json --quiet | grep -q '"records": 8' &&
        "$maliang" datasets card tales --quiet | grep -q '^## Known limits' &&
        "$maliang" datasets card tales --quiet --language zh | grep -q '^## 已知的局限' || return 1
    for file in out.jsonl out.parquet; do
        "$maliang" datasets export tales $file --quiet && [ -s $file ] || return 1
    done
    [ "$(wc -l <out.jsonl)" -eq 8 ] && [ "$(head -c 4 out.parquet)" = PAR1 ] &&
        "$maliang" datasets export tales shards --quiet --format webdataset &&
        [ "$(tar tf shards/data-000000.tar | wc -l)" -eq 16 ] &&
        "$maliang" datasets export tales folder --quiet --format croissant --json | grep -q '"files": 4' &&
        [ -s folder/croissant.json ] && [ -s folder/README.zh.md ]
}

labels() {
    printf 'kind: choice\nlabels: [glad, sad]\noverlap: 2\n' >mood.yaml
    "$maliang" label start mood --dataset tales --task mood.yaml >out && grep -q 'label queue mood' out &&
        "$maliang" label | grep -q '^mood  *choice  *8  *0' &&
        "$maliang" label status mood --json | grep -q '"overlap": 2'
}

# In from a table, out for Label Studio, and in again; two people agree by chance alone.
exchanges_labels() {
    printf 'source,annotator,value\n' >labels.csv
    for i in 1 2 3 4; do
        printf '%s/texts/%d.txt,anna,glad\n%s/texts/%d.txt,bo,%s\n' "$(pwd -P)" $i "$(pwd -P)" $i \
            "$([ $i -lt 3 ] && echo glad || echo sad)" >>labels.csv
    done
    "$maliang" label import mood labels.csv | grep -q '8 labels, 0 proposals' &&
        "$maliang" label export mood tasks.json | grep -q '8 labels of 8 records' &&
        "$maliang" label import mood tasks.json --json | grep -q '"already_there": 8' &&
        "$maliang" label agreement mood | grep -q 'anna  *bo  *4  *0.000  *0.500' &&
        "$maliang" datasets show tales --quiet | grep -q '^labels *mood (choice): 8 by 2 people on 4 records'
}

trains_and_writes() {
    "$maliang" train tiny.yaml --quiet >out && grep -q '^model: ' out &&
        "$maliang" write --model tiny --max-tokens 12 --seed 4 "the" >one &&
        "$maliang" write --model tiny --max-tokens 12 --seed 4 --threads 1 "the" >two &&
        cmp one two && [ -s one ]
}

# Killed twice, then run again: the same weights as unbroken.
survives_kill() {
    "$maliang" train tiny.yaml --quiet --name broken >/dev/null 2>&1 &
    pid=$!
    sleep 0.3
    kill -9 $pid
    wait $pid 2>/dev/null
    "$maliang" train tiny.yaml --quiet --name broken >/dev/null || return 1
    cmp maliang-workspace/runs/tiny/model/model.safetensors \
        maliang-workspace/runs/broken/model/model.safetensors
}

# Ctrl-C: says so, leaves a run that the next one finishes.
survives_interrupt() {
    "$maliang" train tiny.yaml --quiet --name halted --set train.steps=100000 >out 2>err &
    pid=$!
    sleep 1
    kill -INT $pid
    wait $pid
    status=$?
    echo "status $status: $(cat err)"
    [ $status -eq 130 ] && [ "$(wc -l <err)" -eq 1 ]
}

chats() {
    printf 'the fox\nthe river\n' | "$maliang" write --model tiny --chat --quiet --max-tokens 5 >out &&
        [ "$(wc -l <out)" -ge 2 ]
}

exports() {
    "$maliang" models export tiny tiny.gguf --quiet && [ "$(head -c 4 tiny.gguf)" = GGUF ] &&
        "$maliang" models --json | grep -q '"name": "tiny"'
}

# A file may not grow past 64 kB: one message, and the run goes on when there is room again.
full_disk() {
    (ulimit -f 64; "$maliang" train tiny.yaml --quiet --name full) >out 2>err
    status=$?
    echo "status $status: $(cat err)"
    [ $status -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] && "$maliang" train tiny.yaml --quiet --name full &&
        cmp maliang-workspace/runs/tiny/model/model.safetensors maliang-workspace/runs/full/model/model.safetensors
}

damaged_model() {
    cp -r maliang-workspace/runs/tiny/model damaged
    head -c 5000 maliang-workspace/runs/tiny/model/model.safetensors >damaged/model.safetensors
    refused 1 model.safetensors "$maliang" write --model ./damaged hello
}

check help_fits_80_columns help_fits
check completion_completes completion_works
check unknown_command refused 2 "did you mean train" "$maliang" trian
check unknown_option refused 2 "did you mean --seed" "$maliang" write --sead 3
check bad_number refused 2 "must be a number" "$maliang" write --temperature hot x
check no_model_yet refused 1 "train one" "$maliang" write x
mkdir empty binary && printf 'a\000b\001' >binary/x
check empty_folder refused 1 "empty" "$maliang" collect --quiet empty
check folder_of_binaries refused 1 "binary" "$maliang" collect --quiet binary
make_texts
check collects collects
check describes_and_exports describes_and_exports
check export_over_a_folder refused 1 "there already" "$maliang" datasets export tales folder --quiet -f croissant
check export_of_unknown_form refused 2 "did you mean parquet" "$maliang" datasets export tales x --quiet -f parqet
check unknown_dataset refused 1 'did you mean "tales"' "$maliang" datasets show tlaes --quiet
check labels labels
check label_needs_a_terminal refused 2 "needs a terminal" sh -c '"$1" label queue mood </dev/null' sh "$maliang"
check label_without_two_people refused 1 "two people" "$maliang" label agreement mood
check label_of_unknown_queue refused 1 'did you mean "mood"' "$maliang" label status moode
check exchanges_labels exchanges_labels
check label_export_of_unknown_form refused 2 "did you mean csv" "$maliang" label export mood x -f cvs
printf 'kind: choice\nlabels: [a]\n' >bad.yaml
check label_task_with_a_mistake refused 1 "bad.yaml: choice needs labels" "$maliang" label start m -d tales --task bad.yaml
printf 'train: {stpes: 3}\n' >typo.yaml
check recipe_with_a_typo refused 1 "typo.yaml:1" "$maliang" train --quiet typo.yaml
check trains_and_writes trains_and_writes
check survives_kill survives_kill
check survives_interrupt survives_interrupt
check chats chats
check exports exports
check full_disk full_disk
check damaged_model damaged_model
check inits inits
check init_where_one_is refused 1 "workspace already" "$maliang" init made/new
check init_with_a_wrong_address refused 2 "postgresql://" "$maliang" init x --database mysql://h/d
check doctor_mends doctor_mends
check doctor_without_a_workspace refused 1 "no such workspace" "$maliang" doctor -w nowhere
check full_stdout refused 1 "standard output" sh -c '"$1" doctor >/dev/full' sh "$maliang"

# shellcheck disable=SC2086  # a list of names
set -- $failed
echo "[==========] $((passed + $#)) test(s) run."
echo "[  PASSED  ] $passed test(s)."
[ $# -eq 0 ] && exit 0
echo "[  FAILED  ] $# test(s), listed below:"
printf '[  FAILED  ] %s\n' "$@"
exit 1
