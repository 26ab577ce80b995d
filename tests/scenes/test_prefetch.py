"""The prefetcher, with real processes: one load a clip, bounded memory, deadlines, deaths that cost one clip."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from prefetch_loads import Loads, NeverReady, expected

from scenes.prefetch import ClipFailedError, Prefetcher, PrefetchError, PrefetchTimeoutError
from scenes.prefetch.blocks import map_block, write_block
from scenes.prefetch.folder import PREFIX, new_folder
from scenes.prefetch.service import PrefetchClient, PrefetchService

KIB = 1024
WAIT_S = 120.0


@pytest.fixture
def loads(tmp_path: Path) -> Loads:
    return Loads(tmp_path / "tally")


@pytest.fixture
def start(tmp_path: Path, loads: Loads) -> Iterator[Callable[..., Prefetcher]]:
    """Prefetchers that are closed with the test."""
    opened: list[Prefetcher] = []

    def make(**options: object) -> Prefetcher:
        opened.append(Prefetcher(**{"load": loads, "folder": tmp_path, **options}))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def same(found: object, clip_id: str, kib: int = 64) -> None:
    truth = expected(clip_id, kib)
    assert isinstance(found, dict)
    assert found.keys() == truth.keys()
    for name, array in truth.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.asarray(array).dtype
        assert not found[name].flags.writeable


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(max_size=8),
        arrays(
            st.sampled_from(["<f4", ">f8", "u1", "?", "<i8", ">i2"]),
            array_shapes(min_dims=0, min_side=0, max_dims=4),
        ),
        max_size=4,
    )
)
def test_blocks_hold_any_arrays_of_numbers(tmp_path: Path, given_arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path / "one.block"
    assert write_block(path, given_arrays) == path.stat().st_size
    found = map_block(path)
    assert found.keys() == given_arrays.keys()
    for name, array in given_arrays.items():
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()


def test_blocks_refuse_what_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only booleans and numbers"):
        write_block(tmp_path / "a", {"text": np.array(["x"])})
    (tmp_path / "b").write_bytes(b"AR1B\xff\xff\xff\xff")
    with pytest.raises(PrefetchError, match="no block of arrays"):
        map_block(tmp_path / "b")
    (tmp_path / "c").write_bytes(b"")
    with pytest.raises(PrefetchError, match="no block of arrays"):
        map_block(tmp_path / "c")


def test_folders_of_dead_owners_are_swept(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=new_folder, args=(tmp_path,))
    child.start()
    child.join(WAIT_S)
    assert list(tmp_path.glob(f"{PREFIX}{child.pid}-*"))
    ours = new_folder(tmp_path)
    assert list(tmp_path.iterdir()) == [ours]
    assert ours.stat().st_mode & 0o777 == 0o700


@pytest.mark.process
def test_a_group_costs_one_load(start: Callable[..., Prefetcher], loads: Loads) -> None:
    clips = start(workers=2)
    clips.prefetch(["a", "b"])

    def rollout() -> None:
        for clip_id in ("a", "b", "c"):
            with clips.get(clip_id, WAIT_S) as found:
                same(found, clip_id)

    group = [threading.Thread(target=rollout) for _ in range(8)]
    for thread in group:
        thread.start()
    for thread in group:
        thread.join(WAIT_S)
    assert sorted(loads.loaded()) == ["a", "b", "c"]
    told = clips.metrics()
    assert (told["loads"], told["hits"] + told["misses"], told["failures"]) == (3, 24, 0)


@pytest.mark.process
def test_memory_is_bounded_and_what_was_read_goes_first(
    start: Callable[..., Prefetcher], loads: Loads
) -> None:
    clips = start(capacity_bytes=250 * KIB)  # Three blocks of about 66 KiB.
    clips.get("a", WAIT_S).release()
    clips.prefetch([f"ahead{i}" for i in range(9)])
    until(lambda: clips.metrics()["resident_clips"] == 3 and len(loads.loaded()) == 4)
    time.sleep(0.2)
    assert loads.loaded() == ["a", "ahead0", "ahead1", "ahead2"], (
        "what nobody read yet is not evicted for more"
    )
    assert clips.metrics()["resident_bytes"] <= 250 * KIB
    held = clips.get("ahead0", WAIT_S)
    clips.get("ahead1", WAIT_S).release()
    until(lambda: len(loads.loaded()) == 5)
    until(lambda: clips.metrics()["resident_clips"] == 3)
    same(held.arrays, "ahead0")
    assert clips.metrics()["evictions"] == 2


@pytest.mark.process
def test_leases_that_fill_memory_time_out_by_name_and_release_lets_go_on(
    start: Callable[..., Prefetcher],
) -> None:
    clips = start(capacity_bytes=150 * KIB)
    held = [clips.get("a", WAIT_S), clips.get("b", WAIT_S)]
    with pytest.raises(
        PrefetchTimeoutError, match=r"clip c was not there in 0\.3 s: .*2 clips are leased \(a, b\)"
    ):
        clips.get("c", 0.3)
    held[0].release()
    held[0].release()
    with clips.get("c", WAIT_S) as found:
        same(found, "c")
    same(held[1].arrays, "b")
    same(held[0].arrays, "a")


@pytest.mark.process
@pytest.mark.parametrize(
    ("clip_id", "words"),
    [
        ("bad", "clip bad: ValueError: no such clip"),
        ("die", "clip die: its loading process died with exit code -9"),
        ("crash", "clip crash: its loading process died with exit code 1"),
        ("hang", "clip hang: loading took longer than 2 s; its process was ended"),
    ],
)
def test_a_clip_that_cannot_be_loaded_costs_no_other(
    start: Callable[..., Prefetcher], loads: Loads, clip_id: str, words: str
) -> None:
    clips = start(load_timeout_s=2.0)
    clips.prefetch(["a", clip_id, "b"])
    with pytest.raises(ClipFailedError, match=words):
        clips.get(clip_id, WAIT_S)
    for other in ("a", "b", "c"):
        with clips.get(other, WAIT_S) as found:
            same(found, other)
    with pytest.raises(ClipFailedError, match=words):
        clips.get(clip_id, WAIT_S)
    assert loads.loaded().count(clip_id) == 1, "a failure is remembered"
    clips.prefetch([clip_id])
    until(lambda: clips.metrics()["failures"] == 2)
    assert loads.loaded().count(clip_id) == 2, "asking for it ahead tries again"
    assert clips.metrics()["deaths"] == (0 if clip_id == "bad" else 2)


@pytest.mark.process
def test_workers_that_never_start_are_told(start: Callable[..., Prefetcher]) -> None:
    clips = start(load=NeverReady())
    with pytest.raises(PrefetchError, match="do not start: 3 of them ended with exit code 7"):
        clips.get("a", WAIT_S)


@pytest.mark.process
def test_closing_leaves_nothing_but_mapped_arrays(start: Callable[..., Prefetcher], tmp_path: Path) -> None:
    clips = start()
    lease = clips.get("a", WAIT_S)
    clips.close()
    clips.close()
    same(lease.arrays, "a")
    assert list(tmp_path.glob(f"{PREFIX}*")) == []
    with pytest.raises(PrefetchError, match="is closed"):
        clips.get("b", WAIT_S)
    with pytest.raises(ValueError, match="must be positive"):
        start(workers=0)


def consume(path: Path, clip_id: str, results: multiprocessing.SimpleQueue, die: bool) -> None:
    """Another process of the machine: takes a clip, and dies with it leased or gives it back."""
    client = PrefetchClient(path)
    lease = client.get(clip_id, WAIT_S)
    results.put(int(lease.arrays["pixels"].sum()))
    if die:
        os.kill(os.getpid(), signal.SIGKILL)
    lease.release()
    client.close()


@pytest.mark.process
def test_processes_share_one_load_and_the_dead_release_theirs(
    start: Callable[..., Prefetcher], loads: Loads, tmp_path: Path
) -> None:
    clips = start(capacity_bytes=100 * KIB)  # One block.
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    with PrefetchService(clips, tmp_path) as service:
        users = [
            context.Process(target=consume, args=(service.path, "a", results, die)) for die in (False, True)
        ]
        for user in users:
            user.start()
        sums = {results.get() for _ in users}
        for user in users:
            user.join(WAIT_S)
        assert [user.exitcode for user in users] == [0, -9]
        assert sums == {int(expected("a", 64)["pixels"].sum())}
        assert loads.loaded() == ["a"]
        with PrefetchClient(service.path) as client:
            client.prefetch(["b"])
            with client.get("b", WAIT_S) as found:
                same(found, "b")
            with pytest.raises(ClipFailedError, match="clip bad: ValueError"):
                client.get("bad", WAIT_S)
            assert client.metrics()["loads"] == 2
            held = client.get("b", WAIT_S)
            with pytest.raises(PrefetchTimeoutError, match=r"1 clips are leased \(b\)"):
                client.get("c", 0.2)
            held.release()
            with pytest.raises(PrefetchError, match="malformed request: ValueError: op 'sing'"):
                client._ask({"op": "sing"}, 5.0)
    with pytest.raises(PrefetchError, match="no prefetch service answers"):
        PrefetchClient(service.path)
