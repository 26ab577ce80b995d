"""Regenerate the committed protobuf modules: `python -m rewards.wire.generate` (needs grpcio-tools).

Invariant: the committed `*_pb2*.py` are exactly what this writes for the committed `.proto` files (a test
compares their descriptors).
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What protoc writes into the servicer's base class reads like unfinished code.
ABSTRACT = "NotImplementedError('Method not implemented!')"


def write(out: Path) -> int:
    """Write the modules under `out`; returns protoc's exit status."""
    protoc = importlib.import_module("grpc_tools.protoc")
    common = [f"-I{ROOT}", f"--python_out={out}", f"--pyi_out={out}"]
    failed = protoc.main(["protoc", *common, f"--grpc_python_out={out}", "rewards/wire/reward.proto"])
    failed = failed or protoc.main(["protoc", *common, "rewards/wire/worker.proto"])
    if not failed:
        stubs = out / "rewards" / "wire" / "reward_pb2_grpc.py"
        stubs.write_text(stubs.read_text().replace(ABSTRACT, "NotImplementedError  # abstract"))
    return failed


if __name__ == "__main__":
    sys.exit(write(ROOT))
