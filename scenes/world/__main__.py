"""`python -m scenes.world --count 100 --report`: what the world makes, what it refuses, and how fast."""

from __future__ import annotations

import time
from collections import Counter
from typing import Annotated

import typer

from scenes.cameras import default_rig
from scenes.world import WorldConfig, generate, situations


def main(
    count: Annotated[int, typer.Option(help="Clips to generate.")] = 100,
    start: Annotated[int, typer.Option(help="First index.")] = 0,
    seed: Annotated[int, typer.Option(help="World seed.")] = 0,
    report: Annotated[bool, typer.Option(help="Print acceptance and refusals by situation.")] = False,
) -> None:
    """Generate clips with two cameras and print decisions, refusals and speed."""
    rig = default_rig(("front_wide", "front_tele"))
    tally: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    began = time.perf_counter()
    for clip in generate(WorldConfig(seed=seed), start, count, rig, tally):
        label = clip.label
        if label is None:
            raise RuntimeError(f"{clip.clip_id} has no label")
        decisions.update(str(d) for d in (label.longitudinal, label.lateral) if d is not None)
    seconds = time.perf_counter() - began
    print(
        f"{count} clips in {seconds:.1f} s: {count / seconds:.1f} clips/s; {sum(tally.values())} scenes drawn"
    )
    for name, number in sorted(decisions.items(), key=lambda item: -item[1]):
        print(f"  {name:28s} {number:6d} {number / count:7.1%}")
    if report:
        for name, text in situations().items():
            mine = {key.split(": ", 1)[1]: n for key, n in tally.items() if key.startswith(f"{name}: ")}
            drawn, accepted = sum(mine.values()), mine.pop("accepted", 0)
            reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(mine.items(), key=lambda i: -i[1]))
            print(f"{name:18s} {accepted:4d}/{drawn:<5d} {text} {reasons}")


if __name__ == "__main__":
    typer.run(main)
