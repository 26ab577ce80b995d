"""What sharing a clip among its group saves: the prefetcher against loading the clip for every sample.

`python -m benchmarks.prefetch` writes a miniature PhysicalAI-AV data set and a small policy folder with the
release's cameras (4 x 4 frames of 576x320), then loads the same groups both ways in turn. Naive: every one of the G
samples decodes and preprocesses its clip, as a plain data loader does. Prefetcher: groups are asked for ahead,
decoded and preprocessed once in --workers processes, and every sample maps the result. Both sides touch every
byte they get. Prints seconds, processor seconds of all processes, their ratio, and the memory shared. Needs PyAV.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer

from policy.clip_inputs import ClipInputs
from policy.embedded import build_embedded
from policy.spec import CameraSpec, EmbeddedSize, FutureSpec, HistorySpec, PromptSpec
from scenes.physical_ai import PhysicalAI
from scenes.physical_ai.miniature import Miniature, write_miniature
from scenes.prefetch import Prefetcher

WAIT_S = 600.0


def touch(arrays: Mapping[str, np.ndarray]) -> int:
    """Read every byte once, as a consumer does; a number that depends on all of them but the last few."""
    total = 0
    for array in arrays.values():
        raw = array.reshape(-1).view(np.uint8)
        total ^= int(np.bitwise_xor.reduce(raw[: len(raw) // 8 * 8].view(np.uint64)))
    return total


def naive(load: ClipInputs, clip_ids: list[str], group: int) -> int:
    """Sum over all samples, each of which loads its clip."""
    return sum(touch(load(clip_id)) for clip_id in clip_ids for _ in range(group))


def shared(prefetcher: Prefetcher, clip_ids: list[str], group: int) -> int:
    """The same sum, clips loaded once and ahead."""
    prefetcher.prefetch(clip_ids)
    total = 0
    for clip_id in clip_ids:
        for _ in range(group):
            with prefetcher.get(clip_id, WAIT_S) as arrays:
                total += touch(arrays)
    return total


def cpu_s() -> float:
    """Processor seconds of this process and of its running children."""
    here = psutil.Process()
    times = [process.cpu_times() for process in (here, *here.children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)


def measured(work: Callable[[], int]) -> tuple[float, float, int]:
    """Wall seconds, processor seconds and result."""
    began, cpu = time.perf_counter(), cpu_s()
    result = work()
    return time.perf_counter() - began, cpu_s() - cpu, result


def prepare(folder: Path, recordings: int, width: int, height: int) -> tuple[ClipInputs, list[str]]:
    """Data set, policy folder and the loader over them."""
    write_miniature(
        folder / "data", Miniature(recordings, 2, recordings, width, height, shrink=max(1, width // 480))
    )
    build_embedded(
        folder / "policy",
        ["Keep the lane."],
        size=EmbeddedSize(),
        future=FutureSpec(),
        history=HistorySpec(),
        prompt=PromptSpec(),
        cameras=CameraSpec(),
        max_text=64,
        seed=0,
    )
    load = ClipInputs(folder / "policy", folder / "data", "physical_ai")
    load.warm()
    return load, [clip.clip_id for clip in PhysicalAI(folder / "data").read()]


def main(
    recordings: Annotated[int, typer.Option(help="Recordings, of two clips each.")] = 3,
    width: Annotated[int, typer.Option(help="Width of the videos.")] = 1920,
    height: Annotated[int, typer.Option(help="Height of the videos.")] = 1080,
    groups: Annotated[str, typer.Option(help="Group sizes, comma-separated.")] = "8,16",
    workers: Annotated[int, typer.Option(help="Loading processes.")] = 1,
) -> None:
    """Print one line a group size."""
    import torch

    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="ar1-benchmark-"))
    try:
        load, (spare, *clip_ids) = prepare(folder, recordings, width, height)
        touch(load(spare))
        print(
            f"{len(clip_ids)} clips, videos of {width}x{height}; {workers} loading process(es), one thread each"
        )
        for group in (int(word) for word in groups.split(",")):
            slow, slow_cpu, truth = measured(lambda group=group: naive(load, clip_ids, group))  # type: ignore[misc]
            with Prefetcher(load, workers) as prefetcher:
                prefetcher.get(spare, WAIT_S).release()  # Starting the processes is paid once a job.
                fast, fast_cpu, found = measured(lambda group=group: shared(prefetcher, clip_ids, group))  # type: ignore[misc]
                told = prefetcher.metrics()
            if found != truth:
                raise RuntimeError("the two sides gave different arrays")
            print(
                f"G={group:2}: naive {slow:6.2f} s ({slow_cpu:6.2f} cpu), prefetcher {fast:6.2f} s"
                f" ({fast_cpu:6.2f} cpu), {slow / fast:.1f} times ({slow_cpu / fast_cpu:.1f} in cpu);"
                f" loads {told['loads']:.0f} for {len(clip_ids) * group} samples,"
                f" {told['resident_bytes'] / 2**20:.1f} MiB shared"
            )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
