"""CommonRoad reader: on the recorded files where they are at hand, and on small files written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenes.cameras import default_rig
from scenes.clip import SIGNAL_STATES, Clip
from scenes.commonroad import ReadReport, RecordingError, main, read_commonroad
from scenes.dynamics import integrate
from scenes.geometry import box_corners, ego_box_pose, in_polygon
from scenes.recorded.commonroad_xml import read_recording
from scenes.recorded.motion import Motion, Refusal, fit_motions, rear_axle
from scenes.recorded.recording import Light

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "commonroad"
needs_recordings = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="recorded CommonRoad files are not at ../shared/recorded/commonroad"
)


def state(step: int, x: float, y: float, yaw: float, tag: str = "state") -> str:
    return (
        f"<{tag}><position><point><x>{x:.6f}</x><y>{y:.6f}</y></point></position>"
        f"<orientation><exact>{yaw:.6f}</exact></orientation><time><exact>{step}</exact></time></{tag}>"
    )


def obstacle(
    name: int, poses: np.ndarray, tag: str = "dynamicObstacle", kind: str = "car", role: str = ""
) -> str:
    states = [state(i, *pose, tag="initialState" if i == 0 else "state") for i, pose in enumerate(poses)]
    return (
        f'<{tag} id="{name}">{role}<type>{kind}</type><shape><rectangle><length>4.5</length><width>1.8</width>'
        f"</rectangle></shape>{states[0]}<trajectory>{''.join(states[1:])}</trajectory></{tag}>"
    )


def straight(speed: float, steps: int = 80, y: float = 0.0) -> np.ndarray:
    x = speed * 0.1 * np.arange(steps)
    return np.stack((x, np.full(steps, y), np.zeros(steps)), axis=1)


def lanelet(name: int, y: float, extra: str = "", marks: tuple[str, str] = ("", "")) -> str:
    def bound(side: str, at: float, mark: str) -> str:
        points = "".join(f"<point><x>{x}</x><y>{at}</y></point>" for x in (-50, 50, 200))
        return f"<{side}Bound>{points}{mark}</{side}Bound>"

    bounds = bound("left", y + 1.75, marks[0]) + bound("right", y - 1.75, marks[1])
    return f'<lanelet id="{name}">{bounds}{extra}</lanelet>'


def scenario(tmp_path: Path, *parts: str, version: str = "2020a", step: str = "0.1") -> Path:
    path = tmp_path / "TST_Road-1.xml"
    body = "".join(parts)
    path.write_text(f'<commonRoad commonRoadVersion="{version}" timeStepSize="{step}">{body}</commonRoad>')
    return path


@needs_recordings
@pytest.mark.parametrize("name", ["USA_US101-3_1_T-1", "USA_US101-4_1_T-1", "USA_Lanker-2_23_T-1"])
def test_recorded_clips_keep_their_promises(name: str) -> None:
    report = ReadReport()
    clips = list(read_commonroad(RECORDED / f"{name}.xml", stride_s=2.0, report=report))
    assert len(clips) == report.accepted >= 10
    assert report.worst_m <= 0.5
    entry = report.files[0]
    assert entry.windows == entry.accepted + sum(entry.refused.values()) + sum(entry.left_out.values())
    for clip in clips:
        assert clip.source == f"commonroad/{name}"
        assert clip.label is None
        assert clip.cameras is None
        np.testing.assert_array_equal(integrate(clip.actions, clip.ego_history[-1, 3]), clip.ego_future)
        np.testing.assert_allclose(clip.ego_history[-1, :3], 0.0, atol=1e-9)
        assert np.abs(clip.actions[:, 0]).max() <= 9.8
        assert np.abs(clip.actions[:, 1]).max() <= 0.33
        assert clip.ego_future[:, 3].min() > -1e-9
        assert np.isfinite(clip.agents.poses[clip.agents.valid]).all()
        assert np.isnan(clip.agents.poses[~clip.agents.valid]).all()
        assert clip.ego_size[3] == pytest.approx(0.29 * clip.ego_size[0])


def stands_on_road(clip: Clip) -> float:
    """Share of the ego box's corners at t0 that lie on the drivable area."""
    assert clip.road is not None
    corners = box_corners(ego_box_pose(clip.ego_history[-1], clip.ego_size[3]), clip.ego_size[:2])
    return float(np.any([in_polygon(corners, polygon) for polygon in clip.road.drivable], axis=0).mean())


