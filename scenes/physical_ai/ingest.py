"""From a data set to a clip store, chunk by chunk.

Role: what `ar1 clips read` runs. Invariants: an interrupted run goes on with the chunk it was at, and gives the
store that an uninterrupted one gives; the store is complete or absent; its report accounts for every clip.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from scenes.cameras import CameraRig
from scenes.physical_ai.errors import DatasetError
from scenes.physical_ai.moments import ReadChoice
from scenes.physical_ai.reader import DecisionParser, PhysicalAI
from scenes.physical_ai.report import ReadReport
from scenes.physical_ai.writer import write_whole
from scenes.store import ClipStoreWriter, merge_stores

REPORT_FILE = "report.json"


@dataclass(frozen=True)
class Ingest:
    """source: folder of the data set; store: where the clip store goes; rig: cameras, frames and image size;
    choice: what to read; parser: decisions out of sentences (a function of a module, so that processes can
    share it)."""

    source: Path
    store: Path
    rig: CameraRig
    choice: ReadChoice
    parser: DecisionParser | None = None

    @property
    def parts(self) -> Path:
        """Hidden folder of the finished chunks of an unfinished store."""
        return self.store.with_name(f".{self.store.name}.parts")

    def digest(self, clip_ids: Sequence[str]) -> str:
        """Sixteen hexadecimal digits of everything the store's content depends on, the files aside."""
        parser = None if self.parser is None else f"{self.parser.__module__}.{self.parser.__qualname__}"  # type: ignore[attr-defined]
        told = (str(self.source.resolve()), asdict(self.rig), asdict(self.choice), parser, list(clip_ids))
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def ingest(
    plan: Ingest,
    data: PhysicalAI,
    clip_ids: Sequence[str],
    processes: int = 1,
    progress: Callable[[int, ReadReport], None] | None = None,
) -> ReadReport:
    """Read these recordings of `data` (plan.source, opened) into plan.store.

    progress: called after each chunk with its number of recordings and its report. Raises DatasetError when
    the store exists, when an unfinished one was begun with other settings, or when no clip could be read."""
    if plan.store.exists():
        raise DatasetError(f"{plan.store} exists; choose another path or delete it first")
    _begin(plan, clip_ids)
    chunks = [
        (chunk, list(ids))
        for chunk, ids in groupby(sorted(clip_ids, key=data.index.chunk_of), data.index.chunk_of)
    ]
    reports: dict[int, ReadReport] = {}
    for chunk, ids, report in _run(plan, data, chunks, processes):
        reports[chunk] = report
        if progress is not None:
            progress(len(ids), report)
    whole = ReadReport()
    data.strays(whole)
    for chunk, _ in chunks:
        whole.entries += reports[chunk].entries
    stores = [path for chunk, _ in chunks if (path := _part_store(plan, chunk)).exists()]
    if not stores:
        reasons = "; ".join(f"{count} x {why}" for why, count in whole.reasons().most_common(3))
        raise DatasetError(f"no clip of {plan.source} could be read: {reasons or 'none was asked for'}")
    merge_stores(plan.store, stores)
    write_whole(plan.store / REPORT_FILE, json.dumps(whole.as_json(), indent=1).encode())
    shutil.rmtree(plan.parts)
    return whole


def read_report(store: Path) -> ReadReport:
    """The report that lies in a store. Raises FileNotFoundError for a store of another origin."""
    return ReadReport.from_json(json.loads((store / REPORT_FILE).read_text()))


def _begin(plan: Ingest, clip_ids: Sequence[str]) -> None:
    plan.parts.mkdir(parents=True, exist_ok=True)
    note, told = plan.parts / "digest", plan.digest(clip_ids)
    if note.exists() and note.read_text() != told:
        raise DatasetError(
            f"{plan.parts} was begun with other settings; delete it or repeat the same command"
        )
    write_whole(note, told.encode())


def _run(
    plan: Ingest, data: PhysicalAI, chunks: list[tuple[int, list[str]]], processes: int
) -> Iterator[tuple[int, list[str], ReadReport]]:
    """Each chunk as it is finished."""
    if processes == 1:
        for chunk, ids in chunks:
            yield chunk, ids, _part(plan, chunk, ids, data)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        jobs: dict[Future[ReadReport], tuple[int, list[str]]] = {
            pool.submit(_part, plan, chunk, ids): (chunk, ids) for chunk, ids in chunks
        }
        for job in as_completed(jobs):
            yield *jobs[job], job.result()


def _part_store(plan: Ingest, chunk: int) -> Path:
    return plan.parts / f"chunk_{chunk:04d}"


def _part(plan: Ingest, chunk: int, clip_ids: list[str], data: PhysicalAI | None = None) -> ReadReport:
    """Read one chunk into a store of its own, unless that was done before."""
    path = _part_store(plan, chunk)
    note = path.with_suffix(".json")
    if note.exists():
        return ReadReport.from_json(json.loads(note.read_text()))
    shutil.rmtree(path, ignore_errors=True)  # Finished, but interrupted before it was noted.
    data = PhysicalAI(plan.source, plan.choice, plan.parser) if data is None else data
    report, writer = ReadReport(), None
    try:
        for clip in data.read(clip_ids, plan.rig, report):
            writer = writer or ClipStoreWriter(path, plan.rig)
            writer.append(clip)
        if writer is not None:
            writer.close()
    except BaseException:
        if writer is not None:
            writer.discard()
        raise
    write_whole(note, json.dumps(report.as_json()).encode())
    return report
