"""One prefetcher for all processes of a machine, over a Unix socket.

Role: rollout workers and learner ask the same prefetcher, so a clip is loaded once for all of them; only names of
blocks cross the socket, arrays are mapped. Messages are lines of JSON, nothing is unpickled; the socket lies in a
folder that only its user may enter. Invariant: what a connection leased is released when it ends, however it ends.
"""

from __future__ import annotations

import json
import shutil
import socket
import socketserver
import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from scenes.prefetch.blocks import map_block
from scenes.prefetch.errors import ClipFailedError, PrefetchError, PrefetchTimeoutError
from scenes.prefetch.folder import new_folder
from scenes.prefetch.prefetcher import Lease, Prefetcher

LINE_BYTES = 1 << 20
SLACK_S = 5.0
"""How much longer than the prefetcher's own deadline a client waits for its answer."""
ERRORS: dict[str, type[Exception]] = {
    error.__name__: error for error in (ClipFailedError, PrefetchError, PrefetchTimeoutError)
}


class PrefetchService:
    """Serves a prefetcher, which stays the caller's to close. `path` is what clients connect to."""

    def __init__(self, prefetcher: Prefetcher, folder: Path | None = None) -> None:
        self._folder = new_folder(folder)
        self.path = self._folder / "socket"
        self._server = _Server(str(self.path), prefetcher)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="prefetch-service", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening; connections that are open end with their clients."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(SLACK_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> PrefetchService:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PrefetchClient:
    """A prefetcher in another process, with the same methods. Raises PrefetchError when it cannot be reached."""

    def __init__(self, path: Path, connect_timeout_s: float = 10.0) -> None:
        self._path, self._lock = path, threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(connect_timeout_s)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise PrefetchError(f"no prefetch service answers at {path}: {error}; is it running?") from error
        self._lines = self._socket.makefile("rb")

    def prefetch(self, clip_ids: Iterable[str]) -> None:
        """As Prefetcher.prefetch."""
        self._ask({"op": "prefetch", "clips": list(clip_ids)}, SLACK_S)

    def get(self, clip_id: str, timeout_s: float = 120.0) -> Lease:
        """As Prefetcher.get."""
        answer = self._ask({"op": "get", "clip": clip_id, "timeout_s": timeout_s}, timeout_s + SLACK_S)
        path = Path(answer["path"])
        return Lease(path, map_block(path), partial(self._release, clip_id))

    def metrics(self) -> dict[str, float]:
        """As Prefetcher.metrics."""
        return dict(self._ask({"op": "metrics"}, SLACK_S)["metrics"])

    def close(self) -> None:
        """End the connection; what it still leases is released."""
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> PrefetchClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _release(self, clip_id: str) -> None:
        self._ask({"op": "release", "clip": clip_id}, SLACK_S)

    def _ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        with self._lock:
            try:
                self._socket.settimeout(timeout_s)
                self._socket.sendall(json.dumps(request).encode() + b"\n")
                line = self._lines.readline(LINE_BYTES)
            except OSError as error:
                raise PrefetchError(
                    f"the prefetch service at {self._path} does not answer: {error}"
                ) from error
        if not line:
            raise PrefetchError(f"the prefetch service at {self._path} is gone")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ERRORS.get(answer["error"], PrefetchError)(answer["message"])
        return answer


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, prefetcher: Prefetcher) -> None:
        self.prefetcher = prefetcher
        super().__init__(path, _Connection)


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        leases: dict[str, list[Lease]] = {}
        try:
            while line := self.rfile.readline(LINE_BYTES):
                self.wfile.write(json.dumps(self._answer(line, leases)).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            return  # The client is gone; its leases are released below.
        finally:
            for held in leases.values():
                for lease in held:
                    lease.release()

    def _answer(self, line: bytes, leases: dict[str, list[Lease]]) -> dict[str, Any]:
        try:
            request = json.loads(line)
            return self._do(request["op"], request, leases)
        except (ClipFailedError, PrefetchError, PrefetchTimeoutError) as error:
            return {"error": type(error).__name__, "message": str(error)}
        except (ValueError, KeyError, TypeError, IndexError) as error:
            return {
                "error": "PrefetchError",
                "message": f"malformed request: {type(error).__name__}: {error}",
            }

    def _do(self, op: str, request: dict[str, Any], leases: dict[str, list[Lease]]) -> dict[str, Any]:
        prefetcher = self.server.prefetcher
        if op == "prefetch":
            prefetcher.prefetch([str(clip_id) for clip_id in request["clips"]])
        elif op == "get":
            lease = prefetcher.get(str(request["clip"]), float(request["timeout_s"]))
            leases.setdefault(str(request["clip"]), []).append(lease)
            return {"path": str(lease.path)}
        elif op == "release":
            leases[str(request["clip"])].pop().release()
        elif op == "metrics":
            return {"metrics": prefetcher.metrics()}
        else:
            raise ValueError(f"op {op!r}")
        return {}