@needs_recordings
def test_recorded_cars_stand_on_the_recorded_road() -> None:
    clips = list(read_commonroad(RECORDED, stride_s=4.0, max_clips=24))
    assert len(clips) == 24
    assert np.mean([stands_on_road(clip) for clip in clips]) > 0.95


@needs_recordings
def test_files_of_both_versions_give_lanes_and_painted_lines() -> None:
    versions = {"2018b": "USA_US101-3_1_T-1", "2020a": "USA_US101-4_1_T-1"}
    for version, name in versions.items():
        assert f'commonRoadVersion="{version}"' in (RECORDED / f"{name}.xml").read_text()[:600]
        clip = next(read_commonroad(RECORDED / f"{name}.xml"))
        assert clip.road is not None
        assert len(clip.road.lanes) == 12
        assert all(3.0 < width < 6.0 for width in clip.road.lane_widths)
        assert "dashed" in clip.road.boundary_kinds


@needs_recordings
def test_lights_of_the_recorded_street_are_signals_with_known_states() -> None:
    clip = next(read_commonroad(RECORDED / "USA_Lanker-2_23_T-1.xml"))
    assert clip.signals is not None
    assert len(clip.signals.ids) == 8
    shown = {SIGNAL_STATES[s] for s in np.unique(clip.signals.states)}
    assert {"red"} <= shown <= set(SIGNAL_STATES)
    gaps = np.linalg.norm(clip.signals.positions[:, None] - clip.signals.positions[None], axis=2)
    assert gaps[~np.eye(8, dtype=bool)].min() > 0.9, "heads on one pole do not cover each other"


@needs_recordings
def test_drawn_clips_show_the_traffic() -> None:
    rig = default_rig(("front_wide",), frames=2, width=48, height=32)
    clips = list(read_commonroad(RECORDED / "USA_US101-4_1_T-1.xml", rig=rig, max_clips=2))
    for clip in clips:
        assert clip.cameras is not None
        assert clip.cameras.frames.shape == (1, 2, 32, 48, 3)
        assert clip.cameras.frames.std() > 10


@needs_recordings
def test_sub_sampling_is_the_same_in_every_run_and_keeps_slow_cars_apart() -> None:
    def ids(**options: float) -> list[str]:
        return [clip.clip_id for clip in read_commonroad(RECORDED / "USA_Lanker-2_23_T-1.xml", **options)]

    everything, few = ids(), ids(max_clips=5)
    assert few == ids(max_clips=5)
    assert len(few) == 5
    assert set(few) < set(everything)
    fast, half = ids(min_distance_m=5.0), ids(min_distance_m=5.0, keep_slow=0.5)
    assert set(fast) < set(half) < set(everything)


@needs_recordings
def test_table_names_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(RECORDED / "USA_US101-3_1_T-1.xml"), "--stride", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["file", "windows", "accepted"]
    assert lines[1].startswith("USA_US101-3_1_T-1")


