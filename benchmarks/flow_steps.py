"""Flow expert against discrete decoding on clips nobody trained on: distance from the expert by steps and
integrator.

    python -m benchmarks.flow_steps --config configs/quickstart/expert.yaml

Each clip's prompt is run once and six texts are sampled; the six trajectories of their own tokens and six of the
flow (one a text, same noise whatever the steps) are compared. minADE6 is the best of six, ADE the mean, metres
over 6.4 s; brackets are 95 % bootstrap intervals over clips, "paired" is flow minus discrete on the same clips.
Seconds are per clip on this machine, for the six flow trajectories and for the six rows of trajectory tokens.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tqdm import trange

from policy.completion import drive, drive_actions
from policy.config_file import load_config
from policy.flow_options import FlowOptions, Integrator
from policy.planner import Planner
from policy.prompt import PromptBuilder
from policy.tokenizer import TextCodec
from rl.drive_result import displacement
from rl.statistics import bootstrap
from scenes.clip import Clip
from scenes.store import ClipStore
from sft.config import SftConfig
from sft.data import split_store

SETTINGS = (
    *(FlowOptions(steps, Integrator.EULER) for steps in (1, 2, 5, 10, 20)),
    *(
        FlowOptions(steps, method)
        for method in (Integrator.MIDPOINT, Integrator.HEUN)
        for steps in (1, 5, 10)
    ),
)
SAMPLES = 6


def name_of(options: FlowOptions) -> str:
    """ "euler 10", and the guidance where there is one."""
    guidance = "" if options.guidance == 1.0 else f" guidance {options.guidance:g}"
    return f"{options.method} {options.steps}{guidance}"


def drive_all(
    planner: Planner,
    builder: PromptBuilder,
    clip: Clip,
    seed: int,
    temperature: float,
    settings: list[FlowOptions],
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """ADE of each of the six trajectories by decoder, and seconds by decoder."""
    texts = planner.texts(builder.build(clip), SAMPLES, temperature, seed)
    noise, codec, speed = (
        planner.noise(SAMPLES, 1, seed),
        planner.spec.future_codec(),
        float(clip.ego_history[-1, 3]),
    )
    distances, seconds = {}, {}
    for options in settings:
        began = time.perf_counter()
        actions = planner.expert.sample(texts.prefix, noise, options)[:, 0].float().cpu().numpy()
        seconds[name_of(options)] = time.perf_counter() - began
        driven = [drive_actions(each, codec, speed) for each in actions]
        distances[name_of(options)] = [displacement(each, clip) for each in driven]
    began = time.perf_counter()
    planner.trajectory_tokens(texts)
    seconds["discrete"] = time.perf_counter() - began
    own = [drive(completion, codec, speed) for completion in planner.completions(texts)]
    distances["discrete"] = [displacement(each, clip) for each in own if each is not None]
    return distances, seconds


def summarise(
    rows: list[dict[str, list[float]]], seconds: list[dict[str, float]]
) -> dict[str, dict[str, object]]:
    """By decoder: [mean, low, high] of minADE6 and of ADE, flow minus discrete of both, median seconds a clip."""
    least = {name: np.array([min(row[name]) for row in rows]) for name in rows[0]}
    mean = {name: np.array([np.mean(row[name]) for row in rows]) for name in rows[0]}
    return {
        name: {
            "min_ade": bootstrap(least[name]).row(),
            "min_ade_paired": bootstrap(least[name] - least["discrete"]).row(),
            "ade": bootstrap(mean[name]).row(),
            "ade_paired": bootstrap(mean[name] - mean["discrete"]).row(),
            "ms": 1e3 * float(np.median([each[name] for each in seconds])),
        }
        for name in rows[0]
    }


def main() -> None:
    """Print the table and one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path("configs/quickstart/expert.yaml"))
    parser.add_argument("--policy", type=Path, default=None, help="default: the configuration's policy")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--temperature", type=float, default=0.7, help="of text and trajectory tokens")
    parser.add_argument("--guidance", type=float, nargs="*", default=[], help="also Euler 10 with these")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("overrides", nargs="*", help="dotted overrides of the configuration")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config = load_config(SftConfig, options.config, options.overrides)
    folder = options.policy or config.folder / "policy"
    planner = Planner(folder)
    builder = PromptBuilder(planner.spec, TextCodec.load(folder))
    store = ClipStore.open(split_store(config.data, options.split))
    settings = [*SETTINGS, *(FlowOptions(10, Integrator.EULER, value) for value in options.guidance)]
    rows, seconds = [], []
    for index in trange(min(options.clips, len(store)), unit="clip"):
        found = drive_all(planner, builder, store[index], 1_000 * index, options.temperature, settings)
        rows.append(found[0])
        seconds.append(found[1])
    result = summarise(rows, seconds)
    table = Table(
        title=f"{len(rows)} {options.split} clips, {SAMPLES} samples, temperature {options.temperature:g}"
    )
    for column in ("decoder", "minADE6 m", "paired", "ADE m", "paired", "ms a clip"):
        table.add_column(column)
    for name, row in result.items():
        cells = [_interval(row[key]) for key in ("min_ade", "min_ade_paired", "ade", "ade_paired")]
        table.add_row(name, *cells, f"{row['ms']:.1f}")
    Console(width=140).print(table)
    print(json.dumps({"clips": len(rows), "decoders": result}))


def _interval(values: object) -> str:
    mean, low, high = values  # type: ignore[misc]
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
