"""The clip store: exact round trip, complete or absent, damage told by name."""

from __future__ import annotations

import json
import pickle
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from street import clip

from scenes.cameras import CameraRig, default_rig
from scenes.clip import Clip
from scenes.render import with_cameras
from scenes.store import ClipStore, ClipStoreWriter, StoreError, merge_stores
from scenes.store.record import RecordError, pack_clip, unpack_clip

RIG = default_rig(("front_wide", "front_tele"), frames=2, width=48, height=32)


def make(clip_id: str, x: float = 12.0, rig: CameraRig = RIG) -> Clip:
    scene = clip([("car", x, 0), ("pedestrian", 20, 3)], clip_id=clip_id, speed=8.0, lights=[(40, -3, 2)])
    scene.agents.valid[1, 60:] = False
    scene.agents.poses[1, 60:] = np.nan
    return with_cameras(scene, rig)


def write(path: Path, *ids: str) -> Path:
    with ClipStoreWriter(path, RIG) as writer:
        for i, clip_id in enumerate(ids):
            writer.append(make(clip_id, 10.0 + i))
    return path


def assert_same(a: Any, b: Any) -> None:
    """Equal to the last bit, all the way down."""
    if is_dataclass(a):
        assert type(a) is type(b)
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    else:
        assert a == b
        assert type(a) is type(b)


def test_clips_come_back_to_the_last_bit(tmp_path: Path) -> None:
    store = ClipStore.open(write(tmp_path / "store", "a", "b", "c"))
    assert len(store) == 3
    assert store.ids == ("a", "b", "c")
    for i, clip_id in enumerate(store.ids):
        assert_same(store[i], make(clip_id, 10.0 + i))
    assert_same(store[-1], store[2])
    assert [c.clip_id for c in store] == ["a", "b", "c"]
    assert store.rig == RIG


def test_index_finds_by_id_and_refuses_the_unknown(tmp_path: Path) -> None:
    store = ClipStore.open(write(tmp_path / "store", "a", "b"))
    assert store[store.index("b")].clip_id == "b"
    with pytest.raises(KeyError, match="zebra"):
        store.index("zebra")
    with pytest.raises(IndexError, match="2"):
        store[2]


def test_frames_are_one_read_only_array_over_shards(tmp_path: Path) -> None:
    parts = [write(tmp_path / "p0", "a", "b"), write(tmp_path / "p1", "c")]
    store = merge_stores(tmp_path / "all", parts)
    assert store.frames.shape == (3, 2, 2, 32, 48, 3)
    for i in range(3):
        np.testing.assert_array_equal(store.frames[i], store[i].cameras.frames)
    np.testing.assert_array_equal(store.frames[[2, 0]], np.stack((store.frames[2], store.frames[0])))
    np.testing.assert_array_equal(store.frames[1:], store.frames[np.array((1, 2))])
    with pytest.raises(ValueError, match="read-only"):
        store[0].cameras.frames[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        store[0].ego_future[0] = 0


def test_merging_keeps_order_links_files_and_outlives_its_parts(tmp_path: Path) -> None:
    parts = [write(tmp_path / "p0", "a", "b"), write(tmp_path / "p1", "c")]
    both = merge_stores(tmp_path / "both", parts)
    more = merge_stores(tmp_path / "more", [tmp_path / "both", write(tmp_path / "p2", "d")])
    assert more.ids == ("a", "b", "c", "d")
    source = parts[1] / "shards/0/frames.bin"
    assert source.samefile(tmp_path / "both/shards/1/frames.bin")
    source.unlink()
    assert both[2].clip_id == "c"
    more.verify()


def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "p0", "a")
    with pytest.raises(StoreError, match="more than one part"):
        merge_stores(tmp_path / "twice", [first, write(tmp_path / "p1", "a")])
    other = default_rig(("front_wide",), width=48, height=32)
    with ClipStoreWriter(tmp_path / "p2", other) as writer:
        writer.append(make("z", rig=other))
    with pytest.raises(StoreError, match="rigs"):
        merge_stores(tmp_path / "mixed", [first, tmp_path / "p2"])
    with pytest.raises(StoreError, match="no parts"):
        merge_stores(tmp_path / "none", [])
    assert not list(tmp_path.glob(".*")), "a refused merge leaves nothing behind"


def test_an_unfinished_store_is_absent(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with ClipStoreWriter(tmp_path / "store", RIG) as writer:
            writer.append(make("a"))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match=r"manifest\.json"):
        ClipStore.open(tmp_path / "store")


