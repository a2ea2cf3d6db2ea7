#!/bin/sh
# What a GPU must show, with the programs that bundle_cuda.sh put into FOLDER: every op's tests on
# CUDA, the trainer's, memory checked in one of them, a training beside the processor's, and speed
# beside PyTorch (where python3 has it). Goes on after failures; a table of passes comes last.
#
#     bench/cuda.sh FOLDER [quick]            quick: tests alone
set -u

folder=$(cd "${1:?usage: cuda.sh FOLDER [quick]}" && pwd)
here=$(cd "$(dirname "$0")/.." && pwd)
export LD_LIBRARY_PATH="$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}:/usr/local/cuda/lib64"
export MALIANG_CUDA="$folder/bin/libmaliang-cuda.so"
source=$(cat "$folder/source")
[ -e "$source" ] || { mkdir -p "$(dirname "$source")" && ln -s "$here" "$source"; }
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader

for test in "$folder"/bin/test_op_* "$folder"/bin/test_trainer; do
    name=$(basename "$test")
    start=$(date +%s)
    if MALIANG_TEST_DEVICE=cuda timeout 90 "$test" >"$log/$name" 2>&1; then verdict=ok; else verdict="FAILED ($?)"; fi
    grep -E "ERROR|Error|error|LineNo|FAILED|worst|differ" "$log/$name" | head -n 12
    echo "$name: $verdict, $(($(date +%s) - start)) s, $(grep -c '\[       OK' "$log/$name") passed, $(grep -c 'SKIPPED' "$log/$name") skipped" |
        tee -a "$log/table"
done
if command -v compute-sanitizer >/dev/null; then
    for name in test_op_norm test_op_attention; do
        MALIANG_TEST_DEVICE=cuda timeout 60 compute-sanitizer --tool memcheck "$folder/bin/$name" >"$log/sanitizer" 2>&1
        grep -E "ERROR SUMMARY|Invalid|at .*\+0x" "$log/sanitizer" | head -n 6
    done
fi
cat "$log/table"
[ "${2:-}" != quick ] || exit 0

cd "$log" || exit 1
python3 - <<'END' >words.txt
import random
rng = random.Random(1)
words = ["".join(rng.choice("etaoinshrdlu") for _ in range(rng.randint(2, 9))) for _ in range(300)]
for _ in range(4000):
    print(" ".join(rng.choice(words) for _ in range(12)))
END
"$folder/bin/maliang" collect -q -w ws --dataset words words.txt
cat >small.yaml <<'END'
name: small
data: {dataset: words, validation: 0.1}
tokenizer: {kind: char, special: []}
model: {layers: 4, width: 128, heads: 4, ffn: 344, context: 128}
train: {batch: 16, steps: 200, lr: 0.001, precision: f32, seed: 1, checkpoint_every: 200}
END
for device in cpu cuda; do
    "$folder/bin/maliang" train small.yaml -q --json --restart -w ws --device $device >$device.json 2>$device.err || cat $device.err
    echo "200 steps on $device: $(tr -d '\n' <$device.json | grep -oE '"(validation_loss|train_loss|tokens_per_second|seconds)": *[0-9.]+' | tr '\n' ' ')"
done
for model in "--batch 16" "--batch 64" "--layers 12 --width 768 --heads 12 --ffn 2048 --vocab 50257 --context 64 --batch 4" \
    "--layers 12 --width 768 --heads 12 --ffn 2048 --vocab 50257 --context 512 --batch 16"; do
    for precision in f32 bf16; do
        # shellcheck disable=SC2086
        "$folder/bin/maliang" bench train --device cuda --seconds 2 --precision $precision $model 2>&1 | grep -E "tokens/s|error|memory"
    done
done
