#!/usr/bin/env bash
# Make .venv from requirements.lock. Needs git, make and any Python 3.9+; uv is installed into .tools/.
#   scripts/setup.sh            run time only (what `make backtest` needs)
#   scripts/setup.sh dev        + test and lint tools
#   scripts/setup.sh all        + training (torch; several GB on Linux x86-64)
#   scripts/setup.sh services   Debian packages the page and cache tests use (redis-server, chromium)
set -euo pipefail
cd "$(dirname "$0")/.."
what="${1:-run}"
export UV_COMPILE_BYTECODE=1 UV_PYTHON_PREFERENCE=system

if [ "$what" = services ]; then
    command -v apt-get >/dev/null || { echo "setup: no apt-get here; install redis and chromium with your package manager"; exit 0; }
    missing=()
    command -v redis-server >/dev/null || missing+=(redis-server)
    command -v chromium >/dev/null || missing+=(chromium)
    if [ -n "${BETA_CI:-}" ]; then # only CI rebuilds the kernel (scripts/build_kernel.sh)
        [ -d /usr/lib/rustlib/wasm32-unknown-unknown ] || missing+=(rustc libstd-rust-dev-wasm32)
        command -v wasm-ld >/dev/null || missing+=(lld)
    fi
    [ ${#missing[@]} -eq 0 ] && exit 0
    sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "${missing[@]}" >/dev/null
    exit 0
fi

if [ "$(uname -s) $(uname -m)" = "Darwin x86_64" ]; then
    echo "setup: the engine has no build for Intel Macs"
    echo "  seen: $(uname -s) $(uname -m)"
    echo "  mend: on Apple silicon use a native terminal (arch -arm64 bash), else a Linux machine or container"
    exit 4
fi

uv_bin() { [ -x .tools/bin/uv ] && echo .tools/bin/uv || true; }
if [ -z "$(uv_bin)" ]; then
    py=""
    for c in python3.13 python3.14 python3 python; do
        command -v "$c" >/dev/null 2>&1 && "$c" -c 'import sys; sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1 && { py="$c"; break; }
    done
    [ -n "$py" ] || { echo "setup: no Python 3.9+ on PATH; install one, then run this again"; exit 4; }
    "$py" -m venv .tools
    .tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==0.13.8"
fi
uv="$(uv_bin)"
[ -x .venv/bin/python ] || "$uv" venv --quiet --python "$(cat .python-version)" .venv

have="$(cat .venv/.beta-extras 2>/dev/null || echo none)"
stamp="$(cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)"
case "$what:$have" in
    *":all-$stamp" | "dev:dev-$stamp" | "run:dev-$stamp" | "run:run-$stamp") exit 0 ;;
esac
extras=()
[ "$what" = dev ] && extras=(--extra test --extra visualization --extra polymarket)
[ "$what" = all ] && extras=(--extra test --extra visualization --extra polymarket --extra train)
mkdir -p .tools
lock=".tools/requirements.$what.txt"
# The subset of the lock that these extras need: resolved against the lock as constraints, hashes kept.
"$uv" pip compile pyproject.toml --python .venv/bin/python --quiet --no-header --no-emit-index-url \
    --generate-hashes ${extras[@]+"${extras[@]}"} --constraint requirements.lock -o "$lock" >/dev/null
"$uv" pip sync --quiet --python .venv/bin/python --require-hashes "$lock"
"$uv" pip install --quiet --python .venv/bin/python --no-deps --editable .
echo "$what-$stamp" > .venv/.beta-extras
echo "setup: .venv ready ($what, $(grep -c '==' "$lock") packages)"