def test_the_writer_refuses_what_would_make_a_bad_store(tmp_path: Path) -> None:
    write(tmp_path / "store", "a")
    with pytest.raises(StoreError, match="exists"):
        ClipStoreWriter(tmp_path / "store", RIG)
    writer = ClipStoreWriter(tmp_path / "new", RIG)
    writer.append(make("a"))
    with pytest.raises(StoreError, match="unique"):
        writer.append(make("a"))
    with pytest.raises(StoreError, match="with_cameras"):
        writer.append(make("b").without_cameras())
    with pytest.raises(StoreError, match="rig takes"):
        writer.append(make("b", rig=default_rig()))
    writer.close()
    assert ClipStore.open(tmp_path / "new").ids == ("a",), "refused clips leave no trace"
    with pytest.raises(StoreError, match="no clip"), ClipStoreWriter(tmp_path / "empty", RIG):
        pass
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize("name", ["frames.bin", "records.bin", "offsets.npy", "ids.npy"])
def test_a_cut_or_missing_file_is_told_at_opening(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "store", "a", "b") / "shards/0" / name
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(StoreError, match=rf"{name} has .* rebuild"):
        ClipStore.open(tmp_path / "store")
    file.unlink()
    with pytest.raises(StoreError, match=rf"{name} is missing.* rebuild"):
        ClipStore.open(tmp_path / "store")


@pytest.mark.parametrize("name", ["frames.bin", "records.bin", "ids.npy"])
def test_an_altered_file_is_told_by_verify(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "store", "a", "b") / "shards/0" / name
    data = bytearray(file.read_bytes())
    data[len(data) - 5] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(StoreError, match=f"{name} has changed"):
        ClipStore.open(tmp_path / "store").verify()


def test_an_altered_record_is_told_when_read(tmp_path: Path) -> None:
    file = write(tmp_path / "store", "a", "b") / "shards/0/records.bin"
    data = bytearray(file.read_bytes())
    data[-5] ^= 0xFF
    file.write_bytes(data)
    store = ClipStore.open(tmp_path / "store")
    assert store[0].clip_id == "a"
    with pytest.raises(StoreError, match="checksum differs"):
        store[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"version": 9}, "version 9"), ({"format": "zip"}, "not the manifest"), ({"shards": []}, "altered")],
)
def test_a_foreign_manifest_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = write(tmp_path / "store", "a")
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(StoreError, match=words):
        ClipStore.open(path)
    (path / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        ClipStore.open(path)


def test_a_store_reaches_another_process_as_a_path(tmp_path: Path) -> None:
    store = ClipStore.open(write(tmp_path / "store", "a", "b"))
    message = pickle.dumps(store)
    assert len(message) < 1000
    assert_same(pickle.loads(message)[1], store[1])


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    text=st.text(max_size=20),
    t0=finite,
    lane=st.lists(st.tuples(finite, finite), min_size=2, max_size=5),
    agents=st.integers(0, 3),
    label=st.booleans(),
    road=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_any_record_round_trips(
    text: str, t0: float, lane: list, agents: int, label: bool, road: bool
) -> None:
    scene = clip([("car", 10.0 + 10 * i, 0) for i in range(agents)], clip_id=text, signs=[("stop", 1, 2)])
    assert scene.road is not None
    lanes = (np.array(lane), *scene.road.lanes)
    scene = replace(
        scene,
        t0=t0,
        source=text,
        label=scene.label if label else None,
        road=replace(scene.road, lanes=lanes, lane_widths=(1.5, *scene.road.lane_widths)) if road else None,
    )
    assert_same(unpack_clip(pack_clip(scene)), scene)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_record_is_never_a_clip(data: st.DataObject) -> None:
    record = bytearray(pack_clip(clip([("car", 10, 0)])))
    if data.draw(st.booleans()):
        # Bytes 12 to 15 are padding. Half of the draws fall on the prefix, where a slip would hurt most.
        places = st.integers(0, 11) | st.integers(16, len(record) - 1)
        at = data.draw(places)
        record[at] ^= data.draw(st.integers(1, 255))
    else:
        record = record[: data.draw(st.integers(0, len(record) - 1))]
    with pytest.raises(RecordError):
        unpack_clip(bytes(record))


def test_what_cannot_be_stored_is_refused() -> None:
    scene = clip([("car", 10, 0)])
    with pytest.raises(ValueError, match="not numeric"):
        pack_clip(replace(scene, actions=np.array([["a", "b"]])))
