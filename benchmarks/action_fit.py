"""How well recorded motion becomes actions, and how fast.

`python -m benchmarks.action_fit [--recorded ../shared/recorded]` prints two tables:

1. reconstruction: fit actions to every window of 8 s of every recorded vehicle, integrate them, and measure the
   largest distance from the recorded rear axle. Once as the release fits (its weights, nothing else), once as our
   readers do (a stiffer speed spline, no reversing, curvature held below 1 m/s), which also says how many windows
   are refused.
2. speed: 1,024 of these windows fitted by banded solves and by dense Cholesky factorisation of the same
   equations (benchmarks/dense_fit.py), in turn, one thread each; results must agree to 1e-4.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.dense_fit import dense_fit
from scenes.dynamics import DEFAULT_FIT, fit_actions, initial_speed, integrate
from scenes.geometry import to_frame
from scenes.recorded.clips import REAR_AXLE_SHARE, WINDOW_STEPS
from scenes.recorded.comma2k19 import read_drive
from scenes.recorded.commonroad_xml import read_recording
from scenes.recorded.motion import Refusal, fit_motions, rear_axle
from scenes.trajectory import HISTORY_STEPS

CLOSE = 1e-4
GOAL = 20.0


def cut(rear: np.ndarray, stride: int) -> list[np.ndarray]:
    """Windows [H+T, 3] of a track [n, 3], every `stride` steps."""
    return [rear[at : at + WINDOW_STEPS] for at in range(0, len(rear) - WINDOW_STEPS + 1, stride)]


def recorded_windows(folder: Path, stride: int) -> dict[str, np.ndarray]:
    """Rear-axle windows [W, H+T, 3] by recording."""
    found: dict[str, list[np.ndarray]] = {}
    for path in sorted((folder / "commonroad").glob("*.xml")):
        recording = read_recording(path)
        cars = [t for t in recording.tracks if not t.static and t.kind in ("car", "truck")]
        found[recording.name] = [
            window for t in cars for window in cut(rear_axle(t.poses, REAR_AXLE_SHARE * t.size[0]), stride)
        ]
    for path in sorted((folder / "comma2k19").glob("*.npz")):
        found[f"comma2k19 {path.stem}"] = cut(read_drive(path), stride)
    return {name: np.stack(windows) for name, windows in found.items() if windows}


def in_ego_frame(rear: np.ndarray) -> np.ndarray:
    """The same windows in the ego frame at t0, yaw without jumps."""
    at = HISTORY_STEPS - 1
    yaw = np.unwrap(rear[..., 2], axis=1)
    return np.concatenate(
        (to_frame(rear[..., :2], rear[:, at, None]), (yaw - yaw[:, at, None])[..., None]), axis=2
    )


def release_errors(local: np.ndarray) -> np.ndarray:
    """Largest position error [W] m of the release's fit."""
    history, future = local[:, :HISTORY_STEPS], local[:, HISTORY_STEPS:]
    driven = integrate(fit_actions(history, future), initial_speed(history))
    return np.linalg.norm(driven[..., :2] - future[..., :2], axis=2).max(axis=1)


def told(errors: np.ndarray) -> str:
    """Median, 99th percentile and worst."""
    return f"{np.median(errors):7.3f} {np.quantile(errors, 0.99):7.3f} {errors.max():7.3f}"


