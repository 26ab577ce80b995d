"""Off-road: the slabs against a slow point-in-polygon, on made-up, procedural and recorded maps."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_geometry import corners, distance_to_ring, inside
from reward_scenes import SPEED, actions, make_clip, rollout

from rewards.drivable_area import drivable_areas
from rewards.off_road import off_road_share
from rewards.score import Status
from rewards.trajectory import TrajectoryReward
from scenes.cameras import default_rig
from scenes.clip import Clip, RoadMap
from scenes.commonroad import read_commonroad
from scenes.dynamics import integrate
from scenes.geometry import ego_box_pose, transform
from scenes.world import WorldConfig, generate

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "commonroad"


def road(*rings) -> RoadMap:
    return RoadMap((), (), (), (), tuple(np.array(ring, float) for ring in rings))


def box(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


STREET = road(box(-20.0, -2.0, 100.0, 6.0))


def share(states: np.ndarray, clip: Clip) -> float:
    return float(off_road_share(states[None], np.zeros(1, int), [clip])[0])


def boxes(states: np.ndarray, clip: Clip) -> list[list[tuple[float, float]]]:
    length, width, _, ahead = clip.ego_size
    return [corners(x, y, yaw, length, width) for x, y, yaw in ego_box_pose(states, ahead)]


def rings_of(road_map: RoadMap | None) -> list[list[tuple[float, float]]]:
    return [[(float(x), float(y)) for x, y in ring] for ring in road_map.drivable] if road_map else []


def slow_share(states: np.ndarray, clip: Clip) -> float:
    """Share by loops."""
    rings = rings_of(clip.road)

    def off(path: np.ndarray) -> list[bool]:
        return [not all(any(inside(p, r) for r in rings) for p in box) for box in boxes(path, clip)]

    pairs = [wrong for wrong, expert in zip(off(states), off(clip.ego_future), strict=True) if not expert]
    return sum(pairs) / len(pairs) if pairs else math.nan


def touches(states: np.ndarray, clip: Clip) -> bool:
    """Whether a corner is on an edge, where neither answer is wrong."""
    points = [p for path in (states, clip.ego_future) for box in boxes(path, clip) for p in box]
    return any(distance_to_ring(p, ring) < 1e-6 for p in points for ring in rings_of(clip.road))


def agrees(number: float, states: np.ndarray, clip: Clip) -> bool:
    return number == pytest.approx(slow_share(states, clip), nan_ok=True) or touches(states, clip)


def sparse(clip: Clip) -> Clip:
    """A clip of every eighth step: the loops look at every edge."""
    return replace(clip, ego_future=clip.ego_future[7::8])


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-1.0, 1.0),
    st.floats(-0.05, 0.05),
    st.floats(-3.0, 3.0),
    st.lists(st.tuples(st.floats(5.0, 40.0), st.floats(3.0, 14.0)), min_size=3, max_size=9),
)
def test_the_share_equals_a_slow_loop_over_star_shaped_areas(acceleration, curvature, turn, spokes):
    angles = turn + np.cumsum([1.0 for _ in spokes]) / len(spokes) * 2.0 * np.pi
    star = [(20.0 + r * math.cos(a), w * math.sin(a)) for a, (r, w) in zip(angles, spokes, strict=True)]
    clip = sparse(make_clip(road=road(star, box(-10.0, -3.0, 25.0, 3.0))))
    states = integrate(actions(acceleration, curvature), SPEED)[7::8]
    assert agrees(share(states, clip), states, clip)


def test_driving_straight_on_keeps_to_the_street_and_steering_away_leaves_it():
    clip = make_clip(road=STREET)
    assert share(clip.ego_future, clip) == 0.0
    away = integrate(actions(0.0, -0.02), SPEED)
    assert 0.3 < share(away, clip) < 1.0
    assert share(away, clip) == slow_share(away, clip)


def test_the_seam_of_two_polygons_is_no_edge_and_a_hole_between_them_is():
    states = integrate(actions(), SPEED)
    expert = replace(make_clip(), ego_future=states)
    joined = replace(expert, road=road(box(-20.0, -2.0, 21.3, 6.0), box(21.3, -2.0, 100.0, 6.0)))
    assert share(states, joined) == 0.0
    drive = integrate(actions(0.3), SPEED)
    clip = replace(joined, ego_future=states + [0.0, 10.0, 0.0, 0.0])
    holed = [box(-20.0, -2.0, 100.0, 1.5), box(-20.0, 8.0, 100.0, 13.0)]
    assert share(drive + [0.0, 3.0, 0.0, 0.0], replace(clip, road=road(*holed))) == 1.0
    assert share(drive, replace(clip, road=road(*holed))) == 0.0


def test_the_orientation_of_a_polygon_does_not_matter():
    drive = integrate(actions(0.0, 0.01), SPEED)
    ring = STREET.drivable[0]
    one, other = make_clip(road=STREET), make_clip(road=road(ring[::-1]))
    assert share(drive, one) == share(drive, other) > 0.0


@settings(max_examples=40, deadline=None)
@given(st.floats(-50.0, 50.0), st.floats(-50.0, 50.0), st.floats(-3.1, 3.1), st.floats(-0.02, 0.02))
def test_a_rigid_motion_of_everything_changes_nothing(dx, dy, turn, curvature):
    clip = sparse(make_clip(road=road(STREET.drivable[0], box(30.0, -40.0, 40.0, 40.0))))
    states = integrate(actions(0.2, curvature), SPEED)[7::8]
    assert clip.road is not None
    pose = np.array([dx, dy, turn])

    def moved(path: np.ndarray) -> np.ndarray:
        return np.concatenate([transform(path[:, :2], pose), path[:, 2:3] + turn, path[:, 3:]], axis=1)

    there = replace(
        clip, ego_future=moved(clip.ego_future), road=road(*(transform(r, pose) for r in clip.road.drivable))
    )
    assert agrees(share(moved(states), there), states, clip)


def test_where_the_expert_is_off_the_map_nothing_is_counted():
    ends = make_clip(road=road(box(-20.0, -2.0, 30.0, 2.0)))
    drive = integrate(actions(0.0, 0.002), SPEED)
    # The bumper is 3.8 m ahead: the expert leaves the map at step (30 - 3.8) / 0.8 = 32.75.
    left = (~np.array([x + 3.8 > 30.0 for x in ends.ego_future[:, 0]])).sum()
    assert left == 32
    sideways = make_clip(road=road(box(-20.0, -2.0, 30.0, 1.0)))
    assert share(drive, ends) == 0.0
    assert share(drive, sideways) == slow_share(drive, sideways) > 0.0
    assert math.isnan(share(drive, make_clip(road=road(box(-20.0, 50.0, 30.0, 60.0)))))


def test_without_a_drivable_area_the_component_is_missing_and_never_zero():
    bare, mapped = make_clip("bare"), make_clip("mapped", road=STREET)
    clips = {"bare": bare, "mapped": mapped, "none": replace(mapped, clip_id="none", road=None)}
    views = [rollout(i, clip_id=name) for i, name in enumerate(clips)]
    without, found, none = TrajectoryReward().score(views, clips)
    assert "off_road" not in without.components
    assert "off_road" not in none.components
    assert found.components["off_road"] == 0.0
    assert without.value == found.value == none.value
    without, found, none = TrajectoryReward(off_road=1.0).score(views, clips)
    assert (without.value, without.status) == (None, Status.DATA)
    assert (none.value, none.status) == (None, Status.DATA)
    assert "drivable area" in without.explanation
    assert found.value == 0.0


def test_points_of_many_maps_are_those_of_each_map_alone():
    random = np.random.default_rng(0)
    maps = [STREET, None, road(), road(box(0.0, 0.0, 10.0, 10.0), box(5.0, 5.0, 20.0, 30.0)), STREET]
    points = random.uniform(-30.0, 110.0, (4000, 2)) * [1.0, 0.25]
    which = random.integers(0, len(maps), 4000)
    together = drivable_areas(maps).outside(points[:, 0], points[:, 1], which)
    assert 0.1 < together.mean() < 0.95
    for i in range(0, 4000, 7):
        x, y = points[i]
        assert together[i] == (not any(inside((x, y), ring) for ring in rings_of(maps[which[i]])))


def test_a_map_of_many_kilometres_is_prepared_in_bounded_memory():
    wide = drivable_areas([road(box(-5e5, -5.0, 5e5, 5.0))])
    assert len(wide.bands) < 5000
    x = np.array([-4e5, 4e5, 6e5, 0.0])
    assert wide.outside(x, np.array([0.0, 4.9, 0.0, 5.1]), np.zeros(4, int)).tolist() == [0, 0, 1, 1]


def test_clear_is_true_only_within_the_area():
    random = np.random.default_rng(1)
    for road_map in (STREET, road(box(0.0, 0.0, 40.0, 10.0), [(0.0, 3.0), (60.0, 5.0), (50.0, 40.0)])):
        areas = drivable_areas([road_map], 2.5)
        x, y = random.uniform(-30.0, 110.0, 3000), random.uniform(-10.0, 40.0, 3000)
        which, half = np.zeros(3000, int), np.full(3000, 1.0)
        clear = areas.clear(x, y, half, which)
        assert clear.any()
        for dx in (-2.5, 0.0, 2.5):
            for dy in (-1.0, 0.0, 1.0):
                assert not areas.outside(x + dx, y + dy, which)[clear].any()


def procedural() -> list[Clip]:
    rig = default_rig(("front_wide", "front_tele"))
    return [clip.without_cameras() for clip in generate(WorldConfig(), 0, 16, rig)]


def recorded() -> list[Clip]:
    if not RECORDED.is_dir():
        pytest.skip("recorded CommonRoad files are not at ../shared/recorded/commonroad")
    return list(read_commonroad(RECORDED, max_clips=8))


@pytest.mark.parametrize("source", [procedural, recorded])
def test_real_maps_agree_with_the_slow_loop(source):
    random = np.random.default_rng(2)
    clips = [sparse(clip) for clip in source()]
    drives = [
        integrate(c.actions + random.normal(0.0, 1.0, 2) * (0.5, 0.01), c.ego_history[-1, 3])[7::8]
        for c in clips
    ]
    found = off_road_share(np.stack(drives), np.arange(len(clips)), clips)
    assert (found > 0).any()
    for clip, drive, number in zip(clips, drives, found, strict=True):
        assert agrees(number, drive, clip)


def test_the_expert_of_the_procedural_world_stays_on_its_road():
    clips = procedural()
    experts = np.stack([clip.ego_future for clip in clips])
    areas = drivable_areas([clip.road for clip in clips])
    poses = np.stack([ego_box_pose(e, c.ego_size[3]) for e, c in zip(experts, clips, strict=True)])
    which = np.repeat(np.arange(len(clips)), 64)
    assert not areas.outside(poses[..., 0].ravel(), poses[..., 1].ravel(), which).any()
    assert (off_road_share(experts, np.arange(len(clips)), clips) == 0.0).all()
