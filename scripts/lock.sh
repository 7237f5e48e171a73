#!/usr/bin/env bash
# Re-resolve every extra together and write requirements.lock (hashes, no index named).
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .tools/bin/uv ] || python3 -m venv .tools && .tools/bin/python -m pip install --quiet "uv==0.13.8"
uv=.tools/bin/uv
"$uv" pip compile pyproject.toml --universal --python-version 3.13 \
    --extra visualization --extra train --extra polymarket --extra test \
    --generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock "$@"
echo "requirements.lock: $(grep -c '==' requirements.lock) packages"
