#!/bin/sh
# Puts gemm_peers with every library that it uses (OpenBLAS, oneDNN, OpenMP, the C library and its
# loader) into one folder that runs on another x86-64 Linux machine where nothing is installed:
#
#     bench/bundle_peers.sh FOLDER            here; BUILD names the build folder (default: build)
#     FOLDER/run.sh --threads 1               there; any option of gemm_peers
#
# The folder holds two files, run.sh and a compressed archive of 20 to 30 MB. ONEDNN=FILE takes
# another libdnnl of the same major version as the headers that the program was built with.
set -eu

folder=${1:?usage: bundle_peers.sh FOLDER}
build=${BUILD:-build}
ninja -C "$build" bench/gemm_peers >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder" "$work/peers"
cp "$build/bench/gemm_peers" "$work/peers/"
strip "$work/peers/gemm_peers"

openblas=$(ldconfig -p | sed -n 's/.*libopenblas\.so\.0 .*x86-64.* => //p' | head -n 1)
[ -z "$openblas" ] || cp -L "$openblas" "$work/peers/libopenblas.so.0"
for file in "$build/bench/gemm_peers" ${openblas:+"$openblas"}; do
    ldd "$file" | sed -n 's/^\t\(.* => \)\{0,1\}\(\/[^ ]*\) (0x.*/\2/p' | while read -r library; do
        cp -L "$library" "$work/peers/"
    done
done
[ -z "${ONEDNN:-}" ] || cp -L "$ONEDNN" "$work/peers/"

tar -C "$work" -czf "$folder/peers.tar.gz" peers
cat >"$folder/run.sh" <<'END'
#!/bin/sh
# Unpacks beside itself once, then runs gemm_peers with its own loader and libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ -d "$here/peers" ] || tar -C "$here" -xzf "$here/peers.tar.gz"
loader=$(echo "$here"/peers/ld-linux*.so.*)
exec "$loader" --library-path "$here/peers" "$here/peers/gemm_peers" "$@"
END
chmod +x "$folder/run.sh"
du -sh "$folder"
