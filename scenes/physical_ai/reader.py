"""PhysicalAI-AV recordings as clips.

Role: public reader. Motion, cameras, road users and sentences are the data set's; there is no map and there are
no traffic lights in it. Invariants: integrating a clip's actions from its last history state gives its future
exactly, and that lies within the stated error of the recording; one unusable clip, moment or file is named in
the report and the others are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenes.cameras import CameraRig
from scenes.clip import Agents, Cameras, Clip
from scenes.physical_ai.cameras import read_cameras
from scenes.physical_ai.chunks import Chunks
from scenes.physical_ai.dimensions import ego_size
from scenes.physical_ai.egomotion import Egomotion, planar
from scenes.physical_ai.errors import InputError, MissingInputError
from scenes.physical_ai.files import Files, FolderFiles
from scenes.physical_ai.index import DatasetIndex
from scenes.physical_ai.layout import OBSTACLES
from scenes.physical_ai.moments import Decisions, Moment, ReadChoice, label_of, moments_of
from scenes.physical_ai.obstacles import ObstacleTrack, agents_at, read_tracks
from scenes.physical_ai.reasoning import Reasoning, read_reasoning
from scenes.physical_ai.report import ReadReport
from scenes.recorded.motion import Motion, Refusal, fit_motions

DecisionParser = Callable[[str], Decisions]
"""Reads the decisions a sentence states; None on an axis it does not tell (rewards.intent knows how)."""


class PhysicalAI:
    """A data set opened for reading: index and sentences at once, chunks as clips are asked for.

    data = PhysicalAI("data/physical_ai")
    for clip in data.read(data.index.clip_ids[:100], rig=default_rig(frames=4, width=576, height=320)):
        ...
    """

    def __init__(
        self,
        source: str | Path | Files,
        choice: ReadChoice | None = None,
        parser: DecisionParser | None = None,
    ) -> None:
        """source: a folder, or scenes.physical_ai.files.DevkitFiles. parser: reads decisions out of sentences;
        without one they are None. Raises DatasetError for a source that is no such data set."""
        self.files = FolderFiles(source) if isinstance(source, str | Path) else source
        self.choice, self._parser = choice or ReadChoice(), parser
        self.index = DatasetIndex.open(self.files)
        self.reasoning: Reasoning = read_reasoning(self.files)

    def strays(self, report: ReadReport) -> None:
        """Enter into the report what concerns no clip that can be read: index rows and foreign sentences."""
        for clip_id, reason in self.index.refused:
            report.add(clip_id, None, "refused", reason)
        known = set(self.index.clip_ids)
        for clip_id in self.reasoning.events:
            if clip_id not in known:
                report.add(clip_id, None, "refused", "has reasoning events, but the index does not list it")

    def read(
        self,
        clip_ids: Sequence[str] | None = None,
        rig: CameraRig | None = None,
        report: ReadReport | None = None,
    ) -> Iterator[Clip]:
        """Clips of these recordings (default: all), every usable moment of each, in order.

        rig: names the cameras, frames and image size; None leaves images out. report: is filled as clips are
        read. Raises KeyError for an id that is not in the index, DatasetError when PyAV is missing."""
        report = ReadReport() if report is None else report
        problems: dict[str, list[tuple[int | None, str]]] = {}
        for clip_id, t0_us, reason in self.reasoning.problems:
            problems.setdefault(clip_id, []).append((t0_us, reason))
        chunks = Chunks(self.files, self.index)
        try:
            for clip_id in self.index.clip_ids if clip_ids is None else clip_ids:
                for t0_us, reason in problems.get(clip_id, ()):
                    report.add(clip_id, t0_us, "refused", reason)
                try:
                    yield from self._moments(chunks, clip_id, rig, report)
                except InputError as error:
                    report.add(clip_id, None, "refused", str(error))
        finally:
            chunks.close()

    def clip(self, clip_id: str, rig: CameraRig | None = None) -> Clip:
        """One clip by the id it was given ("<recording>@<t0 in us>"), without decoding the others of its recording.

        Raises KeyError for an id that no moment has, InputError when it cannot be read."""
        recording, _, t0 = clip_id.partition("@")
        self.index.chunk_of(recording)  # An unknown recording is told by the index.
        report, chunks = ReadReport(), Chunks(self.files, self.index)
        try:
            for clip in self._moments(chunks, recording, rig, report, only=t0):
                return clip
        finally:
            chunks.close()
        why = "; ".join(report.lines()) or "it has no such moment"
        raise InputError(f"clip {clip_id} cannot be read: {why}")

    def _moments(
        self,
        chunks: Chunks,
        clip_id: str,
        rig: CameraRig | None,
        report: ReadReport,
        only: str | None = None,
    ) -> Iterator[Clip]:
        """Clips of a recording; only: t0 in microseconds, of that moment alone."""
        moments, outside = moments_of(self.reasoning.events.get(clip_id), self.choice)
        if only is not None:
            moments = [moment for moment in moments if str(moment.t0_us) == only]
            outside = [(t0_us, reason) for t0_us, reason in outside if str(t0_us) == only]
            if not moments and not outside:
                raise KeyError(f"recording {clip_id} has no moment at {only} us")
        for t0_us, reason in outside:
            report.add(clip_id, t0_us, "refused", reason)
        if not moments:
            if not outside:
                report.add(
                    clip_id, None, "refused", "has no reasoning event, and only labelled clips are read"
                )
            return
        feature = self.choice.egomotion
        part = feature.replace(".", "_")
        egomotion = Egomotion.read(chunks.member(clip_id, feature, part), f"{clip_id}.{feature}")
        fitted = self._fit(clip_id, egomotion, moments, report)
        if not fitted:
            return
        size = self._size(chunks, clip_id)
        tracks = self._tracks(chunks, clip_id, egomotion, report)
        images: list[Cameras | InputError] | list[None] = [None] * len(fitted)
        if rig is not None:
            images = read_cameras(chunks, clip_id, rig, [f.moment.t0_us for f in fitted])
        for one, cameras in zip(fitted, images, strict=True):
            if isinstance(cameras, InputError):
                report.add(clip_id, one.moment.t0_us, "refused", str(cameras))
                continue
            frame = egomotion.frame(one.moment.t0_us)
            agents = agents_at(tracks, egomotion, frame, one.moment.times_us)
            report.add(clip_id, one.moment.t0_us, "read", error_m=one.motion.error_m)
            yield self._clip(clip_id, one, size, agents, cameras)

    def _clip(
        self,
        clip_id: str,
        fitted: _Fitted,
        size: tuple[float, float, float, float],
        agents: Agents,
        cameras: Cameras | None,
    ) -> Clip:
        moment, motion = fitted.moment, fitted.motion
        told: Decisions = (None, None, None)
        if moment.text is not None and self._parser is not None:
            told = self._parser(moment.text)
        return Clip(
            clip_id=moment.id_of(clip_id),
            source=f"physical_ai/{clip_id}",
            t0=moment.t0_us / 1e6,
            cameras=cameras,
            ego_history=motion.history,
            ego_future=motion.future,
            actions=motion.actions,
            ego_size=size,
            agents=agents,
            label=label_of(moment.text, told),
        )

    def _fit(
        self, clip_id: str, egomotion: Egomotion, moments: list[Moment], report: ReadReport
    ) -> list[_Fitted]:
        """Moments whose motion the dynamics can drive; the others go into the report with their error."""
        poses, within = [], []
        for moment in moments:
            try:
                poses.append(planar(egomotion, egomotion.frame(moment.t0_us), moment.times_us))
                within.append(moment)
            except InputError as error:
                report.add(clip_id, moment.t0_us, "refused", str(error))
        if not within:
            return []
        fitted = []
        motions = fit_motions(np.stack(poses), self.choice.limit_m, self.choice.fit, reverses=True)
        for moment, motion in zip(within, motions, strict=True):
            if isinstance(motion, Refusal):
                report.add(clip_id, moment.t0_us, "refused", motion.reason, motion.error_m)
            else:
                fitted.append(_Fitted(moment, motion))
        return fitted

    def _size(self, chunks: Chunks, clip_id: str) -> tuple[float, float, float, float]:
        try:
            return ego_size(chunks, clip_id)
        except MissingInputError as error:
            if self.choice.ego_size is None:
                raise MissingInputError(
                    f"{error}; give the vehicle's size with ReadChoice.ego_size"
                ) from error
            return self.choice.ego_size

    def _tracks(
        self, chunks: Chunks, clip_id: str, egomotion: Egomotion, report: ReadReport
    ) -> list[ObstacleTrack]:
        if not chunks.has(clip_id, OBSTACLES):
            if self.choice.obstacles_required:
                raise MissingInputError(f"no {OBSTACLES} of it, and obstacle tracks are required")
            report.add(clip_id, None, "noted", f"no {OBSTACLES} of it: read without road users")
            return []
        data = chunks.member(clip_id, OBSTACLES, OBSTACLES.replace(".", "_"))
        return read_tracks(data, egomotion, f"{clip_id}.{OBSTACLES}")


@dataclass(frozen=True)
class _Fitted:
    """A moment and the motion that was fitted to it."""

    moment: Moment
    motion: Motion
