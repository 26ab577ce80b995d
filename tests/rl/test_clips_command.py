"""`ar1 clips` from the shell: write a miniature, inspect it, read it into a store, interrupted and again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="videos need PyAV: pip install 'ar1-rl[physical-ai]'")

from typer.testing import CliRunner

from rl.commands import clips
from scenes.decisions import Lateral, Longitudinal
from scenes.physical_ai import DatasetError
from scenes.physical_ai.layout import INDEX_FILE
from scenes.store import ClipStore

SMALL = ("--clips", 3, "--chunk-size", 1, "--width", 128, "--height", 80, "--frames", 2)
IMAGES = ("--frames", 2, "--width", 64, "--height", 48)


def run(*words: object) -> str:
    result = CliRunner().invoke(clips.app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips") / "data"
    told = json.loads(run("write-physical-ai", root, *SMALL, "--json"))
    assert (told["clips"], told["chunks"]) == (3, 3)
    return root


def test_inspect_counts_what_the_index_holds(data: Path) -> None:
    told = json.loads(run("inspect", data, "--json"))
    assert (told["clips"], told["chunks"], told["events"], told["unusable"]) == (3, 3, 6, 0)
    assert told["splits"] == {"train": 3}


def test_every_event_lands_in_the_store_with_its_decisions(data: Path, tmp_path: Path) -> None:
    told = json.loads(run("read", data, "--store", tmp_path / "store", *IMAGES, "--json"))
    assert (told["clips"], told["refused"], told["reasons"]) == (6, 0, {})
    store = ClipStore.open(tmp_path / "store")
    assert len(store) == 6
    assert store[0].cameras is not None
    assert store[0].cameras.frames.shape == (4, 2, 48, 64, 3)
    for clip in store:
        assert clip.label is not None
        assert isinstance(clip.label.longitudinal, Longitudinal)
        assert isinstance(clip.label.lateral, Lateral)
    with pytest.raises(DatasetError, match="exists"):
        run("read", data, "--store", tmp_path / "store", *IMAGES)


def test_an_interrupted_read_goes_on_and_gives_the_same_store(data: Path, tmp_path: Path) -> None:
    whole, again = tmp_path / "whole", tmp_path / "again"
    run("read", data, "--store", whole, *IMAGES)
    last = next(data.glob("labels/egomotion/*chunk_0002.zip"))
    aside = last.rename(data / "aside")
    run("read", data, "--store", again, *IMAGES)
    short = ClipStore.open(again)
    assert len(short) == 4
    report = json.loads((again / "report.json").read_text())
    assert [entry["status"] for entry in report] == ["read"] * 4 + ["refused"]
    assert "egomotion.chunk_0002.zip is not there" in report[-1]["reason"]
    aside.rename(last)

    parts = tmp_path / ".third.parts"
    stops = iter((None, KeyboardInterrupt()))

    def stop(_count: int, _report: object) -> None:
        error = next(stops)
        if error is not None:
            raise error

    from scenes.cameras import default_rig
    from scenes.physical_ai import PhysicalAI, ReadChoice
    from scenes.physical_ai.ingest import Ingest, ingest

    rig = default_rig(frames=2, width=64, height=48)
    plan = Ingest(data, tmp_path / "third", rig, ReadChoice(), clips.parsed_decisions)
    source = PhysicalAI(data, plan.choice, plan.parser)
    with pytest.raises(KeyboardInterrupt):
        ingest(plan, source, source.index.clip_ids, progress=stop)
    assert sorted(path.name for path in parts.glob("chunk_*.json")) == ["chunk_0000.json", "chunk_0001.json"]
    with pytest.raises(DatasetError, match="begun with other settings"):
        run("read", data, "--store", tmp_path / "third", *IMAGES, "--most", 2)
    stamp = (parts / "chunk_0001.json").stat().st_mtime_ns
    ingest(plan, source, source.index.clip_ids, progress=lambda *_: check(parts, stamp))
    first, third = ClipStore.open(whole), ClipStore.open(tmp_path / "third")
    assert first.ids == third.ids
    np.testing.assert_array_equal(first.frames[:], third.frames[:])
    assert not parts.exists()


def check(parts: Path, stamp: int) -> None:
    assert (parts / "chunk_0001.json").stat().st_mtime_ns == stamp


@pytest.mark.process
@pytest.mark.slow
def test_processes_give_the_same_store(data: Path, tmp_path: Path) -> None:
    run("read", data, "--store", tmp_path / "one", *IMAGES)
    run("read", data, "--store", tmp_path / "two", *IMAGES, "--processes", 2)
    one, two = ClipStore.open(tmp_path / "one"), ClipStore.open(tmp_path / "two")
    assert one.ids == two.ids
    np.testing.assert_array_equal(one.frames[:], two.frames[:])


def test_nothing_to_read_is_an_error_with_its_reasons(data: Path, tmp_path: Path) -> None:
    words = ("read", data, "--store", tmp_path / "none", *IMAGES, "--limit-m", 1e-9)
    with pytest.raises(DatasetError, match=r"no clip of .* could be read: 6 x refused: position error"):
        run(*words)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="is not a PhysicalAI-AV data set"):
        run("inspect", tmp_path / "empty")
    assert (data / INDEX_FILE).exists()
