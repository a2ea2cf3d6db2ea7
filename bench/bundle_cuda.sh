#!/bin/sh
# Puts the program, the CUDA module, the tests that run on a GPU and every library that they use,
# except CUDA's and the C library, into one folder for a machine with a GPU where nothing is
# installed:
#
#     bench/bundle_cuda.sh FOLDER             here; BUILD names the build folder (default: build)
#     bench/cuda.sh FOLDER                    there, in a checkout of the same sources
set -eu

folder=${1:?usage: bundle_cuda.sh FOLDER}
build=${BUILD:-build}
mkdir -p "$folder/bin" "$folder/lib"
cp "$build/cli/maliang" "$build/src/cuda/libmaliang-cuda.so" "$folder/bin/"
cp "$build"/tests/tensor/test_op_* "$build/tests/train/test_trainer" "$folder/bin/" 2>/dev/null || true
rm -rf "$folder"/bin/*.p
strip "$folder"/bin/*
for file in "$folder"/bin/*; do
    ldd "$file" | sed -n 's/^\t.* => \(\/[^ ]*\) (0x.*/\1/p' | while read -r library; do
        case $library in
        */libc.so* | */libm.so* | */libcublas* | */libcuda* | */libstdc++* | */libgcc_s* | */libdl* | */libpthread* | */librt*) ;;
        *) cp -L "$library" "$folder/lib/" ;;
        esac
    done
done
# Where the tests look for their golden vectors: the sources' folder when they were built.
git rev-parse --show-toplevel >"$folder/source"
du -sh "$folder"
