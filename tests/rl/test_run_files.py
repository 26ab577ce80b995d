"""Run directory, registry and metrics log: small files that outlive a killed writer."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from rl.metrics_log import MetricsLog, MetricsReader
from rl.run_directory import RunDirectory, atomic_write, list_runs
from rl.run_registry import EventKind, Phase, RunRegistry


def test_runs_are_listed_by_what_they_hold(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "b")
    RunDirectory.create(tmp_path / "a")
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.txt").write_text("x")
    assert [run.name for run in list_runs(tmp_path)] == ["a", "b"]
    assert list_runs(tmp_path / "absent") == []
    with pytest.raises(FileNotFoundError, match="is no run"):
        RunDirectory.existing(tmp_path / "notes")
    with pytest.raises(ValueError, match="does not fit a URL"):
        RunDirectory.create(tmp_path / "run with spaces")


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def killed_half_way() -> None:
        with atomic_write(path) as file:
            file.write(b"half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        killed_half_way()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_registry_keeps_state_events_and_facts(tmp_path: Path) -> None:
    writer = RunRegistry(tmp_path / "run")
    assert writer.state() is None
    writer.set_state(Phase.TRAINING, 3, 10, "learning")
    writer.add_event(EventKind.INFO, "first")
    writer.add_event(EventKind.ALERT, "second")
    writer.set_fact("clip_stores", ["a", "b"])
    reader = RunRegistry(tmp_path / "run", read_only=True)
    state = reader.state()
    assert state is not None
    assert (state.phase, state.step, state.total, state.message) == (Phase.TRAINING, 3, 10, "learning")
    assert [event.text for event in reader.events()] == ["second", "first"]
    assert [event.text for event in reader.events(limit=1)] == ["second"]
    assert reader.facts() == {"clip_stores": ["a", "b"]}
    with pytest.raises(ValueError, match="asleep"):
        writer.set_state("asleep", 3, 10)  # type: ignore[arg-type]


def test_a_reader_of_the_registry_cannot_write(tmp_path: Path) -> None:
    RunRegistry(tmp_path / "run").set_state(Phase.STARTING, 0, None)
    reader = RunRegistry(tmp_path / "run", read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.add_event(EventKind.NOTE, "no")
    with pytest.raises(FileNotFoundError, match="has not started"):
        RunRegistry(tmp_path / "other", read_only=True)
    assert not (tmp_path / "other").exists()


def test_metrics_are_followed_as_they_grow(tmp_path: Path) -> None:
    log, reader = MetricsLog(tmp_path), MetricsReader(tmp_path)
    assert reader.read() == {}
    log.append(1, {"loss": 0.5})
    log.append(1, {"kl": 0.1})
    assert reader.read() == {"loss": {1: 0.5}, "kl": {1: 0.1}}
    log.append(2, {"loss": float("nan"), "kl": 0.2})
    assert reader.read() == {"loss": {1: 0.5, 2: None}, "kl": {1: 0.1, 2: 0.2}}
    assert reader.nonfinite == {"loss": [2]}


def test_discarded_metrics_are_forgotten_by_a_follower(tmp_path: Path) -> None:
    log, reader = MetricsLog(tmp_path), MetricsReader(tmp_path)
    for step in range(1, 6):
        log.append(step, {"loss": float(step)})
    assert len(reader.read()["loss"]) == 5
    assert log.discard_after(3) == 2
    log.append(4, {"loss": 40.0})
    assert reader.read() == {"loss": {1: 1.0, 2: 2.0, 3: 3.0, 4: 40.0}}


def test_a_torn_line_is_not_read_and_is_cut_on_reopening(tmp_path: Path) -> None:
    MetricsLog(tmp_path).append(1, {"loss": 0.5})
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step":2,"tim')
    assert MetricsReader(tmp_path).read() == {"loss": {1: 0.5}}
    MetricsLog(tmp_path).append(2, {"loss": 0.25})
    assert MetricsReader(tmp_path).read() == {"loss": {1: 0.5, 2: 0.25}}
    path.write_bytes(whole + b"not json\n")
    with pytest.raises(ValueError, match="delete that line"):
        MetricsReader(tmp_path).read()
