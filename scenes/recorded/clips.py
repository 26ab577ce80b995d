"""Clips of a recording: every vehicle recorded long enough drives one, the others are its traffic.

Role: choose windows, fit each, assemble clips. Invariant: integrating a clip's actions from its last history
state gives its future; ids name file, vehicle and step, so that a window is the same clip in every run.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from scenes.clip import Agents, Clip
from scenes.geometry import to_frame
from scenes.recorded.motion import Motion, Refusal, fit_motions, rear_axle
from scenes.recorded.recording import Recording, Track
from scenes.recorded.report import FileReport
from scenes.recorded.road import road_map, signals
from scenes.trajectory import FUTURE_STEPS, HISTORY_STEPS, STEP_S

WINDOW_STEPS = HISTORY_STEPS + FUTURE_STEPS
TRAFFIC_M = 100.0
REAR_AXLE_SHARE = 0.29
"""Rear axle to box centre as a share of the length: a 4.8 m car with 1 m behind its rear axle has it 1.4 m
behind the centre. Recordings do not tell; an error of 0.1 m shifts the turning point by as much."""


@dataclass(frozen=True)
class WindowChoice:
    """Which windows become clips. stride_s: seconds between windows of a vehicle; limit_m: largest position
    error of the fit; min_distance_m: windows whose future path is shorter are slow, and keep_slow (0 … 1)
    of them are kept, chosen by a hash of the clip id."""

    stride_s: float = 1.0
    limit_m: float = 0.5
    min_distance_m: float = 0.0
    keep_slow: float = 0.0

    def __post_init__(self) -> None:
        stride = self.stride_s / STEP_S
        if stride < 0.5 or abs(stride - round(stride)) > 1e-6:
            raise ValueError(f"stride of {self.stride_s} s: must be a positive multiple of {STEP_S} s")
        if self.limit_m <= 0.0 or self.min_distance_m < 0.0 or not 0.0 <= self.keep_slow <= 1.0:
            raise ValueError(
                f"limit_m {self.limit_m} must be above 0, min_distance_m {self.min_distance_m} at least 0,"
                f" keep_slow {self.keep_slow} between 0 and 1"
            )


@dataclass(frozen=True)
class Window:
    """One accepted window. start: its first step; the ego vehicle's rear axle at t0 is at pose [3]."""

    clip_id: str
    track: Track
    start: int
    pose: np.ndarray
    motion: Motion


def windows(recording: Recording, choice: WindowChoice) -> tuple[list[Window], FileReport]:
    """All windows of all vehicles that fit, and an account of those that do not."""
    report = FileReport(recording.name)
    accepted: list[Window] = []
    found: list[tuple[Track, int, np.ndarray]] = []
    stride = round(choice.stride_s / STEP_S)
    for track in recording.tracks:
        if track.static or track.kind not in ("car", "truck"):
            continue
        rear = rear_axle(track.poses, REAR_AXLE_SHARE * track.size[0])
        starts = range(0, len(rear) - WINDOW_STEPS + 1, stride)
        found += [(track, first, rear[first : first + WINDOW_STEPS]) for first in starts]
    report.windows = len(found)
    motions = fit_motions(np.stack([part for _, _, part in found]), choice.limit_m) if found else []
    for (track, first, part), motion in zip(found, motions, strict=True):
        if isinstance(motion, Refusal):
            report.refused[motion.reason] += 1
            report.refused_m = max(report.refused_m, motion.error_m)
            continue
        start = track.first + first
        clip_id = f"{recording.name}/{track.id}/{start + HISTORY_STEPS - 1}"
        if motion.travelled_m < choice.min_distance_m and _draw(clip_id) >= choice.keep_slow:
            report.left_out[f"travel less than {choice.min_distance_m:g} m"] += 1
            continue
        accepted.append(Window(clip_id, track, start, part[HISTORY_STEPS - 1], motion))
    _count(report, accepted)
    return accepted, report


def thin(kept: list[Window], most: int, report: FileReport) -> list[Window]:
    """At most `most` windows, chosen by a hash of the clip id and in their order; the report is corrected."""
    chosen = {w.clip_id for w in sorted(kept, key=lambda w: (_draw(w.clip_id), w.clip_id))[:most]}
    out = [w for w in kept if w.clip_id in chosen]
    if len(out) < len(kept):
        report.left_out["beyond the number asked for"] += len(kept) - len(out)
        _count(report, out)
    return out


def assemble(recording: Recording, window: Window) -> Clip:
    """The clip of a window, without cameras and label."""
    motion, track = window.motion, window.track
    length, width, height = track.size
    steps = np.arange(window.start, window.start + WINDOW_STEPS)
    t0 = window.start + HISTORY_STEPS - 1
    return Clip(
        clip_id=window.clip_id,
        source=f"commonroad/{recording.name}",
        t0=t0 * STEP_S,
        cameras=None,
        ego_history=motion.history,
        ego_future=motion.future,
        actions=motion.actions,
        ego_size=(length, width, height, REAR_AXLE_SHARE * length),
        agents=_traffic(recording, window),
        road=road_map(recording, window.pose) if recording.lanelets else None,
        signals=signals(recording, window.pose, steps),
    )


def _count(report: FileReport, accepted: list[Window]) -> None:
    report.accepted = len(accepted)
    report.worst_m = max((window.motion.error_m for window in accepted), default=0.0)


def _draw(clip_id: str) -> float:
    """A number in [0, 1) fixed by the id."""
    return zlib.crc32(clip_id.encode()) / 2**32


def _traffic(recording: Recording, window: Window) -> Agents:
    """Road users that come within TRAFFIC_M of the recorded ego vehicle while both are recorded."""
    stop = window.start + WINDOW_STEPS
    ego, _ = window.track.between(window.start, stop)
    kept, poses, valid = [], [], []
    for track in recording.tracks:
        at, seen = track.between(window.start, stop)
        near = seen & (np.linalg.norm(at[:, :2] - ego[:, :2], axis=1) <= TRAFFIC_M)
        if track is window.track or not near.any():
            continue
        local = np.concatenate((to_frame(at[:, :2], window.pose), at[:, 2:] - window.pose[2]), axis=1)
        kept.append(track)
        poses.append(local)
        valid.append(seen)
    return Agents(
        ids=tuple(f"agent:{track.id}" for track in kept),
        classes=tuple(track.kind for track in kept),
        sizes=np.array([track.size for track in kept]).reshape(len(kept), 3),
        poses=np.array(poses).reshape(len(kept), WINDOW_STEPS, 3),
        valid=np.array(valid, bool).reshape(len(kept), WINDOW_STEPS),
    )
