"""The bounded search for the nearest segment finds what a look at all segments finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_scenes import straight_road

from rewards.compiled.lanes import measured, projected
from rewards.lane_frame import reference_lane
from scenes.geometry import project


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10_000),
    st.floats(0.0, 7.0),
    st.sampled_from([0.0, 0.3, 3.0]),
    st.sampled_from([0.3, 4.0, 60.0]),
)
def test_projection_is_that_of_the_geometry(seed, turn, wobble, spread):
    """Lines from straight to more than a full circle, points from beside to far away."""
    random = np.random.default_rng(seed)
    heading = np.linspace(0.0, turn, 60) + 0.05 * wobble * np.sin(np.arange(60) / 3.0)
    step = random.uniform(0.5, 3.0, 60)
    line = np.cumsum(np.stack([step * np.cos(heading), step * np.sin(heading)], axis=-1), axis=0)
    points = line[random.integers(0, 60, 40)] + random.normal(0.0, spread, (40, 2))
    s, d = project(points, line)
    found = projected(points, line, measured(line))
    assert found[:, 1] == pytest.approx(d, abs=1e-9)
    # Where two places are equally near, either will do.
    there = np.stack([np.interp(found[:, 0], measured(line), line[:, axis]) for axis in (0, 1)], axis=-1)
    assert np.linalg.norm(points - there, axis=-1) == pytest.approx(np.abs(d), abs=1e-9)
    assert np.median(np.abs(found[:, 0] - s)) < 1e-9


def test_points_that_stand_twice_at_the_ends_of_a_lane_give_it_no_other_direction():
    lane = np.array([[-20.0, 0.0], [-20.0, 0.0], [0.0, 0.0], [40.0, 0.0], [40.0, 0.0]])
    nowhere = np.zeros((3, 2))
    found = reference_lane(replace(straight_road(), lanes=(nowhere, lane), lane_widths=(3.5, 3.5)))
    assert found is not None
    assert found.centre[0].tolist() == [-170.0, 0.0]
    assert found.centre[-1].tolist() == [190.0, 0.0]
    assert found.yaw.tolist() == [0.0] * 7


def test_a_point_that_stands_twice_in_a_line_is_passed_over():
    line = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 0.0], [9.0, 0.0]])
    assert projected(np.array([[5.0, 1.0]]), line, measured(line)).tolist() == [[5.0, 1.0]]
