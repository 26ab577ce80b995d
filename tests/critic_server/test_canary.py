"""Drift: measured afresh every k batches, told in scores and log, unknown where it cannot be measured."""

from __future__ import annotations

import logging

import pytest
from judged_clip import clip, reward, views
from openai_stand_in import Reply, endpoint, grades

from critic_server.labelled_set import read_labelled

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
