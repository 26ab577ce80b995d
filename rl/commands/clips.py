"""`ar1 clips`: recordings as clip stores, and miniature data sets to try that on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rl.commands.console import console, print_json

if TYPE_CHECKING:
    from scenes.cameras import CameraRig
    from scenes.physical_ai import PhysicalAI, ReadReport
    from scenes.physical_ai.moments import Decisions

app = typer.Typer(no_args_is_help=True, help=__doc__)
Root = Annotated[Path, typer.Argument(help="Folder of a PhysicalAI-AV data set: the one with features.csv.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]


@app.command("write-physical-ai")
def write_physical_ai(
    out: Annotated[Path, typer.Argument(help="Folder that the data set is written into.")],
    clips: Annotated[int, typer.Option(help="Recordings of 20 s.")] = 8,
    moments: Annotated[int, typer.Option(help="Reasoning events of each, 1 or 2.")] = 2,
    chunk_size: Annotated[int, typer.Option(help="Recordings a chunk.")] = 4,
    width: Annotated[int, typer.Option(help="Width of the videos, pixels.")] = 480,
    height: Annotated[int, typer.Option(help="Height of the videos, pixels.")] = 270,
    frames: Annotated[int, typer.Option(help="Pictures drawn before each event; the rest stands still.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the procedural world.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write a miniature data set in the PhysicalAI-AV layout, driven and drawn by the procedural world.

    Real mp4 in zip chunks, real parquet labels, sentences that are true of what is seen. Run it again to go on
    where it stopped.

      ar1 clips write-physical-ai data/miniature --clips 8
    """
    from scenes.physical_ai.miniature import Miniature, write_miniature

    settings = Miniature(clips, moments, chunk_size, width, height, frames, seed=seed)
    with _bar("recordings", clips) as advance:
        write_miniature(out, settings, advance)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if as_json:
        print_json({"data": str(out), "clips": clips, "chunks": settings.chunks, "bytes": size})
    else:
        console.print(f"{out}: {clips} recordings in {settings.chunks} chunks, {size / 1e6:.1f} MB")


@app.command()
def inspect(root: Root, as_json: AsJson = False) -> None:
    """Say what a data set's index holds, without opening a chunk.

    ar1 clips inspect data/miniature
    """
    from scenes.physical_ai import PhysicalAI

    began = time.perf_counter()
    data = PhysicalAI(root)
    seconds = time.perf_counter() - began
    told = {
        "clips": len(data.index),
        "chunks": len(set(data.index.chunks.tolist())),
        "splits": dict(Counter(data.index.splits or ())),
        "features": sorted(data.index.features),
        "clips_with_reasoning": sum(bool(events) for events in data.reasoning.events.values()),
        "events": sum(map(len, data.reasoning.events.values())),
        "unusable": len(data.index.refused) + len(data.reasoning.problems),
        "open_s": round(seconds, 3),
    }
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        console.print(f"{name:22} {value}")


@app.command()
def read(
    root: Root,
    store: Annotated[Path, typer.Option(help="Clip store to write.")],
    policy: Annotated[
        Path | None, typer.Option(help="Policy folder whose cameras and image size are taken.")
    ] = None,
    frames: Annotated[int, typer.Option(help="Frames of each camera, 0.1 s apart.")] = 4,
    width: Annotated[int, typer.Option(help="Width of the images, pixels.")] = 576,
    height: Annotated[int, typer.Option(help="Height of the images, pixels.")] = 320,
    split: Annotated[str | None, typer.Option(help="Only recordings of this split.")] = None,
    most: Annotated[int | None, typer.Option(help="At most so many recordings.")] = None,
    labelled_only: Annotated[
        bool, typer.Option("--labelled-only", help="Leave out recordings without a reasoning event.")
    ] = False,
    t0: Annotated[
        list[float] | None, typer.Option(help="Moments (s) of recordings without an event; 5.1 by default.")
    ] = None,
    limit_m: Annotated[float, typer.Option(help="Largest position error of the motion fit, m.")] = 0.5,
    processes: Annotated[int, typer.Option(help="Chunks read at once.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Read a PhysicalAI-AV data set into a clip store: every reasoning event becomes a clip.

    What is corrupt, missing or cannot be driven is named in the store's report.json and summed up here; the
    others are read. Run it again to go on where it stopped.

      ar1 clips read data/physical_ai --store runs/clips/pai --policy runs/quickstart/policy
    """
    from scenes.physical_ai import DatasetError, PhysicalAI, ReadChoice
    from scenes.physical_ai.ingest import Ingest, ingest

    choice = ReadChoice(labelled_only=labelled_only, limit_m=limit_m)
    if t0:
        choice = ReadChoice(tuple(t0), labelled_only, limit_m)
    plan = Ingest(root, store, _rig(policy, frames, width, height), choice, parsed_decisions)
    data = PhysicalAI(root, choice, parsed_decisions)
    clip_ids = (data.index.clip_ids if split is None else data.index.of_split(split))[:most]
    if not clip_ids:
        raise DatasetError(f"{root} has no recording to read")
    with _bar("recordings", len(clip_ids)) as advance:
        report = ingest(plan, data, clip_ids, processes, lambda count, _: advance(count))
    _tell(report, store, data, as_json)


def parsed_decisions(text: str) -> Decisions:
    """Decisions that the rules read out of a sentence, None on an axis where they find none."""
    from rewards.intent import parse_intent

    intent = parse_intent(text)
    return intent.longitudinal, intent.lateral, intent.direction


def _rig(policy: Path | None, frames: int, width: int, height: int) -> CameraRig:
    from scenes.cameras import default_rig

    if policy is None:
        return default_rig(frames=frames, width=width, height=height)
    from policy.spec import PolicySpec

    cameras = PolicySpec.load(policy).cameras
    return default_rig(cameras.names, cameras.frames, cameras.width, cameras.height)


def _tell(report: ReadReport, store: Path, data: PhysicalAI, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "store": str(store),
                "recordings": len(data.index),
                "clips": report.read,
                "refused": report.refused,
                "worst_error_m": report.worst_m,
                "reasons": dict(report.reasons()),
            }
        )
        return
    console.print(f"{store}: {report.read} clips, worst position error {report.worst_m:.3f} m")
    for reason, count in report.reasons().most_common(10):
        console.print(f"{count:6}  {reason}", highlight=False, markup=False)
    if report.refused:
        console.print(f"each with its clip in {store / 'report.json'}")


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
