"""Memory of converting a sharded release: streamed, and as converters usually do it (all weights in memory).

    python -m benchmarks.checkpoint_memory --hidden 1024 --layers 8 --shards 5

Builds a random release of that size, converts it to a policy folder in one process each way, and prints peak
resident memory above the process's own start, seconds, and the promise: one shard plus the largest tensor.
The reference reads every shard with the library, renames, and writes one file; it makes no tokenizer or
configuration and checks nothing. Linux only (peak from /proc).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from policy.checkpoint import open_checkpoint
from policy.release.compose import ExpertSize
from policy.release.sample import SampleSize, build_sample

MEASURE = """
import json, sys, time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import policy.embedded
from policy.checkpoint import open_checkpoint
from policy.checkpoint_convert import to_policy
from policy.release.policy_spec import PolicyOptions
from policy.release.sample import SMALL_CAMERAS

way, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])


def peak():
    # Not getrusage: its figure survives exec, and would be the parent's.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before, began = peak(), time.perf_counter()
if way == "streamed":
    to_policy(open_checkpoint(source), out, PolicyOptions(SMALL_CAMERAS))
else:
    tensors = {}
    for file in sorted(source.glob("*.safetensors")):
        tensors |= load_file(file)
    out.mkdir()
    renamed = {k.removeprefix("vlm."): v for k, v in tensors.items() if k.startswith("vlm.")}
    save_file(renamed, out / "model.safetensors", metadata={"format": "pt"})
print(json.dumps({"start_mib": before, "above_mib": peak() - before, "s": time.perf_counter() - began}))
"""
MIB = 1 << 20


def main() -> None:
    """Build, convert both ways, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--shards", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        root = Path(name)
        expert = ExpertSize(hidden=given.hidden // 2, feed_forward=2 * given.hidden, heads=4)
        size = SampleSize(
            hidden=given.hidden,
            feed_forward=3 * given.hidden,
            layers=given.layers,
            heads=8,
            kv_heads=2,
            expert=expert,
        )
        release = build_sample(root, size, shards=given.shards).release
        opened = open_checkpoint(release)
        shard = max(header.size for header in opened.shards[0].headers.values()) / MIB
        largest = max(tensor.nbytes for tensor in opened.tensors.values()) / MIB
        total = sum(tensor.nbytes for tensor in opened.tensors.values()) / MIB
        print(
            f"{total:.0f} MiB in {given.shards} shards; largest shard {shard:.0f}, largest tensor {largest:.0f} MiB"
        )
        print(
            f"promise: at most one shard plus the largest tensor: {shard + largest:.0f} MiB above the start"
        )
        for way in ("streamed", "in memory"):
            command = [sys.executable, "-c", MEASURE, way, str(release), str(root / way.replace(" ", "-"))]
            done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=True)
            row = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{way}: {row['above_mib']:.0f} MiB above {row['start_mib']:.0f} MiB at the start, {row['s']:.1f} s"
            )


if __name__ == "__main__":
    main()
