#!/usr/bin/env bash
# Build signals/wasm/kernel.wasm from source with Debian's rustc and its wasm32 target.
#   scripts/build_kernel.sh            rebuild; record sha256 and tool version
#   scripts/build_kernel.sh --check    rebuild in a temporary folder; fail when the hash differs
#   scripts/build_kernel.sh --to FILE [--scalar]   build only, to a file
# Needs: apt-get install rustc libstd-rust-dev-wasm32 lld   (any rustc with wasm32 works for --to;
# RUSTC, RUSTC_SYSROOT and LINKER choose another toolchain).
set -euo pipefail
cd "$(dirname "$0")/.."
rustc="${RUSTC:-/usr/bin/rustc}"
folder=signals/wasm

[ -x "$rustc" ] || { echo "build_kernel: no rustc at $rustc"; echo "mend: apt-get install rustc libstd-rust-dev-wasm32 lld"; exit 4; }

build() { # build OUT [simd|scalar]
    local flags=(--edition 2021 --target wasm32-unknown-unknown --crate-type cdylib --crate-name beta_kernel
        -C opt-level=3 -C panic=abort -C strip=symbols -C codegen-units=1
        --remap-path-prefix "$PWD=."
        -C link-arg=-zstack-size=65536 -C link-arg=--stack-first -C link-arg=--export=__heap_base)
    [ "${2:-simd}" = simd ] && flags+=(-C target-feature=+simd128)
    [ -z "${RUSTC_SYSROOT:-}" ] || flags+=(--sysroot "$RUSTC_SYSROOT")
    [ -z "${LINKER:-}" ] || flags+=(-C "linker=$LINKER")
    "$rustc" "${flags[@]}" "$folder/src/lib.rs" -o "$1"
}

tool() { echo "$("$rustc" --version | cut -d' ' -f1,2), $(wasm-ld --version 2>/dev/null | grep -o 'LLD [0-9.]*' || echo 'LLD of rustc')"; }
digest() { sha256sum "$1" | cut -d' ' -f1; }

case "${1:-}" in
    --to)
        build "$2" "$([ "${3:-}" = --scalar ] && echo scalar || echo simd)"
        digest "$2"
        ;;
    --check)
        out="$(mktemp -d)"
        trap 'rm -rf "$out"' EXIT
        build "$out/kernel.wasm"
        want="$(cut -d' ' -f1 "$folder/kernel.sha256")"
        have="$(digest "$out/kernel.wasm")"
        [ "$want" = "$have" ] && { echo "kernel.wasm rebuilds to $have with $(tool)"; exit 0; }
        echo "kernel.wasm does not rebuild to the recorded hash"
        echo "seen: $have with $(tool); recorded: $(cat "$folder/kernel.sha256")"
        echo "mend: use the recorded tool, or run scripts/build_kernel.sh and commit the result"
        exit 1
        ;;
    "")
        build "$folder/kernel.wasm"
        echo "$(digest "$folder/kernel.wasm")  kernel.wasm  $(tool)" > "$folder/kernel.sha256"
        cat "$folder/kernel.sha256"
        ;;
    *)
        sed -n '2,7p' "$0"
        exit 2
        ;;
esac
