#!/usr/bin/env bash
# Fetch a second Rust compiler into .tools/rustc-web: Debian's rustc-web (years newer than rustc),
# unpacked beside the system, with `core` for wasm32 compiled from its own sources. About 140 MB
# and a minute. The kernel tests then demand that both compilers' kernels agree in every bit.
set -euo pipefail
cd "$(dirname "$0")/.."
home="$PWD/.tools/rustc-web"
[ -x "$home/rustc" ] && { "$home/rustc" --version; exit 0; }
command -v apt-get >/dev/null || { echo "second_toolchain: needs Debian's apt-get"; exit 4; }

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
(
    cd "$work"
    version="$(apt-cache policy rustc-web | sed -n 's/ *Candidate: //p')"
    minor="$(echo "$version" | cut -d. -f1,2)"
    llvm="$(apt-cache show "libstd-rust-web-$minor" | grep -o 'libllvm[0-9]*' | head -1)"
    apt-get download rustc-web rust-web-src "libstd-rust-web-$minor" libstd-rust-web-dev "$llvm" >/dev/null 2>&1
    for package in *.deb; do dpkg -x "$package" debs; done
)
mkdir -p "$home"
cp -r "$work/debs" "$home/debs"

cat > "$home/driver" <<EOS
#!/bin/sh
LD_LIBRARY_PATH="$home/debs/usr/lib/x86_64-linux-gnu" exec "$home/debs/usr/bin/rustc" "\$@"
EOS
chmod +x "$home/driver"

# `core` for wasm32 is not packaged: build it, and an empty compiler_builtins (the kernel needs none)
sources=("$home"/debs/usr/src/rustc-*/library)
target="$home/sysroot/lib/rustlib/wasm32-unknown-unknown/lib"
mkdir -p "$target"
flags=(--crate-type rlib --target wasm32-unknown-unknown -C opt-level=3 -C panic=abort --cap-lints allow --out-dir "$target")
export RUSTC_BOOTSTRAP=1
"$home/driver" --edition 2024 --crate-name core "${flags[@]}" "${sources[0]}/core/src/lib.rs"
cat > "$work/builtins.rs" <<'EOS'
#![no_std]
#![allow(internal_features)]
#![feature(compiler_builtins)]
#![compiler_builtins]
EOS
"$home/driver" --edition 2021 --crate-name compiler_builtins --sysroot "$home/sysroot" "${flags[@]}" "$work/builtins.rs"
rm -rf "$home"/debs/usr/src

cat > "$home/rustc" <<EOS
#!/bin/sh
case "\$1" in --version) exec "$home/driver" --version ;; esac
exec "$home/driver" --sysroot "$home/sysroot" "\$@"
EOS
chmod +x "$home/rustc"
"$home/rustc" --version