def test_a_written_street_becomes_the_clip_it_describes(tmp_path: Path) -> None:
    light = (
        '<trafficLight id="7"><cycle><cycleElement><duration>20</duration><color>red</color></cycleElement>'
        "<cycleElement><duration>80</duration><color>green</color></cycleElement><timeOffset>10</timeOffset>"
        "</cycle><position><point><x>60</x><y>-3</y></point></position></trafficLight>"
    )
    sign = (
        '<trafficSign id="9"><trafficSignElement><trafficSignID>R1-1</trafficSignID></trafficSignElement>'
        "<position><point><x>40</x><y>-3</y></point></position></trafficSign>"
    )
    path = scenario(
        tmp_path,
        lanelet(1, 0.0, '<stopLine/><trafficLightRef ref="7"/><trafficSignRef ref="9"/>'),
        obstacle(5, straight(10.0)),
        obstacle(6, straight(12.0, 40, y=3.5)),
        obstacle(8, straight(10.0) + (400.0, 0.0, 0.0)),
        light,
        sign,
    )
    first = next(read_commonroad(path))
    rear = 0.29 * 4.5
    assert first.clip_id == "TST_Road-1/5/15"
    assert first.t0 == pytest.approx(1.5)
    np.testing.assert_allclose(first.ego_future[-1], (64.0, 0.0, 0.0, 10.0), atol=0.02)
    assert first.agents.ids == ("agent:6",), "what is 400 m away is not its traffic"
    np.testing.assert_allclose(first.agents.poses[0, 15, :2], (18.0 - 15.0 + rear, 3.5), atol=1e-6)
    assert first.agents.valid[0].tolist() == [True] * 40 + [False] * 40
    assert first.road is not None
    assert first.signals is not None
    np.testing.assert_allclose(first.road.lanes[0][0], (-50.0 - 15.0 + rear, 0.0), atol=1e-6)
    assert first.road.boundary_kinds == ("kerb", "kerb"), "no file-wide marking: an open side is a kerb"
    np.testing.assert_allclose(first.road.stop_lines[0][:, 0], 200.0 - 15.0 + rear, atol=1e-6)
    assert first.road.signs[0].kind == "stop"
    states = [SIGNAL_STATES[s] for s in first.signals.states[0]]
    assert states == ["green"] * 10 + ["red"] * 20 + ["green"] * 50


def test_both_versions_of_one_scene_read_alike(tmp_path: Path) -> None:
    new = read_recording(scenario(tmp_path, lanelet(1, 0.0), obstacle(5, straight(10.0))))
    old_car = obstacle(5, straight(10.0), tag="obstacle", role="<role>dynamic</role>")
    old = read_recording(scenario(tmp_path, lanelet(1, 0.0), old_car, version="2018b"))
    np.testing.assert_array_equal(new.tracks[0].poses, old.tracks[0].poses)
    assert (new.tracks[0].size, new.tracks[0].kind) == (old.tracks[0].size, old.tracks[0].kind)


def test_static_obstacles_are_traffic_at_every_step_and_never_drive(tmp_path: Path) -> None:
    parked = obstacle(
        4, straight(0.0, 1, y=-3.0) + (30.0, 0.0, 0.0), tag="staticObstacle", kind="parkedVehicle"
    )
    clips = list(read_commonroad(scenario(tmp_path, obstacle(5, straight(10.0)), parked)))
    assert [clip.clip_id.split("/")[1] for clip in clips] == ["5"]
    assert clips[0].agents.valid.all()
    assert len(clips[0].agents.ids) == 1
    assert clips[0].road is None


def test_painted_bounds_that_lanes_share_are_painted_once(tmp_path: Path) -> None:
    dashed, solid = "<lineMarking>dashed</lineMarking>", "<lineMarking>broad_solid</lineMarking>"
    path = scenario(
        tmp_path,
        lanelet(1, 0.0, marks=(dashed, solid)),
        lanelet(2, 3.5, marks=("", dashed)),
        obstacle(5, straight(10.0)),
    )
    road = next(read_commonroad(path)).road
    assert road is not None
    assert sorted(road.boundary_kinds) == ["dashed", "solid"]


def test_a_car_that_stands_has_actions_of_zero() -> None:
    noise = np.random.default_rng(3).normal(0.0, 0.02, size=(80, 3)) * (1.0, 1.0, 0.1)
    (motion,) = fit_motions(rear_axle(noise, 1.3)[None], limit_m=0.5)
    assert isinstance(motion, Motion)
    assert not motion.actions.any()
    assert not motion.future.any()
    assert 0.0 < motion.error_m < 0.2


def test_a_turning_and_braking_car_is_followed_within_centimetres() -> None:
    truth = integrate(np.tile((-0.8, 0.05), (80, 1)), 9.0)
    (motion,) = fit_motions(truth[None, :, :3], limit_m=0.1)
    assert isinstance(motion, Motion)
    np.testing.assert_allclose(motion.actions[5:-5].mean(axis=0), (-0.8, 0.05), atol=0.02)
    assert motion.error_m < 0.05


