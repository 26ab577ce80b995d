"""Speed of the procedural world and the share of its decisions: `python benchmarks/world.py --scenes 2048`.

Three rates, each on one core: simulating scenes only; simulating, judging and testing causes by deletion;
and finished clips with pictures of two cameras.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Annotated

import typer

from scenes.cameras import default_rig
from scenes.world import WorldConfig, generate
from scenes.world.generator import Verdict, draw, judge, run_batch


def main(
    scenes: Annotated[int, typer.Option(help="Scenes to simulate.")] = 2048,
    batch: Annotated[int, typer.Option(help="Scenes a batch.")] = 512,
    clips: Annotated[int, typer.Option(help="Clips to draw.")] = 256,
) -> None:
    """Print rates and decision shares."""
    config = WorldConfig()
    began = time.perf_counter()
    specs = [draw(config, index, 0) for index in range(scenes)]
    drawn = time.perf_counter()
    for first in range(0, scenes, batch):
        run_batch(specs[first : first + batch])
    simulated = time.perf_counter()
    accepted: list[Verdict] = []
    for first in range(0, scenes, batch):
        outcomes = judge(config, specs[first : first + batch]).outcomes
        accepted += [outcome for outcome in outcomes if isinstance(outcome, Verdict)]
    judged = time.perf_counter()
    rig = default_rig(("front_wide", "front_tele"))
    next(iter(generate(WorldConfig(chunk=1), 0, 1, rig)))
    warm = time.perf_counter()
    made = len(list(generate(config, 0, clips, rig)))
    done = time.perf_counter()
    print(f"drawing specs              {scenes / (drawn - began):8.0f} scenes/s")
    print(f"simulation only            {scenes / (simulated - drawn):8.0f} scenes/s (79 steps each)")
    print(f"simulation, label, causes  {scenes / (judged - simulated):8.0f} scenes/s")
    print(f"clips with two cameras     {made / (done - warm):8.1f} clips/s")
    print(f"accepted before rendering  {len(accepted) / scenes:8.1%}")
    for axis in ("longitudinal", "lateral"):
        for decision, number in Counter(str(getattr(v.decision, axis)) for v in accepted).most_common():
            print(f"  {axis:13s}{decision:28s}{number / len(accepted):7.1%}")


if __name__ == "__main__":
    typer.run(main)
