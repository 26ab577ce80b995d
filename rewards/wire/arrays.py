"""Arrays on the wire: dtype, shape and little-endian bytes; nothing is ever unpickled.

Invariant: `decode(encode(a))` equals `a` in dtype, shape and bits; any malformed message raises `WireError`,
never anything else, and never allocates more than the message's own bytes.
"""

from __future__ import annotations

import math

import numpy as np

from rewards.wire import reward_pb2 as pb

MOST_DIMENSIONS = 8
MOST_BYTES = 64 * 2**20
_DTYPES: dict[int, np.dtype] = {
    pb.BOOL: np.dtype("?"),
    pb.UINT8: np.dtype("u1"),
    pb.INT32: np.dtype("<i4"),
    pb.INT64: np.dtype("<i8"),
    pb.FLOAT32: np.dtype("<f4"),
    pb.FLOAT64: np.dtype("<f8"),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


class WireError(ValueError):
    """A message that cannot be what its sender meant; the text says what is wrong with which field."""


def encode(array: np.ndarray) -> pb.Array:
    """Pack a bool, uint8, int32, int64, float32 or float64 array; other dtypes raise WireError."""
    code = _CODES.get(array.dtype.newbyteorder("<"))
    if code is None:
        raise WireError(f"dtype {array.dtype} cannot be sent; convert to one of {sorted(map(str, _CODES))}")
    data = np.ascontiguousarray(array, dtype=_DTYPES[code]).tobytes()
    return pb.Array(dtype=pb.DType.Name(code), shape=array.shape, data=data)


def decode(message: pb.Array, what: str = "array") -> np.ndarray:
    """Unpack to a read-only array that shares the message's bytes; WireError names `what` when malformed."""
    dtype = _DTYPES.get(message.dtype)
    if dtype is None:
        raise WireError(f"{what}: unknown dtype {message.dtype}; this server knows {sorted(_DTYPES)}")
    if len(message.shape) > MOST_DIMENSIONS:
        raise WireError(f"{what}: {len(message.shape)} dimensions, at most {MOST_DIMENSIONS} are allowed")
    shape = tuple(message.shape)
    if math.prod(shape) * dtype.itemsize != len(message.data):
        raise WireError(f"{what}: shape {shape} of {dtype} does not fit {len(message.data)} bytes")
    # Not implied by the line above: a length of 0 makes any others fit, and numpy refuses huge ones.
    if math.prod(n for n in shape if n) * dtype.itemsize > MOST_BYTES:
        raise WireError(f"{what}: shape {shape} is empty, but its other lengths are too large")
    if dtype.kind == "b" and message.data.strip(b"\x00\x01"):
        raise WireError(f"{what}: bool array holds bytes other than 0 and 1")
    return np.frombuffer(message.data, dtype=dtype).reshape(shape)


def decode_as(
    message: pb.Array, what: str, shape: tuple[int | None, ...], *, kind: str = "f", finite: bool = True
) -> np.ndarray:
    """Unpack and insist on dtype kind ("f", "b", "u"), shape (None matches any length) and finite numbers.

    Floats come back as float64, whatever precision they were sent in."""
    array = decode(message, what)
    if array.dtype.kind != kind:
        raise WireError(f"{what}: dtype {array.dtype} where kind {kind!r} is expected")
    fits = array.ndim == len(shape) and all(
        w is None or w == n for w, n in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = "[" + ", ".join("any" if n is None else str(n) for n in shape) + "]"
        raise WireError(f"{what}: shape {list(array.shape)} where {wanted} is expected")
    if kind != "f":
        return array
    if finite and not np.isfinite(array).all():
        raise WireError(f"{what}: {int((~np.isfinite(array)).sum())} numbers are not finite")
    return array.astype(np.float64, copy=False)
