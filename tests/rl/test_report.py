"""The report holds everything it shows."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_run import make_clip, make_group
from PIL import Image

from rl.dashboard.run_view import RunView
from rl.ledger import LedgerReader, LedgerWriter
from rl.ledger_proof import content_digest
from rl.report import report_data, report_html, write_picture, write_report
from rl.report_groups import choose_groups


def test_the_report_is_one_file_without_addresses(runs_dir: Path) -> None:
    html = write_report(runs_dir / "demo").read_text()
    sources = re.findall(r"(?:src|href)=\"([^\"]*)\"", html)
    assert sources
    assert all(source.startswith("data:") for source in sources)
    assert html.count("</script>") == html.count("<script")
    assert "url(" not in html.split("<style>")[1].split("</style>")[0]


def test_its_data_are_the_runs(runs_dir: Path) -> None:
    view = RunView(runs_dir / "demo")
    data = report_data(view)
    assert data["digest"] == content_digest(runs_dir / "demo")
    assert data["accounting"]["groups"] == 72
    assert data["summary"]["metrics"]["reward"]["after"][0] == 0.731
    assert set(data["pages"]) == {group[1] for entry in data["chosen"] for group in entry["groups"]}
    for page in data["pages"].values():
        images = data["images"][page["clip_id"]]
        assert len(images) == 4
        assert all(image.startswith("data:image/png;base64,") for image in images)
    json.dumps(data, allow_nan=False)


def test_groups_are_chosen_by_rule(runs_dir: Path) -> None:
    chosen = {entry["title"]: entry["groups"] for entry in choose_groups(RunView(runs_dir / "demo"))}
    groups = list(LedgerReader(runs_dir / "demo"))

    def mean_total(group_id: str) -> float:
        (group,) = [g for g in groups if g.group_id == group_id]
        return float(np.mean([r.total for r in group.rollouts if r.total is not None]))

    last = [g.group_id for g in groups if g.step > 5]
    assert mean_total(chosen["Best"][0][1]) == max(map(mean_total, last))
    assert mean_total(chosen["Worst"][0][1]) == min(map(mean_total, last))
    assert chosen["Disagreement"][0][1] == max(groups, key=lambda g: g.disagreement or 0.0).group_id
    pairs = [title for title in chosen if title.startswith("Then and now")]
    assert len(pairs) == 3
    for title in pairs:
        (then, _), (now, _) = chosen[title]
        assert then < now
        clips = {g.clip_id for g in groups if (g.step, g.group_id) in chosen[title]}
        assert len(clips) == 1


def test_text_of_a_model_cannot_leave_its_place(tmp_path: Path) -> None:
    clip = make_clip(0)
    group = make_group(1, 0, clip)
    evil = "</script><script>document.title='taken'</script><!--"
    first = replace(group.rollouts[0], completion=replace(group.rollouts[0].completion, text=evil))
    LedgerWriter(tmp_path / "run").append(1, [replace(group, rollouts=(first, *group.rollouts[1:]))])
    html = report_html(RunView(tmp_path / "run"))
    assert "document.title='taken'" in html
    assert "<script>document" not in html
    assert html.count("<!--") == report_html(RunView(tmp_path / "run")).count("<!--") == 0


def test_a_run_without_steps_still_has_a_report(tmp_path: Path) -> None:
    LedgerWriter(tmp_path / "young")
    assert write_report(tmp_path / "young").is_file()
    with pytest.raises(LookupError, match="no scored step"):
        write_picture(tmp_path / "young", tmp_path / "p.png")
    with pytest.raises(FileNotFoundError, match="is no run"):
        write_report(tmp_path / "nothing")


def test_the_picture_is_drawn(runs_dir: Path, tmp_path: Path) -> None:
    path = write_picture(runs_dir / "demo", tmp_path / "run.png")
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert pixels.shape == (620, 1600, 3)
    for third in np.split(pixels[:, :1599], 3, axis=1):
        assert len(np.unique(third.reshape(-1, 3), axis=0)) > 50
