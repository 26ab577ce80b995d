"""The dashboard's web application: JSON over a run directory, and the page that draws it.

Invariant: read-only and for this machine. Requests naming another host are refused (so that a web page cannot
reach it by rebinding a name), and the page's policy forbids it to load anything from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import duckdb
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from rl.dashboard.charts import MOST_POINTS
from rl.dashboard.clip_library import ClipSource
from rl.dashboard.group_index import GroupQuery
from rl.dashboard.live import changes
from rl.dashboard.run_view import RunView
from rl.run_directory import list_runs

STATIC = Path(__file__).parent / "static"
DAMAGE = (ValueError, OSError, sqlite3.Error, duckdb.Error)
"""What reading a run's files raises when one is damaged (pyarrow's errors are ValueErrors)."""
LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]


class Runs:
    """The runs under a folder, each with one view for as long as it exists."""

    def __init__(self, runs_dir: Path, clip_stores: Sequence[Path | str | ClipSource]) -> None:
        self.runs_dir = runs_dir
        self._clip_stores = clip_stores
        self._views: dict[str, RunView] = {}
        self._lock = threading.Lock()

    def all(self) -> list[RunView]:
        """Views of the runs that exist now, by name."""
        with self._lock:
            found = {run.name: run.path for run in list_runs(self.runs_dir)}
            self._views = {
                name: self._views.get(name) or RunView(path, self._clip_stores)
                for name, path in found.items()
            }
            return list(self._views.values())

    def view(self, name: str) -> RunView:
        """One run. Raises LookupError for a name that is not listed: nothing outside the folder is read."""
        for view in self.all():
            if view.run.name == name:
                return view
        raise LookupError(f"no run {name!r} under {self.runs_dir}")

    def cards(self) -> list[dict[str, Any]]:
        """A line a run; a damaged run says so and leaves the others readable."""
        cards: list[dict[str, Any]] = []
        for view in self.all():
            try:
                cards.append(view.card())
            except DAMAGE as error:
                cards.append({"name": view.run.name, "error": str(error)})
        return cards

    def stamps(self) -> dict[str, Any]:
        """What changes with each run's news."""
        found: dict[str, Any] = {}
        for view in self.all():
            try:
                found[view.run.name] = view.stamp()
            except DAMAGE as error:
                found[view.run.name] = str(error)
        return found


def group_query(
    sort: str = "step",
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "desc",
    fate: str | None = None,
    at: int | None = None,
    clip: str | None = None,
    missing: bool = False,
) -> GroupQuery:
    """The groups that a URL asks for."""
    return GroupQuery(sort, order == "desc", fate or None, at, clip or None, missing)


GroupQueryOf = Annotated[GroupQuery, Depends(group_query)]


def create_app(runs_dir: Path | str, clip_stores: Sequence[Path | str | ClipSource] = ()) -> FastAPI:
    """The application over the runs in `runs_dir`; `clip_stores` are searched for images before those that
    each run registered."""
    app = FastAPI(title="ar1-rl dashboard", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=4)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK)
    runs = Runs(Path(runs_dir), clip_stores)
    app.state.runs = runs
    _errors(app)
    _run_routes(app, runs)
    _group_routes(app, runs)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _page(app)
    return app


def _errors(app: FastAPI) -> None:
    @app.exception_handler(LookupError)
    async def absent(_: Request, error: LookupError) -> JSONResponse:
        return JSONResponse({"error": str(error.args[0]) if error.args else "not found"}, 404)

    async def damaged(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 500)

    for kind in (OSError, sqlite3.Error, duckdb.Error):
        app.add_exception_handler(kind, damaged)

    @app.exception_handler(ValueError)
    async def wrong(_: Request, error: ValueError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400)


def _run_routes(app: FastAPI, runs: Runs) -> None:
    @app.get("/api/runs")
    def list_all() -> dict[str, Any]:
        return {"folder": str(runs.runs_dir), "runs": runs.cards()}

    @app.get("/api/live")
    async def live() -> StreamingResponse:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(changes(runs.stamps), media_type="text/event-stream", headers=headers)

    @app.get("/api/runs/{run}/overview")
    def overview(run: str, points: Annotated[int, Query(ge=2, le=MOST_POINTS)] = 1500) -> dict[str, Any]:
        return runs.view(run).overview(points)

    @app.get("/api/runs/{run}/summary")
    def summary(run: str, tag: str = "") -> dict[str, Any]:
        view = runs.view(run)
        return {"summary": view.summary(tag), "tags": view.evaluations()}

    @app.get("/api/runs/{run}/config")
    def config(run: str) -> dict[str, Any]:
        view = runs.view(run)
        path = view.run.config
        return {"config": path.read_text() if path.is_file() else None, "facts": view.facts()}


def _group_routes(app: FastAPI, runs: Runs) -> None:
    @app.get("/api/runs/{run}/groups")
    def groups(
        run: str,
        query: GroupQueryOf,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> dict[str, Any]:
        return runs.view(run).index.page(query, offset, limit)

    @app.get("/api/runs/{run}/groups/{step}/{group_id:path}")
    def group(run: str, step: int, group_id: str, query: GroupQueryOf) -> dict[str, Any]:
        return runs.view(run).group(step, group_id, query)

    @app.get("/api/runs/{run}/image")
    def image(run: str, clip: str, camera: int, frame: int) -> Response:
        content = runs.view(run).library().png(clip, camera, frame)
        return Response(content, media_type="image/png", headers={"Cache-Control": "max-age=3600"})


def _page(app: FastAPI) -> None:
    html = (STATIC / "index.html").read_text()
    inline = re.findall(r"<script[^>]*type=\"importmap\"[^>]*>(.*?)</script>", html, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline]
    policy = "; ".join(
        [
            "default-src 'none'",
            "script-src 'self' " + " ".join(f"'sha256-{value}'" for value in hashes),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )

    @app.get("/api/{_:path}")
    def unknown(_: str) -> None:
        raise HTTPException(404, "no such endpoint")

    @app.get("/{_:path}")
    def page(_: str) -> HTMLResponse:
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
        return HTMLResponse(html, headers=headers)
