"""Drift: measured afresh every k batches, told in scores and log, unknown where it cannot be measured."""

from __future__ import annotations

import asyncio
import logging

import pytest
from judged_clip import clip, reward, views
from openai_stand_in import Reply, endpoint, grades

from critic_server.labelled_set import read_labelled
from rewards.client import ClientConfig, RewardClient
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.server import ServerConfig

SET = len(read_labelled("canary"))


def test_a_judge_that_changes_behind_its_name_is_noticed(tmp_path, caplog):
    caplog.set_level(logging.INFO, "ar1.critic")
    before = [Reply(grades(5, 5))] * (SET + 2)
    with endpoint(*before, Reply(grades(2, 5))) as service:
        judged = reward(service.url, canary_every=2, cache=str(tmp_path / "critic.sqlite"))
        found = [judged.score(views(f"Stop {i}."), {"c": clip()})[0] for i in range(3)]
        assert len(service.got) == 2 * SET + 3
    assert "drift" not in found[0].components
    assert "drift" not in found[1].components
    # 3 of 5 on every trace but those that the rubric holds at 0 both times
    drift = found[2].components["drift"]
    assert 2.0 < drift < 3.0
    assert f"drifts by {drift:.3f} of 5" in caplog.text


def test_a_canary_that_is_not_graded_is_no_drift_of_0(caplog):
    with endpoint(*[Reply("no", 400)] * SET, Reply("no", 400)) as service:
        (score,) = reward(service.url, canary_every=1).score(views("Stop."), {"c": clip()})
    assert "drift" not in score.components
    assert "drift unknown" in caplog.text


def test_without_a_canary_nothing_more_is_asked():
    with endpoint(Reply()) as service:
        reward(service.url).score(views("Stop."), {"c": clip()})
        assert len(service.got) == 1
    with pytest.raises(ValueError, match="canary_every"):
        reward("http://127.0.0.1:9/v1", canary_every=-1)


@pytest.mark.process
def test_a_reward_server_passes_drift_to_its_log_and_its_clients(tmp_path):
    with endpoint(*[Reply(grades(5, 5))] * (SET + 1), Reply(grades(0, 0))) as service:
        options = {"backend": "openai", "base_url": service.url, "model": "m", "canary_every": 1}
        options |= {"cache": str(tmp_path / "critic.sqlite")}
        config = ServerConfig((RewardSource("reasoning", options=options),), timeout_s=60.0)

        async def ask(url):
            client = RewardClient(ClientConfig(url, deadline_s=60.0))
            try:
                await client.wait_ready(30.0)
                first = await client.score(views("Stop."), {"c": clip()})
                return first + await client.score(views("Halt."), {"c": clip()})
            finally:
                await client.close()

        with SupervisedServer(LaunchConfig(config, tmp_path)) as server:
            first, second = asyncio.run(ask(server.url("reasoning")))
            log = server.log_tail(200)
    assert (first.value, second.value) == (1.0, 0.0), (first, log)
    assert "drift" not in first.components
    assert second.components["drift"] > 4.0
    assert "first grades of" in log
    assert "drifts by" in log
