"""The bird's-eye scene is plain JSON, in the ego frame, and complete."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from example_run import make_clip, make_group

from rl.bird_eye import bird_eye, colour_values
from scenes.trajectory import FUTURE_STEPS


def test_scene_is_json_and_in_view() -> None:
    clip = make_clip(1)
    group = make_group(1, 4, clip)
    scene = bird_eye(clip, group.rollouts)
    assert json.loads(json.dumps(scene, allow_nan=False)) == scene
    x0, y0, x1, y1 = scene["extent"]
    for path in scene["paths"]:
        if path["role"] == "history":
            continue
        states = np.array(path["states"])
        assert states.shape == (FUTURE_STEPS + 1, 4)
        assert (states[:, 0] > x0).all()
        assert (states[:, 0] < x1).all()
        assert (states[:, 1] > y0).all()
        assert (states[:, 1] < y1).all()


def test_paths_are_the_trajectories_to_the_centimetre() -> None:
    clip = make_clip(2)
    group = make_group(1, 0, clip)
    scene = bird_eye(clip, group.rollouts)
    samples = {path["id"]: np.array(path["states"]) for path in scene["paths"] if path["role"] == "sample"}
    assert set(samples) == {str(rollout.index) for rollout in group.rollouts}
    for rollout in group.rollouts:
        assert rollout.trajectory is not None
        np.testing.assert_allclose(samples[str(rollout.index)][1:], rollout.trajectory.states, atol=6e-3)
    (expert,) = [path for path in scene["paths"] if path["role"] == "expert"]
    np.testing.assert_allclose(expert["states"][1:], clip.ego_future, atol=6e-3)


def test_an_invalid_sample_has_no_path() -> None:
    clip = make_clip(0)
    group = make_group(1, 4, clip)
    invalid = [str(r.index) for r in group.rollouts if r.trajectory is None]
    drawn = [path["id"] for path in bird_eye(clip, group.rollouts)["paths"] if path["role"] == "sample"]
    assert invalid == ["1"]
    assert len(drawn) == len(group.rollouts) - 1
    assert "1" not in drawn


def test_agents_that_are_not_seen_have_no_pose() -> None:
    clip = make_clip(0)
    valid = clip.agents.valid.copy()
    valid[0, 40:] = False
    valid[1, 10:] = False  # seen in the past only
    poses = np.where(valid[..., None], clip.agents.poses, np.nan)
    hidden = replace(clip, agents=replace(clip.agents, valid=valid, poses=poses))
    boxes = {box["id"]: box for box in bird_eye(hidden)["boxes"]}
    assert set(boxes) == {"car:0", "pedestrian:0"}
    assert len(boxes["car:0"]["poses"]) == FUTURE_STEPS + 1
    assert [pose is not None for pose in boxes["car:0"]["poses"]] == [
        k + 15 < 40 for k in range(FUTURE_STEPS + 1)
    ]


def test_a_bare_clip_can_be_drawn() -> None:
    scene = bird_eye(replace(make_clip(0), road=None, signals=None, label=None, cameras=None))
    assert scene["polygons"] == scene["polylines"] == scene["marks"] == []
    assert [path["role"] for path in scene["paths"]] == ["history", "expert"]


def test_colours_follow_the_total_or_one_reward() -> None:
    group = make_group(1, 5, make_clip(0))
    total, reasoning = colour_values(group.rollouts), colour_values(group.rollouts, "reasoning")
    assert total["2"] is None
    assert reasoning["2"] is None
    assert total["0"] == group.rollouts[0].total
    assert reasoning["0"] == pytest.approx(group.rollouts[0].scores[0].value)
    assert set(colour_values(group.rollouts, "nobody").values()) == {None}
