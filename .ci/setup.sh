#!/usr/bin/env bash
# Makes .venv/ with everything the project runs on, and .venv/bin/ar1. A second run with nothing changed returns at
# once. CPU by default; where a CUDA driver answers, the CUDA builds of torch and vLLM are installed instead.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=cpu
if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1; then kind=cuda; fi
lock=configs/locks/embedded.txt
stamp=.venv/.setup-$(cat pyproject.toml "$lock" .ci/setup.sh .ci/torchvision_ops.py | sha256sum | cut -c1-16)-$kind
if [ -f "$stamp" ] && [ -x .venv/bin/ar1 ]; then exit 0; fi

python=${PYTHON:-python3}
"$python" - <<'PY' || exit 1
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"error: Python 3.11 to 3.13 is needed, {sys.version.split()[0]} found; set PYTHON=/path/to/python3.11")
PY
echo "setting up .venv ($kind); the first time takes about two minutes"
# The environment is made aside and renamed, so that an interrupted set-up is never mistaken for a finished one.
rm -rf .venv
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --upgrade uv
uv() { .venv/bin/python -m uv "$@"; }

# uv does not read pip's configuration; hand over where pip is told to look for wheels and indexes.
# Bytecode is made now: where PYTHONDONTWRITEBYTECODE is set, every start of a process would compile it again.
options=()
links=${PIP_FIND_LINKS:-$(.venv/bin/python -m pip config get global.find-links 2>/dev/null || true)}
for link in $links; do options+=(--find-links "$link"); done
index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
if [ -n "$index" ]; then options+=(--index-url "$index"); fi

if [ "$kind" = cpu ]; then
  # A CPU wheel of torch beside pip's other wheels, else the one from PyTorch's own CPU index.
  backend=()
  if ! .venv/bin/python -m pip download --quiet --no-deps --dest "$(mktemp -d)" "torch==2.13.0+cpu" >/dev/null 2>&1; then
    backend=(--torch-backend cpu)
  fi
  uv pip install --quiet --compile-bytecode --python .venv/bin/python "${options[@]}" "${backend[@]}" --no-deps -r "$lock"
else
  uv pip install --quiet --compile-bytecode --python .venv/bin/python "${options[@]}" -e ".[cluster,dev]"
fi
uv pip install --quiet --python .venv/bin/python --no-deps -e .

# PyPI's torchvision cannot load its operators beside a CPU torch; see .ci/torchvision_ops.py.
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp .ci/torchvision_ops.py "$site/ar1_torchvision_ops.py"
echo 'import ar1_torchvision_ops; ar1_torchvision_ops.install()' > "$site/ar1_torchvision_ops.pth"
.venv/bin/python -c 'import torchvision, vllm, trl, ray, grpc' 2>/dev/null || {
  echo "error: the environment does not import; run .venv/bin/python -c 'import torchvision, vllm, trl, ray, grpc'" >&2
  exit 1
}
touch "$stamp"
