"""Our headers against the library's own files, and files that are damaged."""

from __future__ import annotations

import json
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from policy.release.copying import Copy, order, pieces, write_shard
from policy.release.findings import CheckpointError
from policy.release.safetensors_header import LENGTH_BYTES, format_header, read_header

NAMES = st.text(string.ascii_lowercase + "._é", min_size=1, max_size=12)
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
DTYPES = st.sampled_from([np.float32, np.float16, np.int64, np.uint8, np.float64])
FILES = st.dictionaries(NAMES, st.tuples(SHAPES, DTYPES), min_size=1, max_size=6)
SLOW_DISK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def arrays(layout: dict[str, tuple[tuple[int, ...], type]]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.integers(0, 100, shape).astype(dtype) for name, (shape, dtype) in layout.items()}


@SLOW_DISK
@given(FILES)
def test_reads_what_the_library_writes_and_writes_what_it_reads(
    tmp_path: Path, layout: dict[str, tuple[tuple[int, ...], type]]
) -> None:
    written = arrays(layout)
    save_file(written, tmp_path / "theirs.safetensors")
    header = read_header(tmp_path / "theirs.safetensors")
    assert header.size == (tmp_path / "theirs.safetensors").stat().st_size
    for name, array in written.items():
        stored = header.tensors[name]
        assert stored.shape == array.shape
        assert b"".join(pieces(stored)) == array.tobytes()
    copies = order([Copy(name, tensor) for name, tensor in header.tensors.items()])
    write_shard(tmp_path / "ours.safetensors", copies)
    again = load_file(tmp_path / "ours.safetensors")
    assert set(again) == set(written)
    assert all(
        np.array_equal(again[name], array) and again[name].dtype == array.dtype
        for name, array in written.items()
    )
    with safe_open(tmp_path / "ours.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}


@SLOW_DISK
@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_a_clear_refusal(tmp_path: Path, blob: bytes) -> None:
    file = tmp_path / "any.safetensors"
    file.write_bytes(len(blob).to_bytes(LENGTH_BYTES, "little") + blob)
    try:
        data = json.loads(blob.decode())
        empty = isinstance(data, dict) and all(key == "__metadata__" for key in data)
    except ValueError:
        empty = False
    if empty:
        assert read_header(file).size == LENGTH_BYTES + len(blob)
    else:
        with pytest.raises(CheckpointError, match=r"any\.safetensors"):
            read_header(file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, "has 4 bytes"),
        ({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, "unknown dtype F99"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, "gap or an overlap before tensor a"),
        ({"a": {"dtype": "F32", "shape": [1]}}, "damaged header"),
        (
            {
                "a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                "b": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]},
            },
            "gap or an overlap before tensor b",
        ),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(
    tmp_path: Path, content: dict[str, object], reason: str
) -> None:
    text = json.dumps(content).encode()
    file = tmp_path / "bad.safetensors"
    file.write_bytes(len(text).to_bytes(LENGTH_BYTES, "little") + text + bytes(8))
    with pytest.raises(CheckpointError, match=reason):
        read_header(file)


def test_no_file_makes_us_read_a_header_without_end(tmp_path: Path) -> None:
    file = tmp_path / "huge.safetensors"
    file.write_bytes((1 << 40).to_bytes(LENGTH_BYTES, "little") + b"{}")
    with pytest.raises(CheckpointError, match="no safetensors file"):
        read_header(file)
    file.write_bytes((64).to_bytes(LENGTH_BYTES, "little") + b"{}")
    with pytest.raises(CheckpointError, match="ends inside its header"):
        read_header(file)


def test_headers_are_padded_to_eight_bytes() -> None:
    for length in range(1, 12):
        text = format_header([("n" * length, "BF16", (3,))], {"format": "pt"})
        assert (LENGTH_BYTES + len(text.encode())) % 8 == 0
