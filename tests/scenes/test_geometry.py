"""Boxes, polylines and polygons against independent constructions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenes.geometry import (
    arc_length,
    box_clearance,
    box_corners,
    boxes_overlap,
    curvature,
    ego_box_pose,
    headings,
    in_polygon,
    locate,
    project,
    to_frame,
    transform,
    wrap_angle,
)

angle = st.floats(-10.0, 10.0)
place = st.floats(-8.0, 8.0)
extent = st.floats(0.5, 6.0)


def sampled_overlap(pose_a, size_a, pose_b, size_b) -> bool:
    """Whether any of a fine grid of points of box a lies in box b, or the other way round."""
    grid = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 41), np.linspace(-0.5, 0.5, 41)), axis=-1).reshape(
        -1, 2
    )
    inside = False
    for (p, s), (q, r) in (((pose_a, size_a), (pose_b, size_b)), ((pose_b, size_b), (pose_a, size_a))):
        local = to_frame(transform(grid * np.array(s), np.array(p)), np.array(q))
        inside |= bool(np.any(np.all(np.abs(local) <= np.array(r) / 2, axis=-1)))
    return inside


@given(
    st.tuples(place, place, angle),
    st.tuples(extent, extent),
    st.tuples(place, place, angle),
    st.tuples(extent, extent),
)
def test_overlap_agrees_with_sampling(pose_a, size_a, pose_b, size_b):
    clearance = float(box_clearance(pose_a, size_a, pose_b, size_b))
    assert clearance == pytest.approx(float(box_clearance(pose_b, size_b, pose_a, size_a)), abs=1e-9)
    if clearance > 0.0:
        assert not sampled_overlap(pose_a, size_a, pose_b, size_b)
    if clearance < -0.2:
        assert sampled_overlap(pose_a, size_a, pose_b, size_b)


def test_overlap_broadcasts_and_ignores_missing_poses():
    ego = np.zeros((1, 5, 3))
    others = np.full((4, 5, 3), np.nan)
    others[0, 2] = (1.0, 0.0, 0.0)
    hits = boxes_overlap(ego, (4.0, 2.0), others, np.full((4, 1, 2), 2.0))
    assert hits.sum() == 1
    assert hits[0, 2]


def test_clearance_of_aligned_boxes_is_the_gap():
    assert box_clearance((0, 0, 0), (4, 2), (7, 0, 0), (2, 2)) == pytest.approx(4.0)
    assert box_clearance((0, 0, 0), (4, 2), (0, 1.5, math.pi), (4, 2)) == pytest.approx(-0.5)


def test_corners_and_ego_box():
    corners = box_corners((1.0, 2.0, math.pi / 2), (4.0, 2.0))
    assert np.allclose(corners[0], (0.0, 4.0))
    assert np.allclose(ego_box_pose(np.array([0.0, 0.0, math.pi / 2, 5.0]), 1.4), (0.0, 1.4, math.pi / 2))


@given(st.lists(st.floats(-0.05, 0.05), min_size=5, max_size=40), st.floats(0.1, 0.9), st.floats(-3.0, 3.0))
def test_projection_inverts_location(bends, share, d):
    heading = np.cumsum(bends)
    line = np.cumsum(2.0 * np.stack([np.cos(heading), np.sin(heading)], axis=-1), axis=0)
    s = share * arc_length(line)[-1]
    foot = locate(s, 0.0, line)
    x, y = foot[0] - d * math.sin(foot[2]), foot[1] + d * math.cos(foot[2])
    s_found, d_found = project((x, y), line)
    assert s_found == pytest.approx(s, abs=0.35)
    assert d_found == pytest.approx(d, abs=0.05)


def test_circle_has_its_curvature_and_heading():
    phi = np.linspace(0.0, math.pi, 200)
    circle = 20.0 * np.stack([np.sin(phi), 1.0 - np.cos(phi)], axis=-1)
    assert np.allclose(curvature(circle)[2:-2], 1 / 20.0, atol=1e-4)
    assert headings(circle)[-1] == pytest.approx(math.pi, abs=0.02)


def test_location_goes_on_straight_beyond_the_ends():
    line = np.array([[0.0, 0.0], [10.0, 0.0]])
    assert np.allclose(locate(np.array([-5.0, 15.0]), np.array([1.0, 1.0]), line), [[-5, 1, 0], [15, 1, 0]])


@given(angle)
def test_wrapped_angles_are_equal_modulo_a_turn(a):
    wrapped = float(wrap_angle(a))
    assert -math.pi < wrapped <= math.pi
    assert math.cos(wrapped - a) == pytest.approx(1.0)


def test_point_in_concave_polygon():
    ring = np.array([[0, 0], [4, 0], [4, 4], [2, 1], [0, 4]], dtype=float)
    points = np.array([[2, 0.5], [2, 3], [0.2, 3.0], [5, 1]])
    assert in_polygon(points, ring).tolist() == [True, False, True, False]
    with pytest.raises(ValueError, match="at least 3"):
        in_polygon(points, ring[:2])


def test_short_polylines_are_refused():
    with pytest.raises(ValueError, match="at least 2"):
        project((0.0, 0.0), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="at least 2"):
        headings(np.zeros((1, 2)))
