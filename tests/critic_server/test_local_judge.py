"""A real language model, by vLLM, from PyPI to scores, cache and red team."""

from __future__ import annotations

import asyncio
import re
import urllib.request

import pytest
from judged_clip import clip, views

from critic_server.labelled_set import read_labelled
from critic_server.local_judge import LocalJudge, default_folder, prepare
from critic_server.panel import Panel, panel_config
from critic_server.red_team import red_team
from rewards.client import ClientConfig, RewardClient
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.score import Score, Status
from rewards.server import ServerConfig

pytestmark = [pytest.mark.process, pytest.mark.slow]
BRIEF = {"explain": False, "top_logprobs": 12, "max_tokens": 64}
TRACES = 16


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    log = tmp_path_factory.mktemp("judge") / "vllm.log"
    with LocalJudge(prepare(default_folder()), log) as judge:
        yield judge


def finished(local: LocalJudge) -> float:
    """Requests that vLLM itself counts as finished."""
    with urllib.request.urlopen(local.base_url.removesuffix("/v1") + "/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return sum(float(n) for n in re.findall(r"^vllm:request_success_total\{.*\} (\S+)$", text, re.MULTILINE))


def test_a_served_model_grades_and_a_second_pass_asks_nothing(local, tmp_path):
    texts = [f"{row.question.text}" for row in read_labelled("calibration")[: 3 * TRACES]]
    texts = list(dict.fromkeys(texts))[:TRACES]
    options = {"backend": "openai", "base_url": local.base_url, "model": local.name, **BRIEF}
    options |= {"cache": str(tmp_path / "critic.sqlite"), "guard": "off", "deadline_s": 120.0}

    def score_all(folder: str) -> list[Score]:
        """Through a reward server of its own, so that only the critic's file can remember."""
        config = ServerConfig((RewardSource("reasoning", options=options),), timeout_s=300.0)

        async def ask(url: str) -> list[Score]:
            client = RewardClient(ClientConfig(url, deadline_s=300.0))
            try:
                await client.wait_ready(60.0)
                return await client.score(views(*texts), {"c": clip()})
            finally:
                await client.close()

        with SupervisedServer(LaunchConfig(config, tmp_path / folder)) as server:
            return asyncio.run(ask(server.url("reasoning")))

    before = finished(local)
    first = score_all("one")
    after = finished(local)
    second = score_all("two")
    assert [s.status for s in first] == [Status.OK] * TRACES
    assert TRACES <= after - before <= 2 * TRACES  # at most one repair turn each
    assert finished(local) == after
    assert [s.value for s in second] == pytest.approx([s.value for s in first])
    assert (any(s.cached for s in first), all(s.cached for s in second)) == (False, True)
    assert all(s.components["tokens"] > 200 for s in first)
    assert {s.components["usd"] for s in first} == {0.0}
    assert len({round(s.value, 6) for s in first}) > TRACES // 2  # expected values, not six digits


def test_no_known_attack_beats_an_honest_wrong_trace(local, tmp_path):
    options = {"base_url": local.base_url, "model": local.name, "cache": str(tmp_path / "c"), **BRIEF}
    options |= {"deadline_s": 300.0, "batch_s": 600.0}
    rows = read_labelled("red_team")
    known = [row for row in rows if row.kind not in ("plain_talk", "held_out")]
    assert len(known) >= 60
    guarded = red_team(Panel(panel_config(options)), known)["all"]
    always = red_team(Panel(panel_config(options | {"guard": "always"})), rows)["all"]
    open_ = red_team(Panel(panel_config(options | {"guard": "off"})), known)["all"]
    assert (guarded.beaten, guarded.missing) == (0, 0)
    assert (always.beaten, always.missing) == (0, 0)
    assert open_.beaten > 0  # the model is weak: without the guard asking pays
