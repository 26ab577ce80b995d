"""How fast and how lean PhysicalAI-AV recordings are read.

`python -m benchmarks.physical_ai` prints, each in a process of its own so that memory is the reader's alone:

1. index: a data set of 10,000 recordings (index files whole, chunks absent) opened, reasoning events included;
2. read: a miniature data set read to clips, without images and with four cameras x four frames of 576x320, its
   videos at --width x --height.

Needs PyAV. --data reads a data set of yours instead of a miniature.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from scenes.cameras import default_rig
from scenes.physical_ai import PhysicalAI, ReadReport
from scenes.physical_ai.miniature import Miniature, write_miniature
from scenes.physical_ai.writer import IndexedClip, write_index

GOAL_S = 1.0
EVENTS_OF = 4
"""One recording in so many has reasoning events in the index that is opened."""


def memory_mib() -> float:
    """Largest resident memory of this program so far, MiB (getrusage would count the parent's too)."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024.0


def open_index(root: Path) -> dict[str, float]:
    """Seconds and memory of opening a data set."""
    before, began = memory_mib(), time.perf_counter()
    data = PhysicalAI(root)
    events = sum(map(len, data.reasoning.events.values()))
    seconds = time.perf_counter() - began
    return {"clips": len(data.index), "events": events, "seconds": seconds, "mib": memory_mib() - before}


def read_all(root: Path, images: bool) -> dict[str, float]:
    """Seconds, clips, bytes and memory of reading every recording once."""
    rig = default_rig(frames=4, width=576, height=320) if images else None
    report = ReadReport()
    data = PhysicalAI(root)
    before, cpu, began = memory_mib(), time.process_time(), time.perf_counter()
    size = sum(
        clip.cameras.frames.nbytes if clip.cameras else 0 for clip in data.read(rig=rig, report=report)
    )
    return {
        "clips": report.read,
        "refused": report.refused,
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "image_mib": size / 2**20,
        "mib": memory_mib(),
        "above_start_mib": memory_mib() - before,
        "worst_m": report.worst_m,
    }


PARTS = {
    "index": open_index,
    "motion": lambda root: read_all(root, False),
    "images": lambda root: read_all(root, True),
}


def apart(part: str, root: Path) -> dict[str, float]:
    """A part's figures from a process of its own."""
    words = [sys.executable, "-m", "benchmarks.physical_ai", "--part", part, "--data", str(root)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=1800.0)
    return dict(json.loads(done.stdout))


def told(title: str, figures: dict[str, float]) -> None:
    """Print one reading's figures."""
    clips, seconds = figures["clips"], figures["seconds"]
    print(
        f"{title:24} {clips:5.0f} clips in {seconds:7.2f} s: {clips / seconds:7.1f} clips/s wall,"
        f" {clips / figures['cpu_s']:7.1f} clips/s of processor time; {figures['mib']:.0f} MiB at most,"
        f" {figures['above_start_mib']:.0f} MiB above start; worst motion error {figures['worst_m']:.3f} m,"
        f" {figures['refused']:.0f} refused"
    )


def main(
    part: Annotated[
        str | None, typer.Option(help="Print one part's figures as JSON (used by the benchmark).")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="A data set to read instead of a miniature.")] = None,
    indexed: Annotated[int, typer.Option(help="Recordings of the index that is opened.")] = 10_000,
    clips: Annotated[int, typer.Option(help="Recordings of the miniature.")] = 4,
    width: Annotated[int, typer.Option(help="Width of its videos.")] = 1920,
    height: Annotated[int, typer.Option(help="Height of its videos.")] = 1080,
    rounds: Annotated[int, typer.Option(help="Times the index is opened.")] = 5,
) -> None:
    """Print the figures."""
    if part is not None:
        assert data is not None
        print(json.dumps(PARTS[part](data)))
        return
    folder = Path(tempfile.mkdtemp(prefix="ar1-benchmark-"))
    try:
        event = {
            "event_start_timestamp": 5_100_000,
            "cot": "Keep the lane and the speed since the road is clear.",
        }
        entries = [
            IndexedClip(
                f"{i:08x}-0000-4000-8000-000000000000", i // 100, events=(event,) * 2 * (i % EVENTS_OF == 0)
            )
            for i in range(indexed)
        ]
        write_index(folder / "index", entries)
        opened = [apart("index", folder / "index") for _ in range(rounds)]
        seconds = sorted(figures["seconds"] for figures in opened)
        print(
            f"index of {opened[0]['clips']:,.0f} recordings with {opened[0]['events']:,.0f} events: opened in"
            f" {seconds[len(seconds) // 2]:.3f} s (median; {seconds[0]:.3f} to {seconds[-1]:.3f}),"
            f" goal {GOAL_S:g} s; {opened[0]['mib']:.0f} MiB"
        )
        if data is None:
            data = folder / "data"
            shrink = max(1, width // 480)
            write_miniature(data, Miniature(clips, 2, 2, width, height, shrink=shrink))
            size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
            print(f"miniature: {clips} recordings, videos of {width}x{height}, {size / 2**20:.1f} MiB")
        told("motion, no images", apart("motion", data))
        told("4 cameras x 4 frames", apart("images", data))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
