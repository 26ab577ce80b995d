"""Pictures: geometry of projection, occlusion, instance ids, light states, history."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from street import SIZES, STEPS, clip

from scenes.cameras import Camera, CameraRig, default_rig
from scenes.clip import CAMERA_NAMES, Clip, RoadMap
from scenes.geometry import box_corners
from scenes.render import Rendered, render, visible_pixels, with_cameras

WIDE = default_rig(("front_wide",))
TELE = default_rig(("front_tele",))


def mask(rendered: Rendered, name: str, frame: int = -1) -> np.ndarray:
    """[C, h, w] where an instance is."""
    return rendered.instances[:, frame] == rendered.names.index(name)


def centre_column(picture: np.ndarray) -> float:
    return float(np.nonzero(picture)[1].mean())


def test_left_of_the_ego_vehicle_is_left_in_the_picture() -> None:
    rendered = render(clip([("car", 15, 4), ("car", 15, -4)]), WIDE)
    left, right = mask(rendered, "car:0")[0], mask(rendered, "car:1")[0]
    assert centre_column(left) < 47.5 < centre_column(right)
    assert centre_column(left) == pytest.approx(95 - centre_column(right), abs=1.0)


def test_nearer_is_larger_and_lower() -> None:
    near = mask(render(clip([("car", 12, 0)]), WIDE), "car:0")[0]
    far = mask(render(clip([("car", 30, 0)]), WIDE), "car:0")[0]
    assert near.sum() > 3 * far.sum()
    assert np.nonzero(near)[0].max() > np.nonzero(far)[0].max()


def test_what_stands_behind_a_truck_is_hidden() -> None:
    alone = render(clip([("pedestrian", 40, 0)]), TELE)
    behind = render(clip([("pedestrian", 40, 0), ("truck", 20, 0)]), TELE)
    assert mask(alone, "pedestrian:0").sum() > 0
    assert mask(behind, "pedestrian:0").sum() == 0
    assert "pedestrian:0" not in visible_pixels(behind)


def test_partly_hidden_object_keeps_only_its_visible_side() -> None:
    alone = mask(render(clip([("car", 30, 1.2)]), TELE), "car:0")[0]
    both = render(clip([("car", 30, 1.2), ("car", 15, -0.5)]), TELE)
    seen, front = mask(both, "car:0")[0], mask(both, "car:1")[0]
    assert 0 < seen.sum() < alone.sum()
    assert not (seen & ~alone).any(), "occlusion may only take pixels away"
    assert (front | seen)[alone].all(), "what is taken away belongs to the car in front"


@given(
    x=st.floats(8, 45),
    y=st.floats(-6, 6),
    yaw=st.floats(-math.pi, math.pi),
    pitch=st.floats(-0.1, 0.2),
    height=st.integers(31, 64),
)
@settings(max_examples=25, deadline=None)
def test_box_lies_within_its_projected_corners(
    x: float, y: float, yaw: float, pitch: float, height: int
) -> None:
    camera = Camera("front_wide", (1.8, 0.2, 1.5), 0.1, pitch, math.radians(100))
    rig = CameraRig((camera,), width=97, height=height)
    base = clip([("car", 0, 0)])
    base.agents.poses[:] = (x, y, yaw)
    rows, columns = np.nonzero(mask(render(base, rig), "car:0")[0])
    corners = box_corners(np.array((x, y, yaw)), np.array(SIZES["car"][:2]) * 1.03)
    points = np.concatenate([np.c_[corners, np.full(4, z)] for z in (0.0, SIZES["car"][2])]) - camera.position
    c, s = math.cos(camera.yaw), math.sin(camera.yaw)
    forward, left = points[:, 0] * c + points[:, 1] * s, points[:, 1] * c - points[:, 0] * s
    cp, sp = math.cos(pitch), math.sin(pitch)
    ahead, up = cp * forward - sp * points[:, 2], sp * forward + cp * points[:, 2]
    u = 0.5 * 97 - camera.focal(97) * left / ahead
    v = 0.5 * height - camera.focal(97) * up / ahead
    inside = (u.max() > 1) & (u.min() < 96) & (v.max() > 1) & (v.min() < height - 1)
    assert len(rows) > 0 or not inside
    if len(rows):
        assert columns.min() + 1 >= u.min()
        assert columns.max() <= u.max()
        assert rows.min() + 1 >= v.min()
        assert rows.max() <= v.max()


def test_pictures_are_equal_in_every_run() -> None:
    scene = clip([("car", 12, 1), ("cyclist", 9, -3)], lights=[(30, -3, 1)], signs=[("stop", 20, -3)])
    first, second = render(scene, default_rig(frames=2)), render(scene, default_rig(frames=2))
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.instances, second.instances)


def test_shapes_names_and_types() -> None:
    rendered = render(
        clip([("car", 12, 1)], lights=[(30, -3, 1)]), default_rig(frames=3, width=64, height=48)
    )
    assert rendered.frames.shape == (4, 3, 48, 64, 3)
    assert rendered.frames.dtype == np.uint8
    assert rendered.instances.shape == (4, 3, 48, 64)
    assert rendered.instances.dtype == np.int16
    assert rendered.cameras == CAMERA_NAMES
    assert rendered.names == ("car:0", "signal:0", "crosswalk:0", "stop_line:0")


@pytest.mark.parametrize("kind", list(SIZES))
def test_every_class_is_drawn_where_its_id_is_and_nowhere_else(kind: str) -> None:
    empty, full = render(clip(), WIDE), render(clip([(kind, 9, 0.5)]), WIDE)
    covered = mask(full, f"{kind}:0")[0]
    changed = (empty.frames[0, 0] != full.frames[0, 0]).any(axis=2)
    assert covered.sum() >= 4
    assert changed[covered].mean() > 0.9
    # A pixel of which an object covers less than half changes colour but not instance: only along its edge.
    edge = np.pad(covered, 1)
    near = edge[:-2, 1:-1] | edge[2:, 1:-1] | edge[1:-1, :-2] | edge[1:-1, 2:] | covered
    assert not (changed & ~np.pad(near, 1)[1:-1, 1:-1]).sum() > 0.2 * covered.sum() + 4


def test_each_camera_looks_its_way() -> None:
    rendered = render(clip([("car", 4, 7), ("car", 4, -7), ("car", 50, 0)]), default_rig())
    seen = {
        name: [camera for camera, view in zip(CAMERA_NAMES, mask(rendered, name), strict=True) if view.any()]
        for name in rendered.names[:3]
    }
    assert "cross_left" in seen["car:0"]
    assert "cross_right" not in seen["car:0"]
    assert "cross_right" in seen["car:1"]
    assert "cross_left" not in seen["car:1"]
    assert seen["car:2"] == ["front_wide", "front_tele"]
    pixels = mask(rendered, "car:2").sum(axis=(1, 2))
    assert pixels[3] > 10 * pixels[1], "the tele camera magnifies"


def test_moving_past_a_car_changes_the_frames() -> None:
    rig = default_rig(("front_wide",), frames=4)
    still, moving = render(clip([("car", 12, 3)]), rig), render(clip([("car", 12, 3)], speed=15.0), rig)
    for frame in range(3):
        np.testing.assert_array_equal(still.frames[:, frame], still.frames[:, 3])
        assert (moving.frames[:, frame] != moving.frames[:, frame + 1]).any()
    sizes = [mask(moving, "car:0", frame).sum() for frame in range(4)]
    assert sizes[0] < sizes[3], "a car one drives towards grows"


def test_a_camera_of_the_past_sees_from_the_past_pose() -> None:
    """The oldest frame at 10 m/s equals the picture of a car that is 3 m further away (apart from grain)."""
    rig = default_rig(("front_wide",), frames=4)
    past = mask(render(clip([("car", 12, 3)], speed=10.0), rig), "car:0", frame=0)
    further = mask(render(clip([("car", 15, 3)]), rig), "car:0", frame=0)
    np.testing.assert_array_equal(past, further)


def test_agents_that_are_not_observed_are_not_drawn() -> None:
    scene = clip([("car", 12, 0)])
    scene.agents.valid[0, :15] = False
    scene.agents.poses[0, :15] = np.nan
    rendered = render(scene, default_rig(("front_wide",), frames=2))
    assert mask(rendered, "car:0", frame=0).sum() == 0
    assert mask(rendered, "car:0", frame=1).sum() > 0


@pytest.mark.parametrize(("state", "channel"), [(1, 0), (3, 1)])
def test_light_shows_its_colour_to_the_traffic_it_controls(state: int, channel: int) -> None:
    scene = clip(lights=[(35, -3, state)])
    rendered = render(scene, TELE)
    lamp = rendered.frames[0, 0][mask(rendered, "signal:0")[0]].astype(int)
    bright = lamp[lamp[:, channel] > 200]
    other = 1 - channel
    assert len(bright) > 0
    assert (bright[:, channel] - bright[:, other] > 60).any()
    away = replace(scene, signals=replace(scene.signals, yaws=np.array([math.pi])))
    behind = render(away, TELE)
    assert behind.frames[0, 0][mask(behind, "signal:0")[0]].max() < 180, "from behind no lamp is seen"


def test_stop_sign_is_red_and_speed_limit_is_white() -> None:
    rendered = render(clip(signs=[("stop", 25, -3), ("speed_limit", 25, 3)]), TELE)
    stop = rendered.frames[0, 0][mask(rendered, "sign:0")[0]].astype(int)
    limit = rendered.frames[0, 0][mask(rendered, "sign:1")[0]].astype(int)
    assert ((stop[:, 0] - stop[:, 1]) > 100).sum() > 5
    assert (limit.min(axis=1) > 180).sum() > 5


def test_brake_lights_tell_a_braking_car_from_a_coasting_one() -> None:
    times = (np.arange(STEPS) - 15) * 0.1
    coasting, braking = clip([("car", 15, 0)], speed=10.0), clip([("car", 15, 0)], speed=10.0)
    coasting.agents.poses[0, :, 0] = 15 + 10 * times
    braking.agents.poses[0, :, 0] = 15 + 10 * times - 1.5 * times**2
    reds = []
    for scene in (coasting, braking):
        rendered = render(scene, TELE)
        pixels = rendered.frames[0, 0][mask(rendered, "car:0")[0]].astype(int)
        reds.append(int((pixels[:, 0] - pixels[:, 1:].max(axis=1) > 150).sum()))
    assert reds[0] == 0
    assert reds[1] > 0


def test_paint_depends_on_clip_and_id_alone() -> None:
    def colour(scene: Clip, key: str | None = None) -> np.ndarray:
        rendered = render(scene, WIDE, paint_key=key)
        return rendered.frames[0, 0][mask(rendered, "car:0")[0]]

    a, b = clip([("car", 10, 0)], clip_id="a"), clip([("car", 10, 0)], clip_id="b")
    paints = {colour(clip([("car", 10, 0)], clip_id=f"c{i}")).mean(axis=0).tobytes() for i in range(12)}
    assert len(paints) > 3, "paints vary between clips"
    np.testing.assert_array_equal(colour(a, "drive"), colour(b, "drive"))


def test_crosswalk_and_stop_line_are_instances_on_the_ground() -> None:
    best = visible_pixels(render(clip(), default_rig()))
    assert best["crosswalk:0"][2] > 50
    assert best["stop_line:0"][2] > 5
    hidden = visible_pixels(render(clip([("truck", 8, 0)]), TELE))
    assert "crosswalk:0" not in hidden


def test_road_is_asphalt_and_the_rest_is_grass() -> None:
    picture = render(clip(), WIDE).frames[0, 0].astype(int)
    bottom = picture[-1]
    assert abs(bottom[47, 0] - bottom[47, 1]) < 15, "grey ahead"
    assert bottom[95, 1] - bottom[95, 0] > 15, "green at the side"


def test_lanes_are_the_road_where_no_drivable_area_is_known() -> None:
    lanes = RoadMap((np.array(((-50.0, 0.0), (200.0, 0.0))),), (3.5,), (), (), ())
    bottom = render(clip(map_of=lanes), WIDE).frames[0, 0].astype(int)[-1]
    assert abs(bottom[47, 0] - bottom[47, 1]) < 15
    assert bottom[95, 1] - bottom[95, 0] > 15


def test_a_clip_without_map_is_drawn_on_open_ground() -> None:
    rendered = render(replace(clip([("car", 12, 0)]), road=None), WIDE)
    assert mask(rendered, "car:0").sum() > 0
    assert rendered.names == ("car:0",)


def test_visible_pixels_names_the_best_view() -> None:
    rendered = render(clip([("car", 30, 0)], speed=10.0), default_rig(frames=3))
    camera, frame, pixels = visible_pixels(rendered)["car:0"]
    counts = (rendered.instances == 0).sum(axis=(2, 3))
    assert (camera, frame) == ("front_tele", 2)
    assert pixels == counts.max() == counts[3, 2]


def test_with_cameras_attaches_the_pictures() -> None:
    rig = default_rig(frames=2)
    scene = with_cameras(clip([("car", 12, 0)]), rig)
    assert scene.cameras is not None
    assert scene.cameras.names == rig.names
    np.testing.assert_array_equal(scene.cameras.frames, render(clip([("car", 12, 0)]), rig).frames)
    np.testing.assert_allclose(scene.cameras.times, (-0.1, 0.0), atol=1e-12)


def test_unknown_class_sign_line_or_repeated_id_is_refused() -> None:
    scene = clip([("car", 12, 0), ("car", 20, 0)])
    with pytest.raises(ValueError, match="must be one of car"):
        render(replace(scene, agents=replace(scene.agents, classes=("car", "tank"))), WIDE)
    with pytest.raises(ValueError, match="more than one"):
        render(replace(scene, agents=replace(scene.agents, ids=("a", "a"))), WIDE)
    with pytest.raises(ValueError, match="must be one of stop"):
        render(clip(signs=[("yield", 10, 0)]), WIDE)
    assert scene.road is not None
    with pytest.raises(ValueError, match="boundary kinds"):
        render(replace(scene, road=replace(scene.road, boundary_kinds=("kerb", "wavy", "kerb"))), WIDE)
