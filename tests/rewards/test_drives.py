"""A batch of drives is measured as its drives one by one, with and without a lane."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reward_scenes import make_clip, straight_road

from rewards.drive import front_m, measure
from rewards.drives import measure_batch
from rewards.lane_frame import reference_lane
from scenes.cameras import default_rig
from scenes.clip import RoadMap
from scenes.dynamics import integrate
from scenes.geometry import project
from scenes.world import WorldConfig, generate


def lane_that_ends() -> RoadMap:
    road = straight_road()
    return replace(road, lanes=(road.lanes[0][:25], road.lanes[1]))


def test_every_field_is_as_measured_alone():
    random = np.random.default_rng(3)
    rig = default_rig(("front_wide", "front_tele"))
    clips = [clip.without_cameras() for clip in generate(WorldConfig(), 0, 12, rig)]
    bare = [replace(clip, road=None) for clip in clips[:4]]
    clips += [*bare, make_clip(road=lane_that_ends()), make_clip(road=straight_road(40.0))]
    lanes = [reference_lane(clip.road) for clip in clips]
    assert sum(lane is None for lane in lanes) == 4
    which = [i % len(clips) for i in range(3 * len(clips))]
    taken, states = [], []
    for number, i in enumerate(which):
        steps = 40 if number % 5 == 0 else 64
        drive = clips[i].actions[:steps] + random.normal(0.0, (0.3, 0.003), (steps, 2))
        taken.append(drive)
        states.append(integrate(drive, clips[i].ego_history[-1, 3]))
    fronts = [front_m(clips[i]) for i in which]
    batch = measure_batch(states, taken, [lanes[i] for i in which], fronts)
    passed_the_end = stop_lines = 0
    for number, found in enumerate(batch):
        alone = measure(states[number], taken[number], lanes[which[number]], fronts[number])
        assert found.speed == pytest.approx(alone.speed)
        assert (found.longitudinal, found.lateral) == (alone.longitudinal, alone.lateral)
        assert (found.reverses, found.frame.mapped) == (alone.reverses, alone.frame.mapped)
        assert found.turned == pytest.approx(alone.turned)
        assert found.frame.bend == pytest.approx(alone.frame.bend)
        assert found.frame.offset == pytest.approx(alone.frame.offset, abs=1e-9)
        assert found.frame.heading == pytest.approx(alone.frame.heading, abs=1e-9)
        assert (found.stop_gap is None) == (alone.stop_gap is None)
        if alone.stop_gap is not None:
            stop_lines += 1
            assert found.stop_gap == pytest.approx(alone.stop_gap)
        lane = lanes[which[number]]
        if lane is not None and lane.beyond is not None:
            passed_the_end += 1
    assert passed_the_end
    assert stop_lines


def test_a_batch_of_none_is_none():
    assert measure_batch([], [], [], []) == []


def test_projection_of_many_points_leaves_out_only_what_cannot_be_nearest():
    random = np.random.default_rng(4)
    for scale in (1.0, 30.0):
        line = np.cumsum(random.normal(0.5, 1.0, (90, 2)) * scale, axis=0)
        points = random.normal(20.0 * scale, 12.0 * scale, (400, 2))
        s, d = project(points, line)
        alone = [project(point, line) for point in points]
        assert s == pytest.approx([float(one[0]) for one in alone], rel=1e-12)
        assert d == pytest.approx([float(one[1]) for one in alone], rel=1e-12)
    assert np.isnan(project(np.full((400, 2), np.nan), line)[1]).all()
