"""CommonRoad recordings as clips; `python -m scenes.commonroad FOLDER` prints what each file yields.

Role: public face of scenes.recorded. Motion and map are recorded; images, where asked for, are drawn from
them, and there is no Chain-of-Causation label. Invariant: integrating a clip's actions from its last
history state gives its future exactly, and that future lies within the stated error of the recording."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from scenes.cameras import CameraRig
from scenes.clip import Clip
from scenes.recorded.clips import Window, WindowChoice, assemble, thin, windows
from scenes.recorded.commonroad_xml import read_recording
from scenes.recorded.recording import Recording, RecordingError
from scenes.recorded.report import ReadReport
from scenes.render import with_cameras

__all__ = ["ReadReport", "RecordingError", "read_commonroad"]


def read_commonroad(
    path: str | Path,
    stride_s: float = 1.0,
    rig: CameraRig | None = None,
    max_clips: int | None = None,
    limit_m: float = 0.5,
    min_distance_m: float = 0.0,
    keep_slow: float = 0.0,
    report: ReadReport | None = None,
) -> Iterator[Clip]:
    """Clips of one CommonRoad file, or of all *.xml files of a folder in order of name.

    Every car or truck recorded for 8 s is the ego vehicle of a window each stride_s seconds; a window whose
    fitted motion is further than limit_m from the recording is refused. min_distance_m, keep_slow: of
    windows that travel less than that distance, the share that is kept. max_clips: at most so many, shared
    among the files and chosen by a hash of the clip id. rig: draws the cameras. report: is filled with
    counts and reasons. Files are read and fitted when this is called; clips are assembled and drawn as they
    are asked for. Raises RecordingError for a missing folder or an unusable file."""
    choice = WindowChoice(stride_s, limit_m, min_distance_m, keep_slow)
    recordings = [read_recording(file) for file in _files(Path(path))]
    found = [windows(recording, choice) for recording in recordings]
    kept = [some for some, _ in found]
    if max_clips is not None:
        shares = _shares([len(some) for some in kept], max_clips)
        kept = [thin(some, most, entry) for (some, entry), most in zip(found, shares, strict=True)]
    if report is not None:
        report.files = [entry for _, entry in found]
    return _clips(list(zip(recordings, kept, strict=True)), rig)


def _clips(found: list[tuple[Recording, list[Window]]], rig: CameraRig | None) -> Iterator[Clip]:
    for recording, kept in found:
        for window in kept:
            clip = assemble(recording, window)
            # One paint key a recording: a car keeps its colour in all its windows.
            yield clip if rig is None else with_cameras(clip, rig, paint_key=recording.name)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob("*.xml"))
        if not files:
            raise RecordingError(f"{path} holds no *.xml file; point at the folder of CommonRoad scenarios")
        return files
    if not path.exists():
        raise RecordingError(f"{path} does not exist; point at a CommonRoad file or a folder of them")
    return [path]


def _shares(counts: list[int], total: int) -> list[int]:
    """Split `total` among files as evenly as their counts allow, earlier files first."""
    if total < 1:
        raise ValueError(f"max_clips is {total}; ask for at least 1, or None for all")
    shares = [0] * len(counts)
    left = min(total, sum(counts))
    while left:
        for i, count in enumerate(counts):
            if left and shares[i] < count:
                shares[i] += 1
                left -= 1
    return shares


def main(arguments: list[str] | None = None) -> int:
    """Print a table of files, windows, accepted, refused and why, worst error. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scenes.commonroad", description=main.__doc__)
    parser.add_argument("path", type=Path, help="a CommonRoad XML file or a folder of them")
    parser.add_argument("--stride", type=float, default=1.0, help="seconds between windows of a vehicle")
    parser.add_argument("--limit", type=float, default=0.5, help="largest position error of the fit, m")
    parser.add_argument(
        "--min-distance", type=float, default=0.0, help="leave out windows that travel less, m"
    )
    args = parser.parse_args(arguments)
    report = ReadReport()
    try:
        read_commonroad(
            args.path, args.stride, limit_m=args.limit, min_distance_m=args.min_distance, report=report
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
