"""The report of a run: one HTML file that needs nothing else, to send, archive and open years later.

Role: `runs/<name>/report.html`: before/after table, curves, chosen groups with images, facts. It is drawn by the
dashboard's own modules, which travel inside the file.
Invariant: the file makes no request; everything it shows is in it. Groups are chosen by stated rules, not by
hand.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rl.dashboard.clip_library import ClipSource, png_uri
from rl.dashboard.group_index import GroupQuery
from rl.dashboard.run_view import RunView
from rl.dashboard.server import STATIC
from rl.ledger_proof import account, content_digest
from rl.report_groups import choose_groups
from rl.report_picture import write_picture
from rl.run_directory import RunDirectory, atomic_write
from scenes.clip import Clip

__all__ = ["report_html", "write_picture", "write_report"]

POINTS = 500
LARGE_PIXELS = 200 * 200
MODULES = (
    "dom",
    "format",
    "palette",
    "chart",
    "bird_eye",
    "speed_chart",
    "cameras",
    "sample_table",
    "group_view",
    "evaluation_view",
    "correlation_view",
    "overview_view",
    "report",
)


def write_report(run_dir: Path | str, clip_stores: Sequence[Path | str | ClipSource] = ()) -> Path:
    """Write `report.html` into the run directory and return its path.

    clip_stores: asked for images before those that the run registered. Raises FileNotFoundError for a folder
    that is no run; a clip that no store holds is said so in the report.
    """
    run = RunDirectory.existing(run_dir)
    html = report_html(RunView(run.path, clip_stores))
    with atomic_write(run.report) as file:
        file.write(html.encode())
    return run.report


def report_html(view: RunView) -> str:
    """The whole report as one HTML document."""
    title = f"{view.run.name} · ar1-rl"
    imports = {f"ar1/{name}.js": _data_uri((STATIC / f"{name}.js").read_bytes()) for name in MODULES}
    # "<" is escaped so that no text of a model can end the script element it travels in.
    data = json.dumps(report_data(view), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    styles = (STATIC / "vendor/uPlot.min.css").read_text() + (STATIC / "style.css").read_text()
    uplot = (STATIC / "vendor/uPlot.iife.min.js").read_text()
    if "</script" in uplot or "</style" in styles:
        raise ValueError("a vendored asset holds a closing tag and cannot be inlined; vendor another build")
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)}</title>",
            f'<link rel="icon" href="{_data_uri((STATIC / "icon.svg").read_bytes(), "image/svg+xml")}">',
            f"<style>{styles}</style>",
            f'<script type="importmap">{json.dumps({"imports": imports})}</script>',
            f"<script>{uplot}</script>",
            '</head><body><main id="page"></main>',
            f'<script type="application/json" id="data">{data}</script>',
            '<script type="module">import { show } from "ar1/report.js"; show();</script>',
            "</body></html>",
        ]
    )


def report_data(view: RunView) -> dict[str, Any]:
    """What the report shows, as JSON."""
    overview = view.overview(POINTS)
    steps = [step for chart in overview["charts"] for step in chart["steps"]]
    chosen = choose_groups(view) if steps else []
    pages: dict[str, Any] = {}
    images: dict[str, list[str]] = {}
    for entry in chosen:
        for step, group_id in entry["groups"]:
            if group_id not in pages:
                pages[group_id] = page = view.group(step, group_id, GroupQuery())
                if page["clip"] is not None and page["clip"]["cameras"] is not None:
                    images[page["clip_id"]] = _images(view.library().clip(page["clip_id"]))
                    page["clip"]["cameras"]["times"] = page["clip"]["cameras"]["times"][-1:]
    found = account(view.run.path)
    return {
        "overview": overview,
        "summary": view.summary(),
        "config": view.run.config.read_text() if view.run.config.is_file() else None,
        "chosen": chosen,
        "pages": pages,
        "images": images,
        "accounting": {"groups": found.groups, "rollouts": found.rollouts} | found.fates | found.reasons,
        "digest": content_digest(view.run.path) if steps else None,
    }


def _images(clip: Clip) -> list[str]:
    """The newest image of each camera: PNG while small, JPEG where PNG would swell the file."""
    if clip.cameras is None:
        return []
    newest = [np.asarray(frames[-1]) for frames in clip.cameras.frames]
    return [
        png_uri(pixels) if pixels.shape[0] * pixels.shape[1] <= LARGE_PIXELS else _jpeg_uri(pixels)
        for pixels in newest
    ]


def _jpeg_uri(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=88)
    return _data_uri(buffer.getvalue(), "image/jpeg")


def _data_uri(content: bytes, kind: str = "text/javascript") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
