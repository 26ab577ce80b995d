"""Server-sent events: which runs have news.

Invariant: an event says only that a run changed; pages fetch what they show, so a missed event costs nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

POLL_S = 0.5
HEARTBEAT_S = 15.0


async def changes(
    stamps: Callable[[], Mapping[str, Any]], poll_s: float = POLL_S, heartbeat_s: float = HEARTBEAT_S
) -> AsyncIterator[str]:
    """Yield an SSE message {"runs": [names]} whenever runs appear, change or go, a comment to keep the
    connection open otherwise. `stamps` gives each run a value that changes with its news."""
    known = dict(await asyncio.to_thread(stamps))
    yield "event: hello\ndata: {}\n\n"
    quiet = 0.0
    while True:
        await asyncio.sleep(poll_s)
        quiet += poll_s
        now = dict(await asyncio.to_thread(stamps))
        changed = sorted(name for name in now.keys() | known.keys() if now.get(name) != known.get(name))
        known = now
        if changed:
            yield f"event: news\ndata: {json.dumps({'runs': changed})}\n\n"
            quiet = 0.0
        elif quiet >= heartbeat_s:
            yield ": still here\n\n"
            quiet = 0.0
