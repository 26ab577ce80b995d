"""Regenerate the committed protobuf modules: `python -m rewards.wire.generate` (needs grpcio-tools).

Invariant: the committed `*_pb2*.py` are exactly what this prints for the committed `.proto` files; a test
compares them by descriptor.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def main() -> int:
    """Write the modules beside the .proto files; returns protoc's exit status."""
    protoc = importlib.import_module("grpc_tools.protoc")
    common = [f"-I{ROOT}", f"--python_out={ROOT}", f"--pyi_out={ROOT}"]
    public = protoc.main(["protoc", *common, f"--grpc_python_out={ROOT}", "rewards/wire/reward.proto"])
    return public or protoc.main(["protoc", *common, "rewards/wire/worker.proto"])


if __name__ == "__main__":
    sys.exit(main())
