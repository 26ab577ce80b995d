"""A loading process: takes clip ids, leaves blocks of arrays, dies with its parent.

Role: the killable half of the prefetcher. Messages are JSON over the pair's own pipe. Invariant: an expected error
of the loader is sent back as text; any other ends the process, and the parent names the clip it was at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from scenes.prefetch.blocks import write_block

Load = Callable[[str], Mapping[str, np.ndarray]]
"""Loads a clip's arrays by its id; must be picklable, since workers are started afresh."""
EXPECTED = (ValueError, OSError, LookupError, RuntimeError)


def work(load: Load, connection: Connection) -> None:
    """Serve until the parent closes the pipe."""
    warm = getattr(load, "warm", None)
    if warm is not None:
        warm()
    _send(connection, {"ready": True})
    while True:
        try:
            task = json.loads(connection.recv_bytes())
        except EOFError:
            return
        try:
            size = write_block(Path(task["path"]), load(task["clip"]))
        except EXPECTED as error:
            _send(connection, {"error": f"{type(error).__name__}: {error}"})
        else:
            _send(connection, {"bytes": size})


def _send(connection: Connection, message: dict[str, object]) -> None:
    connection.send_bytes(json.dumps(message).encode())