def reconstruction(windows: dict[str, np.ndarray], limit_m: float) -> None:
    """Print errors by recording and over all."""
    heads = (
        "largest position error of a window, m",
        "release: median, 99 %, worst",
        "ours, accepted windows",
    )
    print("{:46} {:>29} {:>29}".format(*heads))
    theirs, ours = [], []
    for name, rear in windows.items():
        error = release_errors(in_ego_frame(rear))
        motions = fit_motions(rear, limit_m)
        accepted = np.array([m.error_m for m in motions if not isinstance(m, Refusal)])
        refused = [m for m in motions if isinstance(m, Refusal)]
        worst = f", worst {max(m.error_m for m in refused):.2f} m" if refused else ""
        print(
            f"{name:32} {len(rear):5} windows {told(error):>29} {told(accepted):>29}  refused {len(refused)}{worst}"
        )
        theirs.append(error)
        ours.append(accepted)
    everything, kept = np.concatenate(theirs), np.concatenate(ours)
    print(
        f"{'all':32} {len(everything):5} windows {told(everything):>29} {told(kept):>29}"
        f"  refused {len(everything) - len(kept)} (over {limit_m:g} m, or out of the bounds of the actions)"
    )


def timed(fit: Callable[[], np.ndarray], clock: Callable[[], float]) -> tuple[float, np.ndarray]:
    """Milliseconds and result of one run."""
    began = clock()
    result = fit()
    return 1e3 * (clock() - began), result


def speed(local: np.ndarray, rounds: int) -> None:
    """Print ms of each side, medians over alternating rounds, by the wall clock and by processor time."""
    history, future = (
        np.ascontiguousarray(part) for part in (local[:, :HISTORY_STEPS], local[:, HISTORY_STEPS:])
    )
    h, f = torch.from_numpy(history), torch.from_numpy(future)
    sides: dict[str, Callable[[], np.ndarray]] = {
        "banded (ours)": lambda: fit_actions(history, future),
        "dense, least-squares rows multiplied": lambda: dense_fit(h, f, multiplied=True).numpy(),
        "dense, entries written directly": lambda: dense_fit(h, f, multiplied=False).numpy(),
    }
    wall: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    results: dict[str, np.ndarray] = {}
    for number in range(rounds + 1):
        for name, fit in sides.items():
            began = time.process_time()
            ms, results[name] = timed(fit, time.perf_counter)
            if number:  # the first round warms everything up
                wall[name].append(ms)
                cpu[name].append(1e3 * (time.process_time() - began))
    ours = results["banded (ours)"]
    base_wall, base_cpu = (statistics.median(times["banded (ours)"]) for times in (wall, cpu))
    print(f"\n{len(local)} windows, medians of {rounds} rounds in turn")
    print(f"  {'':44}  wall ms    cpu ms   ratio wall / cpu   differs")
    for name in sides:
        w, c = statistics.median(wall[name]), statistics.median(cpu[name])
        apart = float(np.abs(results[name] - ours).max())
        ratio = f"{w / base_wall:6.1f} / {c / base_cpu:6.1f}"
        print(f"  {name:44} {w:8.1f}  {c:8.1f}   {ratio}    {apart:.1e}")
        if not apart <= CLOSE:
            raise RuntimeError(
                f"{name} differs by {apart:g} from the banded fit; at most {CLOSE:g} is allowed"
            )
    print(
        f"  goal: {GOAL:g} times, equal to {CLOSE:g}; one banded window: {1e3 * base_cpu / len(local):.1f} µs"
    )


def main(
    recorded: Annotated[Path, typer.Option(help="Folder of recorded traffic.")] = Path("../shared/recorded"),
    stride: Annotated[int, typer.Option(help="Steps of 0.1 s between windows of a vehicle.")] = 10,
    limit_m: Annotated[float, typer.Option(help="Largest error our readers accept, m.")] = 0.5,
    rounds: Annotated[int, typer.Option(help="Timed rounds.")] = 9,
    count: Annotated[int, typer.Option(help="Windows of the timed fit.")] = 1024,
) -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    windows = recorded_windows(recorded, stride)
    if not windows:
        raise typer.BadParameter(f"{recorded} holds no recording", param_hint="--recorded")
    print(f"release weights {DEFAULT_FIT}")
    reconstruction(windows, limit_m)
    local = in_ego_frame(np.concatenate(list(windows.values())))
    speed(local[np.arange(count) % len(local)], rounds)


if __name__ == "__main__":
    typer.run(main)
