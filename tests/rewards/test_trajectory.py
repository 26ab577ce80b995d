"""The trajectory reward: the expert is best, faults cost what the formula says, an invalid completion is worst."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reward_scenes import SPEED, actions, invalid, make_clip, parked_car, rollout

from rewards.collision import collides
from rewards.comfort import ComfortLimits, comfort_flags, mean_jerk, rate
from rewards.description import describe
from rewards.score import Status
from rewards.trajectory import TrajectoryReward, TrajectoryWeights, combine, measure
from scenes.clip import Agents
from scenes.dynamics import integrate

CLIP = make_clip()
CLIPS = {"c0": CLIP}


def score(*views, clips=CLIPS, **weights):
    return TrajectoryReward(**weights).score(views, clips)


def test_the_expert_gets_the_highest_value():
    (best,) = score(rollout())
    assert best.value == 0.0
    assert (best.components["ade"], best.components["comfort"], best.components["collision"]) == (
        0.0,
        1.0,
        0.0,
    )


def test_the_value_is_the_documented_sum():
    drive = actions(-0.5)
    (found,) = score(rollout(drive=drive))
    distance = np.linalg.norm(integrate(drive, SPEED)[:, :2] - CLIP.ego_future[:, :2], axis=-1)
    assert found.components["ade"] == pytest.approx(distance.mean())
    assert found.components["fde"] == pytest.approx(distance[-1])
    assert found.value == pytest.approx(-min(distance.mean() / 3.0, 2.0))


def test_an_invalid_completion_gets_the_lowest_value_with_its_reason():
    (found,) = score(invalid())
    assert found.value == TrajectoryReward().low == pytest.approx(-3.29)
    assert found.status is Status.OK
    assert "127 trajectory tokens" in found.explanation


def test_another_horizon_is_missing_not_zero():
    short = replace(rollout(), actions=actions()[:30], states=integrate(actions(), SPEED)[:30])
    (found,) = score(short)
    assert (found.value, found.status) == (None, Status.DATA)
    assert "30 predicted steps, 64 expert steps" in found.explanation


def test_driving_through_a_parked_car_collides_and_passing_it_does_not():
    in_the_way = make_clip(agents=parked_car(30.0, 3.0))
    straight, swerving = rollout(0), rollout(1, drive=actions(0.0, 0.01))
    clear, hit = score(straight, swerving, clips={"c0": in_the_way})
    assert (clear.components["collision"], hit.components["collision"]) == (0.0, 1.0)
    assert hit.value <= -1.0
    assert "collision" in hit.explanation


def test_the_margin_grows_the_ego():
    beside = make_clip(agents=parked_car(30.0, 2.1))
    states = integrate(actions(), SPEED)[None]
    # 2.1 m between centres, half widths 0.95 and 0.9: 0.25 m apart.
    assert not collides(states, beside, 0.2)[0]
    assert collides(states, beside, 0.3)[0]


def test_where_the_expert_overlaps_an_agent_the_annotation_is_wrong():
    on_the_expert = make_clip(agents=parked_car(30.0, 0.0))
    assert not collides(integrate(actions(), SPEED)[None], on_the_expert)[0]


def test_agents_that_are_not_seen_cannot_be_hit():
    agents = parked_car(30.0, 3.0)
    hidden = replace(agents, valid=np.zeros((1, 80), bool), poses=np.full((1, 80, 3), np.nan))
    states = integrate(actions(0.0, 0.01), SPEED)[None]
    assert collides(states, make_clip(agents=agents))[0]
    assert not collides(states, make_clip(agents=hidden))[0]


def test_reversing_is_flagged_and_costs():
    backwards = rollout(drive=actions(-2.0))
    (found,) = score(backwards)
    assert found.components["reverse"] == 1.0
    assert found.value == pytest.approx(-2.0 - 0.25)


def test_weights_are_the_callers():
    reward = TrajectoryReward(ade=0.0, collision=0.0, jerk=0.0, reverse=0.0, comfort=2.0)
    (found,) = reward.score([rollout(drive=actions(3.0))], CLIPS)
    assert reward.low == -2.0
    assert found.value == pytest.approx(-2.0 * (1.0 - found.components["comfort"]))
    with pytest.raises(TypeError, match="speed"):
        TrajectoryReward(speed=1.0)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, (64, 2), elements=st.floats(-9.0, 9.0)),
    st.floats(0.0, 2.0),
    st.floats(0.0, 2.0),
)
def test_every_value_is_within_the_stated_range(drive, fde, comfort):
    reward = TrajectoryReward(fde=fde, comfort=comfort)
    (found,) = reward.score([rollout(drive=drive)], {"c0": make_clip(agents=parked_car(20.0, 1.0))})
    assert reward.low - 1e-9 <= found.value <= reward.high
    stated = {component.name: component for component in describe(reward).components}
    for name, number in found.components.items():
        assert stated[name].low <= number <= stated[name].high
    assert set(stated) - set(found.components) == {"off_road"}  # the clip has no drivable area


@settings(deadline=None)
@given(hnp.arrays(np.float64, (3, 64, 2), elements=st.floats(-3.0, 2.0)))
def test_a_batch_scores_as_its_rollouts_one_by_one(drives):
    views = [rollout(number, drive=drive) for number, drive in enumerate(drives)]
    together = score(*views)
    apart = [score(view)[0] for view in views]
    assert [s.value for s in together] == pytest.approx([s.value for s in apart])


def test_order_is_kept_over_clips_and_invalid_rollouts():
    clips = {"c0": CLIP, "c1": make_clip("c1", agents=parked_car(20.0, 0.0))}
    views = [
        rollout(0, clip_id="c1", drive=actions(0.0, 0.02)),
        invalid(1),
        rollout(2),
        rollout(3, clip_id="c1"),
    ]
    mixed = score(*views, clips=clips)
    assert [s.value for s in mixed] == [score(v, clips=clips)[0].value for v in views]


def loop_flags(states: np.ndarray, limits: ComfortLimits) -> dict[str, bool]:
    """The flags of one drive, step by step in plain Python."""

    def derive(values):
        out = [(values[i + 1] - values[i]) * 10.0 for i in range(len(values) - 1)]
        return [*out, out[-1]]

    x, y, yaw = (list(states[:, i]) for i in range(3))
    vx, vy = derive(x), derive(y)
    along = [np.cos(a) * u + np.sin(a) * w for a, u, w in zip(yaw, vx, vy, strict=True)]
    across = [-np.sin(a) * u + np.cos(a) * w for a, u, w in zip(yaw, vx, vy, strict=True)]
    speed = [np.hypot(u, w) for u, w in zip(vx, vy, strict=True)]
    lon, turn = derive(along), derive(yaw)
    return {
        "longitudinal_acceleration": all(-4.05 < a < 2.40 for a in lon),
        "lateral_acceleration": all(abs(a) < limits.lateral_acceleration for a in derive(across)),
        "jerk": all(abs(a) < limits.jerk for a in derive(derive(speed))),
        "longitudinal_jerk": all(abs(a) < limits.longitudinal_jerk for a in derive(lon)),
        "yaw_acceleration": all(abs(a) < limits.yaw_acceleration for a in derive(turn)),
        "yaw_rate": all(abs(a) < limits.yaw_rate for a in turn),
    }


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-5.0, 4.0), st.floats(-0.2, 0.2), st.floats(0.0, 2.0), st.integers(1, 30), st.floats(0.0, 20.0)
)
def test_comfort_flags_equal_a_plain_loop(acceleration, curvature, wobble, period, speed):
    drive = actions(acceleration, curvature)
    drive[:, 0] += wobble * np.sin(np.arange(64) / period)
    states = integrate(drive, speed)
    found = {name: bool(flag[0]) for name, flag in comfort_flags(states[None]).items()}
    assert found == loop_flags(states, ComfortLimits())


def test_jerk_is_the_mean_change_of_acceleration_per_second():
    drive = actions()
    drive[::2, 0] = 1.0
    assert mean_jerk(drive[None])[0] == pytest.approx(10.0)
    assert rate(np.array([0.0, 1.0, 3.0])).tolist() == [10.0, 20.0, 20.0]


def test_combine_follows_the_weights():
    weights = TrajectoryWeights()
    drive, states = actions(-1.0)[None], integrate(actions(-1.0), SPEED)[None]
    parts = measure(states, drive, np.zeros(1, int), [CLIP], weights)
    parts["collision"] = np.array([1.0])
    assert combine(parts, weights)[0] == pytest.approx(
        -min(parts["ade"][0] / 3, 2) - 1.0 - 0.25 * parts["reverse"][0]
    )


STREET = replace(
    CLIP,
    road=replace(CLIP.road, drivable=(np.array([[-20.0, -2.0], [90.0, -2.0], [90.0, 5.0], [-20.0, 5.0]]),)),
)


def test_the_squared_distance_of_equation_11_is_an_option():
    drive = actions(-0.5)
    (found,) = score(rollout(drive=drive), ade=0.0, squared_l2=0.5)
    apart = integrate(drive, SPEED)[:, :2] - CLIP.ego_future[:, :2]
    squared = np.mean(np.sum(apart**2, axis=-1))
    assert found.components["squared_l2"] == pytest.approx(squared)
    assert found.value == pytest.approx(-0.5 * min(squared / 9.0, 4.0))


def test_every_term_enters_the_value_as_documented():
    weights = {"fde": 0.1, "squared_l2": 0.2, "ttc": 0.3, "short_ttc": 0.4, "off_road": 0.5, "comfort": 0.6}
    clips = {"c0": replace(STREET, agents=parked_car(70.0, 12.0))}
    drive = actions(2.5, 0.006)
    drive[::2, 0] = 2.0
    (found,) = score(rollout(drive=drive), clips=clips, **weights)
    part = found.components
    assert 0.0 < part["min_ttc"] < 1.5
    assert 0.0 < part["short_ttc"] < 1.0
    assert 0.0 < part["off_road"] < 1.0
    assert found.value == pytest.approx(
        -min(part["ade"] / 3.0, 2.0)
        - 0.1 * min(part["fde"] / 3.0, 2.0)
        - 0.2 * min(part["squared_l2"] / 9.0, 4.0)
        - part["collision"]
        - 0.3 * (1.0 - part["min_ttc"] / 1.5)
        - 0.4 * part["short_ttc"]
        - 0.5 * part["off_road"]
        - 0.02 * min(part["mean_jerk"] / 5.0, 2.0)
        - 0.25 * part["reverse"]
        - 0.6 * (1.0 - part["comfort"])
    )
    assert "off the road" in found.explanation
    reward = TrajectoryReward(**weights)
    assert reward.low == pytest.approx(-(2.0 + 0.2 + 0.8 + 1.0 + 0.3 + 0.4 + 0.5 + 0.04 + 0.25 + 0.6))


def test_by_default_the_new_terms_do_not_change_the_value():
    clips = {"c0": replace(STREET, agents=parked_car(45.0, 3.0))}
    (found,) = score(rollout(drive=actions(1.0, 0.02)), clips=clips)
    part = found.components
    assert part["off_road"] > 0.0
    old = -min(part["ade"] / 3.0, 2.0) - part["collision"] - 0.25 * part["reverse"]
    assert found.value == pytest.approx(old)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({"ttc_horizon_s": 0.0}, "ttc_horizon_s is 0.0"),
        ({"ttc_threshold_s": 4.0}, "beyond ttc_horizon_s"),
        ({"ade": -1.0}, "ade is -1.0"),
        ({"collision": float("nan")}, "collision is nan"),
        ({"jerk_scale": float("inf")}, "jerk_scale is inf"),
    ],
)
def test_a_weight_that_cannot_be_one_is_refused(weights, told):
    with pytest.raises(ValueError, match=told):
        TrajectoryReward(**weights)


@pytest.mark.parametrize("number", [np.nan, np.inf, -1e9])
def test_a_wild_drive_is_missing_and_leaves_its_siblings_alone(number):
    states = integrate(actions(), SPEED)
    states[7, 1] = number
    bad, good = score(replace(rollout(0), states=states), rollout(1))
    assert (bad.value, bad.status) == (None, Status.DATA)
    assert "not finite or beyond" in bad.explanation
    assert good.value == 0.0
    assert rollout(0).states is not states
    assert states[7, 0] != 0.0  # the caller's array is not written to


def test_a_clip_with_contradicting_annotations_is_missing_and_says_what_to_mend():
    agents = parked_car(30.0, 3.0)
    poses = agents.poses.copy()
    poses[0, 30] = np.nan
    clips = {
        "c0": CLIP,
        "pose": make_clip("pose", replace(agents, poses=poses)),
        "size": make_clip("size", replace(agents, sizes=-agents.sizes)),
        "ring": replace(STREET, clip_id="ring", road=replace(CLIP.road, drivable=(np.zeros((2, 2)),))),
        "expert": replace(CLIP, clip_id="expert", ego_future=np.full((64, 4), np.nan)),
    }
    good, *bad = score(*(rollout(i, clip_id=name) for i, name in enumerate(clips)), clips=clips)
    assert good.value == 0.0
    assert {(s.value, s.status) for s in bad} == {(None, Status.DATA)}
    for found, told in zip(bad, ("mark the step invalid", "size", "at least 3", "refit"), strict=True):
        assert told in found.explanation


def test_one_step_is_missing_because_it_has_no_jerk():
    short = replace(CLIP, ego_future=CLIP.ego_future[:1], actions=CLIP.actions[:1])
    view = replace(rollout(), states=CLIP.ego_future[:1], actions=actions()[:1])
    (found,) = score(view, clips={"c0": short})
    assert (found.value, found.status) == (None, Status.DATA)


def test_clips_of_different_horizons_share_a_batch():
    short = replace(make_clip("short"), ego_future=CLIP.ego_future[:30], actions=CLIP.actions[:30])
    drive = integrate(actions(-0.5), SPEED)
    half = replace(rollout(0, clip_id="short"), states=drive[:30], actions=actions(-0.5)[:30])
    both = score(half, rollout(1, drive=actions(-0.5)), clips={"c0": CLIP, "short": short})
    apart = np.linalg.norm(drive[:, :2] - CLIP.ego_future[:, :2], axis=-1)
    assert both[0].components["ade"] == pytest.approx(apart[:30].mean())
    assert both[1].components["ade"] == pytest.approx(apart.mean())


def test_memory_is_bounded_by_the_chunk_and_not_by_the_batch():
    crowd = parked_car(30.0, 3.0)
    many = Agents(
        tuple(map(str, range(40))),
        crowd.classes * 40,
        np.tile(crowd.sizes, (40, 1)),
        np.tile(crowd.poses, (40, 1, 1)),
        np.tile(crowd.valid, (40, 1)),
    )
    clips = {"c0": replace(STREET, agents=many)}
    one = rollout(drive=actions(0.2, 0.003))
    peaks = {}
    for count in (512, 4096):
        views = [replace(one, rollout_id=str(i)) for i in range(count)]
        tracemalloc.start()
        scores = score(*views, clips=clips)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len({s.value for s in scores}) == 1
        peaks[count] = peak - kept
    # 4096 rollouts against 40 road users over 64 steps are 84 MB an array of float64.
    assert peaks[4096] < peaks[512] + 16e6
