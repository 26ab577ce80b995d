"""The dashboard's answers are the ledger's numbers."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_run import make_clip, make_step, write_run
from fastapi.testclient import TestClient
from PIL import Image

from rl.dashboard.live import changes
from rl.dashboard.server import create_app
from rl.ledger import LedgerReader, LedgerWriter, part_path
from rl.rollups import step_metrics


@pytest.fixture(scope="module")
def client(runs_dir: Path) -> TestClient:
    return TestClient(create_app(runs_dir), base_url="http://127.0.0.1")


def get(client: TestClient, path: str, **parameters: Any) -> Any:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_runs_are_listed_with_state_and_headline(client: TestClient) -> None:
    (run,) = get(client, "/api/runs")["runs"]
    assert (run["name"], run["steps"], run["state"]["phase"]) == ("demo", 6, "finished")
    assert run["rewards"] == ["comfort", "consistency", "reasoning", "trajectory"]
    assert len(run["spark"]) == 6


def test_overview_charts_hold_the_ledgers_numbers(client: TestClient, runs_dir: Path) -> None:
    overview = get(client, "/api/runs/demo/overview")
    by_title = {chart["title"]: chart for chart in overview["charts"]}
    reader = LedgerReader(runs_dir / "demo")
    metrics = [step_metrics(reader.groups(step)) for step in range(1, 7)]
    total = by_title["Total reward"]
    assert total["steps"] == [1, 2, 3, 4, 5, 6]
    assert total["lines"][0]["values"] == pytest.approx([m["reward"] for m in metrics], rel=1e-5)
    assert total["lines"][0]["low"] == pytest.approx([m["reward/p10"] for m in metrics], rel=1e-5)
    shares = {line["label"]: line["values"] for line in by_title["Share of the advantage"]["lines"]}
    assert np.sum(list(shares.values()), axis=0) == pytest.approx(np.ones(6), rel=1e-4)
    assert len(by_title["kl"]["lines"][0]["values"]) == 6
    assert overview["correlations"]["names"][-1] == "length"
    assert client.get("/api/runs/demo/overview", params={"points": 5001}).status_code == 422


def all_groups(client: TestClient, **parameters: Any) -> list[dict[str, Any]]:
    return get(client, "/api/runs/demo/groups", limit=200, **parameters)["groups"]


def test_groups_sort_and_filter(client: TestClient, runs_dir: Path) -> None:
    rows = all_groups(client)
    assert len(rows) == 72
    groups = {g.group_id: g for g in LedgerReader(runs_dir / "demo")}
    for row in rows:
        totals = [r.total for r in groups[row["group_id"]].rollouts]
        known = [total for total in totals if total is not None]
        assert row["totals"] == totals
        assert row["total"] == pytest.approx(np.mean(known))
        assert row["std"] == pytest.approx(np.std(known))
        assert row["missing"] == sum(
            s.value is None for r in groups[row["group_id"]].rollouts for s in r.scores
        )
    assert [r["step"] for r in rows] == sorted((r["step"] for r in rows), reverse=True)
    for key, sort in (("total", "total"), ("std", "std"), ("disagreement", "disagreement")):
        values = [row[key] for row in all_groups(client, sort=sort, order="asc")]
        assert values == sorted(values)
    means = [
        next(r["mean"] for r in row["rewards"] if r["reward"] == "reasoning")
        for row in all_groups(client, sort="reward:reasoning")
    ]
    assert means == sorted(means, reverse=True)
    assert {row["fate"] for row in all_groups(client, fate="dropped")} == {"dropped"}
    assert {row["step"] for row in all_groups(client, at=3)} == {3}
    assert {row["clip_id"] for row in all_groups(client, clip="clip-0004")} == {"clip-0004"}
    assert all(row["missing"] > 0 for row in all_groups(client, missing=True))
    bad = client.get("/api/runs/demo/groups", params={"sort": "total; DROP TABLE"})
    assert bad.status_code == 400
    assert "cannot sort groups" in bad.json()["error"]


def test_a_group_has_neighbours_in_the_order_it_was_found_in(client: TestClient) -> None:
    rows = all_groups(client, sort="std", fate="trained")
    for at, row in list(enumerate(rows))[:3] + list(enumerate(rows))[-1:]:
        page = get(
            client, f"/api/runs/demo/groups/{row['step']}/{row['group_id']}", sort="std", fate="trained"
        )
        names = [
            None if g is None else g["group_id"] for g in (page["place"]["previous"], page["place"]["next"])
        ]
        before = rows[at - 1]["group_id"] if at else None
        after = rows[at + 1]["group_id"] if at + 1 < len(rows) else None
        assert names == [before, after]
        assert (page["place"]["position"], page["place"]["count"]) == (at, len(rows))


def test_a_group_page_shows_what_is_missing_and_why(client: TestClient) -> None:
    page = get(client, "/api/runs/demo/groups/2/g00002-005")
    score = page["rollouts"][2]["scores"]["reasoning"]
    assert (score["value"], score["status"], score["attempts"]) == (None, "deadline", 3)
    assert score["explanation"] == "no answer within 10 s"
    assert page["rollouts"][2]["total"] is None
    assert page["rollouts"][0]["scores"]["reasoning"]["share"] is not None
    assert page["clip"]["label"]["factors"][0]["kind"] == "lead_vehicle"
    assert page["weights"]["comfort"] == 0.0
    assert [g["step"] for g in page["same_clip"]] == sorted(g["step"] for g in page["same_clip"])
    assert len([p for p in page["scene"]["paths"] if p["role"] == "sample"]) == 8


def test_images_are_the_clips_pixels(client: TestClient) -> None:
    clip = make_clip(3)
    assert clip.cameras is not None
    where = {"clip": "clip-0003", "camera": 1, "frame": 0}
    answer = client.get("/api/runs/demo/image", params=where)
    assert answer.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(answer.content))), clip.cameras.frames[1, 0]
    )
    for absent in ({"camera": 9}, {"frame": 7}, {"camera": -1}, {"clip": "nobody"}):
        assert client.get("/api/runs/demo/image", params={**where, **absent}).status_code == 404


def test_a_clip_without_store_is_said_so(tmp_path: Path) -> None:
    write_run(tmp_path / "bare", [make_clip(0)], steps=1, groups=2)
    bare = TestClient(create_app(tmp_path), base_url="http://127.0.0.1")
    page = get(bare, "/api/runs/bare/groups/1/g00001-000")
    assert page["clip"] is None
    assert "name the run's store with --clips" in page["clip_error"]
    assert len(page["rollouts"]) == 8


@pytest.mark.parametrize(
    "path", ["/api/runs/nobody/overview", "/api/runs/..%2F..%2Fetc/config", "/api/nothing"]
)
def test_nothing_outside_the_folder_is_read(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_only_this_machine_is_answered(runs_dir: Path) -> None:
    stranger = TestClient(create_app(runs_dir), base_url="http://rebound.example")
    assert stranger.get("/api/runs").status_code == 400


def test_the_page_forbids_loading_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/runs/demo")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in answer.text.replace("http-equiv", "")


def test_a_run_that_starts_is_shown_before_its_first_step(tmp_path: Path) -> None:
    LedgerWriter(tmp_path / "young")
    young = TestClient(create_app(tmp_path), base_url="http://127.0.0.1")
    assert get(young, "/api/runs/young/overview")["charts"] == []
    assert get(young, "/api/runs/young/groups") == {"count": 0, "groups": []}
    assert get(young, "/api/runs/young/summary") == {"summary": None, "tags": []}


def test_a_damaged_run_leaves_the_others_readable(tmp_path: Path) -> None:
    write_run(tmp_path / "good", [make_clip(0)], steps=1, groups=1)
    bad = write_run(tmp_path / "bad", [make_clip(0)], steps=1, groups=1)
    bad.metrics.write_text("not json\n")
    part_path(bad, 1).write_bytes(b"PAR1 cut short")
    client = TestClient(create_app(tmp_path), base_url="http://127.0.0.1", raise_server_exceptions=False)
    cards = {run["name"]: run for run in get(client, "/api/runs")["runs"]}
    assert "delete that line" in cards["bad"]["error"]
    assert cards["good"]["steps"] == 1
    answer = client.get("/api/runs/bad/groups")
    assert answer.status_code == 500
    assert "part-00000001.parquet" in answer.json()["error"]


def test_evaluations_beside_the_runs_own_are_found(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [make_clip(0)], steps=1, groups=1)
    (run.evaluations / "recorded").mkdir()
    (run.evaluations / "recorded/summary.json").write_text('{"metrics": {}}')
    client = TestClient(create_app(tmp_path), base_url="http://127.0.0.1")
    own = get(client, "/api/runs/run/summary")
    assert own["tags"] == ["recorded"]
    assert "reward" in own["summary"]["metrics"]
    assert get(client, "/api/runs/run/summary", tag="recorded")["summary"] == {"metrics": {}}
    assert client.get("/api/runs/run/summary", params={"tag": "../.."}).status_code == 404


def test_a_resumed_run_is_read_anew(tmp_path: Path) -> None:
    clips = [make_clip(0)]
    writer = LedgerWriter(tmp_path / "run")
    client = TestClient(create_app(tmp_path), base_url="http://127.0.0.1")
    writer.append(1, make_step(1, clips, groups=2))
    offset = writer.state_dict()
    writer.append(2, make_step(2, clips, groups=2))
    before = get(client, "/api/runs/run/groups", at=2)["groups"]
    resumed = LedgerWriter(tmp_path / "run")
    resumed.load_state_dict(offset)
    resumed.append(2, make_step(2, clips, groups=2, seed=5))
    after = get(client, "/api/runs/run/groups", at=2)["groups"]
    assert [g["group_id"] for g in before] == [g["group_id"] for g in after]
    assert [g["total"] for g in before] != [g["total"] for g in after]
    (chart,) = [c for c in get(client, "/api/runs/run/overview")["charts"] if c["title"] == "Total reward"]
    assert chart["lines"][0]["values"][1] == pytest.approx(
        step_metrics(LedgerReader(tmp_path / "run").groups(2))["reward"], rel=1e-5
    )


def test_news_names_the_runs_that_changed() -> None:
    seen = iter([{"a": 1, "b": 1}, {"a": 1, "b": 1}, {"a": 2, "c": 1}, {"a": 2, "c": 1}])

    async def collect() -> list[str]:
        stream = changes(lambda: next(seen), poll_s=0.0, heartbeat_s=100.0)
        messages = [await anext(stream), await anext(stream)]
        await stream.aclose()
        return messages

    hello, news = asyncio.run(collect())
    assert hello.startswith("event: hello\n")
    assert news.startswith("event: news\n")
    assert json.loads(news.split("data: ")[1]) == {"runs": ["a", "b", "c"]}
