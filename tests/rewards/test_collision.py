"""Collision and time to collision: against slow loops, under rigid motion, margin and padding; odd road users."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_geometry import common_area, corners
from reward_scenes import SPEED, actions, make_clip, parked_car

from rewards.collision import Encounters, collides, encounters
from rewards.contact import Box, first_contact
from rewards.traffic import speeds, traffic
from scenes.clip import Agents, Clip
from scenes.dynamics import integrate
from scenes.geometry import box_clearance, ego_box_pose, transform

HORIZON = 3.0
SPOT = st.floats(-30.0, 60.0)
ANGLE = st.floats(-3.1, 3.1)


def users(*motions: tuple[float, float, float, float], size=(4.5, 1.8, 1.5)) -> Agents:
    """Road users at x, y, yaw at t0 that keep a speed."""
    times = (np.arange(80) - 15) * 0.1
    poses = np.array(
        [
            np.stack([x + v * times * math.cos(a), y + v * times * math.sin(a), np.full(80, a)], axis=-1)
            for x, y, a, v in motions
        ]
    ).reshape(len(motions), 80, 3)
    ids = tuple(f"car-{i}" for i in range(len(motions)))
    sizes = np.tile(np.array(size, float), (len(motions), 1))
    return Agents(ids, ("car",) * len(ids), sizes, poses, np.ones((len(ids), 80), bool))


def meet(states: np.ndarray, clip: Clip, margin: float = 0.0, horizon: float = HORIZON) -> Encounters:
    sizes = np.tile(clip.ego_size, (len(states), 1))
    others = traffic([clip], states.shape[1])
    return encounters(states, np.zeros(len(states), int), sizes, others, margin, horizon)


def overlap_by_area(clip: Clip, states: np.ndarray, step: int, user: int, after: float, speed: float) -> bool:
    """Whether the boxes share area when both have kept their velocities for `after` seconds."""
    length, width, _, offset = clip.ego_size
    x, y, yaw, v = states[step]
    ahead = offset + v * after
    mine = corners(x + ahead * math.cos(yaw), y + ahead * math.sin(yaw), yaw, length, width)
    ux, uy, uyaw = clip.agents.poses[user, 16 + step]
    ulength, uwidth, _ = clip.agents.sizes[user]
    theirs = corners(
        ux + speed * after * math.cos(uyaw), uy + speed * after * math.sin(uyaw), uyaw, ulength, uwidth
    )
    return common_area(mine, theirs) > 1e-9


@settings(max_examples=30, deadline=None)
@given(SPOT, SPOT, ANGLE, st.floats(-2.0, 12.0), st.floats(-2.0, 2.0), st.floats(-0.1, 0.1))
def test_both_equal_a_slow_search_in_time(x, y, yaw, speed, acceleration, curvature):
    clip = make_clip(agents=users((x, y, yaw, speed)))
    states = integrate(actions(acceleration, curvature), SPEED)
    found = meet(states[None], clip)
    counted = traffic([clip], 64).counted[0]
    tick = 0.02
    for step in range(0, 64, 9):
        if not counted[step]:
            continue
        hits = [overlap_by_area(clip, states, step, 0, i * tick, speed) for i in range(round(HORIZON / tick))]
        seconds = found.seconds[0, step]
        assert found.collision[0, step] == hits[0] or _grazes(clip, states, step)
        if any(hits):
            assert seconds <= hits.index(True) * tick + 1e-9
        # Contact that begins between two looks, or ends before the next, is found by the exact method only.
        if seconds < HORIZON - tick:
            late = seconds + 1e-3
            assert overlap_by_area(clip, states, step, 0, late, speed) or _brief(found, clip, states, step)


def _grazes(clip: Clip, states: np.ndarray, step: int) -> bool:
    ego = ego_box_pose(states[step], clip.ego_size[3])
    gap = box_clearance(ego, clip.ego_size, clip.agents.poses[0, 16 + step], clip.agents.sizes[0])
    return abs(float(gap)) < 1e-6


def _brief(found: Encounters, clip: Clip, states: np.ndarray, step: int) -> bool:
    """Whether the contact is one of corners that a centimetre less of ego would miss."""
    return bool(meet(states[None], clip, -0.01).seconds[0, step] > found.seconds[0, step] + 0.01)


def test_following_a_slower_car_closes_the_gap_in_the_time_that_arithmetic_says():
    clip = make_clip(agents=users((40.0, 0.0, 0.0, 3.0)))
    found = meet(integrate(actions(), SPEED)[None], clip, horizon=10.0)
    # Front bumper 3.8 m ahead of the rear axle, rear bumper 2.25 m behind the centre; closing at 5 m/s.
    gap = 40.0 + 0.3 - 2.25 - (0.8 + 3.8)
    assert found.seconds[0, 0] == pytest.approx(gap / 5.0)
    falls = np.diff(found.seconds[0, :60])
    assert falls == pytest.approx(np.full(59, -0.1))


def test_parallel_traffic_and_a_car_that_pulls_away_never_meet():
    beside, ahead = (5.0, 3.0, 0.0, SPEED), (20.0, 0.0, 0.0, SPEED + 1.0)
    found = meet(integrate(actions(), SPEED)[None], make_clip(agents=users(beside, ahead)))
    assert (found.seconds == HORIZON).all()


def test_standing_still_beside_a_standing_car_is_safe_and_in_it_is_a_collision():
    still = np.zeros((1, 64, 4))
    assert (meet(still, make_clip(agents=users((8.0, 0.0, 0.0, 0.0)))).seconds == HORIZON).all()
    inside = meet(still, make_clip(agents=users((0.0, 0.0, 0.0, 0.0))))
    assert inside.collision[0, 20:].all()  # before that the expert overlaps it as well
    assert (inside.seconds[0, 20:] == 0.0).all()


@settings(max_examples=60, deadline=None)
@given(SPOT, SPOT, ANGLE, st.floats(0.0, 12.0), SPOT, SPOT, ANGLE, st.floats(-2.0, 2.0))
def test_a_rigid_motion_of_everything_changes_nothing(x, y, yaw, speed, dx, dy, turn, acceleration):
    clip = make_clip(agents=users((x, y, yaw, speed)))
    states = integrate(actions(acceleration, 0.01), SPEED)[None]

    def moved(poses: np.ndarray) -> np.ndarray:
        place = transform(poses[..., :2], np.array([dx, dy, turn]))
        return np.concatenate([place, poses[..., 2:3] + turn, poses[..., 3:]], axis=-1)

    agents = replace(clip.agents, poses=moved(clip.agents.poses))
    there = replace(clip, agents=agents, ego_future=moved(clip.ego_future))
    found = meet(moved(states), there)
    # Grazing contact may go either way: the answer lies between those for a hair more and a hair less of ego.
    more, less = meet(states, clip, 1e-6), meet(states, clip, -1e-6)
    fits = (more.seconds - 1e-4 <= found.seconds) & (found.seconds <= less.seconds + 1e-4)
    at_the_expert = traffic([clip], 64).counted != traffic([there], 64).counted
    assert (fits | at_the_expert).all()
    assert ((found.collision <= more.collision) | at_the_expert).all()
    assert ((found.collision >= less.collision) | at_the_expert).all()


@settings(max_examples=60, deadline=None)
@given(SPOT, SPOT, ANGLE, st.floats(0.0, 12.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_larger_margin_never_makes_anything_safer(x, y, yaw, speed, one, other):
    clip = make_clip(agents=users((x, y, yaw, speed)))
    states = integrate(actions(0.5, 0.01), SPEED)[None]
    small, large = meet(states, clip, min(one, other)), meet(states, clip, max(one, other))
    assert (large.seconds <= small.seconds + 1e-9).all()
    assert (large.collision >= small.collision).all()
    assert (large.seconds[large.collision] == 0.0).all()


@settings(max_examples=60, deadline=None)
@given(SPOT, SPOT, ANGLE, st.floats(0.5, 12.0), SPOT, SPOT, ANGLE, st.floats(0.5, 12.0))
def test_contact_is_the_same_seen_from_either_body(x, y, yaw, speed, x2, y2, yaw2, speed2):
    a, b = _box(x, y, yaw, speed, 4.8, 1.9), _box(x2, y2, yaw2, speed2, 2.0, 0.7)
    one, other = first_contact(a, b), first_contact(b, a)
    assert one[0] == other[0]
    assert one[1] == pytest.approx(other[1])


@settings(max_examples=60, deadline=None)
@given(SPOT, SPOT, ANGLE, st.floats(0.5, 12.0), st.floats(0.1, 2.0))
def test_driven_backwards_in_time_the_bodies_part_when_they_met(x, y, yaw, speed, later):
    a, b = _box(0.0, 0.0, 0.0, 8.0, 4.8, 1.9), _box(x, y, yaw, speed, 4.5, 1.8)
    _, begin = first_contact(a, b)
    if not 0.0 < begin[0] < 100.0:
        return
    at = begin[0] - later
    back = [
        _box(c.x[0], c.y[0], w, -v, 2 * c.half_length[0], 2 * c.half_width[0], -at)
        for c, w, v in ((a, 0.0, 8.0), (b, yaw, speed))
    ]
    # From a moment before the contact, with velocities turned round, they only move apart.
    assert first_contact(*back)[1][0] == math.inf


def _box(
    x: float, y: float, yaw: float, speed: float, length: float, width: float, after: float = 0.0
) -> Box:
    vx, vy = speed * math.cos(yaw), speed * math.sin(yaw)
    values = (x + vx * after, y + vy * after, math.cos(yaw), math.sin(yaw), vx, vy, length / 2, width / 2)
    return Box(*(np.array([value]) for value in values))


def test_a_clip_without_road_users_is_safe():
    found = meet(integrate(actions(), SPEED)[None], make_clip())
    assert not found.collision.any()
    assert (found.seconds == HORIZON).all()
    assert not collides(integrate(actions(), SPEED)[None], make_clip()).any()


def test_road_users_count_only_while_they_are_seen():
    agents = parked_car(30.0, 3.0)
    poses, valid = agents.poses.copy(), agents.valid.copy()
    valid[0, 40:], poses[0, 40:] = False, np.nan
    clip = make_clip(agents=replace(agents, poses=poses, valid=valid))
    states = integrate(actions(0.0, 0.01), SPEED)[None]
    always, sometimes = meet(states, make_clip(agents=agents)), meet(states, clip)
    assert (sometimes.seconds[0, :24] == always.seconds[0, :24]).all()
    assert (sometimes.seconds[0, 24:] == HORIZON).all()
    assert always.collision[0, 24:].any()
    assert not sometimes.collision[0, 24:].any()


def test_a_user_seen_once_can_be_hit_but_has_no_speed_to_meet_with():
    agents = parked_car(30.0, 3.0)
    once = np.zeros((1, 80), bool)
    once[0, 16 + 35] = True
    states = integrate(actions(0.0, 0.01), SPEED)[None]
    always = meet(states, make_clip(agents=agents))
    assert always.collision[0, 35]
    found = meet(states, make_clip(agents=replace(agents, valid=once)))
    assert found.collision[0].nonzero()[0].tolist() == [35]
    once[0, 16 + 35], once[0, 16 + 20] = False, True
    assert always.seconds[0, 20] < HORIZON
    assert (meet(states, make_clip(agents=replace(agents, valid=once))).seconds == HORIZON).all()


def test_a_zero_size_user_is_a_point_that_can_be_hit():
    clip = make_clip(agents=users((30.0, 1.2, 0.0, 0.0), size=(0.0, 0.0, 0.0)))
    found = meet(integrate(actions(), SPEED)[None], clip, margin=0.3)
    assert found.collision.any()
    assert not meet(integrate(actions(), SPEED)[None], clip).collision.any()


def test_speed_is_taken_from_the_neighbours_that_are_seen():
    poses = np.zeros((1, 5, 3))
    poses[0, :, 0] = [0.0, 1.0, 3.0, 6.0, 10.0]
    every = np.ones((1, 5), bool)
    assert speeds(poses, every)[0] == pytest.approx([10.0, 15.0, 25.0, 35.0, 40.0])
    gap = np.array([[True, True, False, True, False]])
    found = speeds(poses, gap)[0]
    assert found[:2] == pytest.approx([10.0, 10.0])
    assert np.isnan(found[2:]).all()
    assert speeds(poses + [0.0, 0.0, math.pi], every)[0, 2] == pytest.approx(-25.0)


def test_rows_of_many_clips_are_those_of_each_clip_alone():
    scenes = [
        make_clip("a", users((30.0, 2.0, 0.3, 4.0))),
        make_clip("b"),
        make_clip("c", users((20.0, -1.0, 0.0, 2.0), (50.0, 3.0, 3.0, 9.0), (10.0, 6.0, -1.0, 3.0))),
    ]
    drives = np.stack([integrate(actions(a, k), SPEED) for a in (-1.0, 0.5) for k in (-0.01, 0.0, 0.01)])
    which = np.array([2, 0, 1, 2, 1, 0])
    sizes = np.tile(scenes[0].ego_size, (6, 1))
    together = encounters(drives, which, sizes, traffic(scenes, 64), 0.1, HORIZON)
    assert together.collision.any()
    for row, number in enumerate(which):
        alone = meet(drives[row : row + 1], scenes[number], 0.1)
        assert (together.collision[row] == alone.collision[0]).all()
        assert (together.seconds[row] == alone.seconds[0]).all()
