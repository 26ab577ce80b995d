"""How fast clips are drawn.

Run `python benchmarks/render.py --agents 24 --frames 4`.

Draws one busy street (cars, trucks, pedestrians, cyclists, cones, two traffic lights, signs) again and
again on one thread. Prints four-camera frames a second, milliseconds a clip, and the share of the ground
texture."""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image

from scenes.cameras import default_rig
from scenes.clip import Agents, Clip, RoadMap, Sign, Signals
from scenes.render import render
from scenes.render.ground import build_ground
from scenes.trajectory import FUTURE_STEPS, HISTORY_STEPS, STEP_S

KINDS = {
    "car": (4.6, 1.9, 1.5),
    "truck": (8.5, 2.5, 3.2),
    "pedestrian": (0.5, 0.6, 1.75),
    "cyclist": (1.8, 0.6, 1.7),
    "cone": (0.4, 0.4, 0.75),
}


def street() -> RoadMap:
    """Four lanes along x, a crossing road at 40 m, kerbs, markings, a crosswalk and a stop line."""
    along = np.array((-60.0, 200.0))

    def line(y: float) -> np.ndarray:
        return np.stack((along, np.full(2, y)), axis=1)

    lanes = tuple(line(y) for y in (0.0, 3.5)) + tuple(line(y)[::-1] for y in (7.0, 10.5))
    return RoadMap(
        lanes=lanes,
        lane_widths=(3.5,) * 4,
        boundaries=(line(-1.75), line(1.75), line(5.25), line(8.75), line(12.25)),
        boundary_kinds=("kerb", "dashed", "solid", "dashed", "kerb"),
        drivable=(
            np.array(((-60, -1.75), (200, -1.75), (200, 12.25), (-60, 12.25)), float),
            np.array(((34, -90), (46, -90), (46, 100), (34, 100)), float),
        ),
        crosswalks=(np.array(((28, -1.75), (32, -1.75), (32, 12.25), (28, 12.25)), float),),
        stop_lines=(np.array(((26, -1.75), (26, 5.25)), float),),
        signs=(
            Sign("stop_sign:0", "stop", (25.0, -3.0), 0.0),
            Sign("limit:0", "speed_limit", (14.0, -3.0), 0.0),
        ),
    )


def busy_street(count: int, seed: int = 0) -> Clip:
    """A clip with `count` agents ahead of an ego at 10 m/s. Its expert is constant speed, straight on."""
    rng = np.random.default_rng(seed)
    steps = HISTORY_STEPS + FUTURE_STEPS
    t = (np.arange(steps) - (HISTORY_STEPS - 1)) * STEP_S
    kinds = rng.choice(list(KINDS), size=count, p=(0.6, 0.1, 0.15, 0.1, 0.05))
    poses = np.zeros((count, steps, 3))
    for i, kind in enumerate(kinds):
        lane = rng.choice((0.0, 3.5, 7.0, 10.5)) if kind in ("car", "truck") else rng.choice((-3.0, 13.5))
        direction = -1.0 if lane in (7.0, 10.5) else 1.0
        speed = direction * {"car": 9.0, "truck": 8.0, "cyclist": 4.0}.get(kind, 0.0)
        poses[i, :, 0] = rng.uniform(8, 90) + speed * t
        poses[i, :, 1] = lane
        poses[i, :, 2] = 0.0 if direction > 0 else np.pi
    ego = np.stack((10.0 * t, 0 * t, 0 * t, 0 * t + 10.0), axis=1)
    return Clip(
        clip_id=f"street-{seed}",
        source="benchmark/street",
        t0=0.0,
        cameras=None,
        ego_history=ego[:HISTORY_STEPS],
        ego_future=ego[HISTORY_STEPS:],
        actions=np.zeros((FUTURE_STEPS, 2)),
        ego_size=(4.8, 2.0, 1.6, 1.4),
        agents=Agents(
            ids=tuple(f"agent:{i}" for i in range(count)),
            classes=tuple(str(kind) for kind in kinds),
            sizes=np.array([KINDS[kind] for kind in kinds]).reshape(count, 3),
            poses=poses,
            valid=np.ones((count, steps), bool),
        ),
        road=street(),
        signals=Signals(
            ids=("signal:0", "signal:1"),
            positions=np.array(((47.0, -3.0), (47.0, 3.5))),
            yaws=np.zeros(2),
            states=np.tile(np.array([[1], [3]], np.uint8), (1, steps)),
        ),
    )


def main() -> None:
    """Measure and print; with --png also save the last clip's pictures side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agents", type=int, default=24)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--png", type=Path, default=None)
    args = parser.parse_args()
    rig = default_rig(frames=args.frames, width=args.width, height=args.height)
    clips = [busy_street(args.agents, seed) for seed in range(8)]
    poses = clips[0].ego_history[list(rig.history_indices), :3]
    render(clips[0], rig)  # Compiles, or loads what is compiled.
    whole, ground = [], []
    for i in range(args.repeats):
        start = time.thread_time()
        rendered = render(clips[i % len(clips)], rig)
        whole.append(time.thread_time() - start)
        start = time.thread_time()
        build_ground(clips[i % len(clips)].road, rig, poses, args.agents)
        ground.append(time.thread_time() - start)
    median, best = statistics.median(whole), min(whole)
    print(
        f"{args.agents} agents, 4 cameras x {args.frames} frames of {args.width}x{args.height},"
        " one thread, CPU time:"
    )
    print(f"  four-camera frames/s a core: median {args.frames / median:.0f}, best {args.frames / best:.0f}")
    print(f"  ms a clip: median {1e3 * median:.2f}, best {1e3 * best:.2f}")
    texture = statistics.median(ground), min(ground)
    print(f"  of which ground texture: median {1e3 * texture[0]:.2f}, best {1e3 * texture[1]:.2f}")
    if args.png is not None:
        Image.fromarray(np.concatenate(list(rendered.frames[:, -1]), axis=1)).save(args.png)


if __name__ == "__main__":
    main()