def test_a_car_that_stops_does_not_reverse() -> None:
    actions = np.zeros((80, 2))
    actions[:40, 0] = -2.0
    (motion,) = fit_motions(integrate(actions, 8.0)[None, :, :3], limit_m=0.5)
    assert isinstance(motion, Motion)
    assert motion.future[:, 3].min() > -1e-9


def test_motion_that_no_car_drives_is_refused() -> None:
    sideways, jump = straight(5.0), straight(5.0)
    sideways[:, 1] = 4.0 * 0.1 * np.arange(80)
    jump[40:, 0] += 6.0
    reasons = [m for m in fit_motions(np.stack((sideways, jump)), limit_m=0.5) if isinstance(m, Refusal)]
    assert len(reasons) == 2
    assert "position error over 0.5 m" in reasons[0].reason
    assert reasons[0].error_m > 0.5


def test_light_cycle_starts_at_its_offset_and_repeats() -> None:
    light = Light("a", (0.0, 0.0), 0.0, (3, 2, 1), (5, 2, 3), 4)
    assert light.at(np.arange(4, 24)).tolist() == [3] * 5 + [2] * 2 + [1] * 3 + [3] * 5 + [2] * 2 + [1] * 3
    assert light.at(np.array((3, 0))).tolist() == [1, 2]


def test_wrong_input_is_told_by_file_and_fix(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="does not exist"):
        read_commonroad(tmp_path / "nowhere")
    with pytest.raises(RecordingError, match=r"no \*\.xml file"):
        read_commonroad(tmp_path)
    broken = tmp_path / "broken.xml"
    broken.write_text("<commonRoad><lanelet>")
    with pytest.raises(RecordingError, match=r"broken\.xml: not well-formed"):
        read_commonroad(broken)
    assert main([str(broken)]) == 2


@pytest.mark.parametrize(
    ("parts", "options", "words"),
    [
        ((), {"version": "2017a"}, "2018b and 2020a"),
        ((), {"step": "0.04"}, "resample"),
        ((), {"step": "fast"}, "resample"),
        ((lanelet(1, 0.0).replace("<x>50</x>", "<x>wide</x>"),), {}, "'wide', not a finite"),
        ((lanelet(1, 0.0).replace("<x>50</x>", "<x>nan</x>"),), {}, "not a finite"),
        (
            (lanelet(1, 0.0).replace("<rightBound>", "<rightBound><point><x>0</x><y>0</y></point>"),),
            {},
            "equal",
        ),
        ((lanelet(1, 0.0, marks=("<lineMarking>zigzag</lineMarking>", "")),), {}, "zigzag"),
        ((obstacle(5, straight(10.0), kind="ufo"),), {}, "ufo"),
        ((obstacle(5, straight(10.0)).replace("rectangle", "polygon"),), {}, "neither rectangle nor circle"),
        ((obstacle(5, straight(10.0)).replace("<exact>7</exact>", "<exact>9</exact>"),), {}, "gap"),
        ((obstacle(5, straight(10.0)).replace("<type>car</type>", ""),), {}, "has no type"),
    ],
)
def test_unusable_content_is_told(
    tmp_path: Path, parts: tuple[str, ...], options: dict[str, str], words: str
) -> None:
    path = scenario(tmp_path, *parts, **options)
    with pytest.raises(RecordingError, match=words) as told:
        read_recording(path)
    assert path.name in str(told.value)


@pytest.mark.parametrize(
    "options", [{"stride_s": 0.0}, {"stride_s": 0.25}, {"limit_m": 0.0}, {"keep_slow": 2.0}, {"max_clips": 0}]
)
def test_options_out_of_range_are_refused(tmp_path: Path, options: dict[str, float]) -> None:
    path = scenario(tmp_path, obstacle(5, straight(10.0)))
    with pytest.raises(ValueError, match=r"must be|ask for"):
        read_commonroad(path, **options)
