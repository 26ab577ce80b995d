"""The rig: order, times, and what it refuses."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from scenes.cameras import Camera, CameraRig, default_rig
from scenes.clip import CAMERA_NAMES


def test_default_rig_is_in_release_order_whatever_order_is_asked_for() -> None:
    assert default_rig().names == CAMERA_NAMES
    assert default_rig(("front_tele", "front_wide")).names == ("front_wide", "front_tele")


def test_frames_end_at_t0_and_fall_on_history_steps() -> None:
    rig = default_rig(frames=4)
    assert rig.history_indices == (12, 13, 14, 15)
    np.testing.assert_allclose(rig.times, (-0.3, -0.2, -0.1, 0.0), atol=1e-12)
    slow = dataclasses.replace(rig, frame_step_s=0.5)
    assert slow.history_indices == (0, 5, 10, 15)


def test_focal_length_of_the_wide_camera_is_that_of_120_degrees() -> None:
    wide = default_rig(("front_wide",)).cameras[0]
    assert wide.focal(96) == pytest.approx(48 / math.tan(math.radians(60)))


@pytest.mark.parametrize("names", [("front",), ("front_wide", "front_wide")])
def test_unknown_or_repeated_camera_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="front_wide"):
        default_rig(names)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frames": 17}, "history"),
        ({"frames": 0}, "at least 1 frame"),
        ({"frame_step_s": 0.25}, "multiple"),
        ({"width": 1}, "2x2"),
        ({"cameras": ()}, "no camera"),
        ({"cameras": (Camera("c", (0, 0, 1), 0, 0, 4.0),)}, "field of view"),
    ],
)
def test_impossible_rig_is_refused(change: dict[str, object], words: str) -> None:
    base = default_rig()
    values = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)} | change
    with pytest.raises(ValueError, match=words):
        CameraRig(**values)
