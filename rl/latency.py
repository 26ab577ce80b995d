"""Seconds of every stage of a drive, beside what the device could do at best.

Role: what `ar1 latency` measures. Invariants: stages run on real images' shapes with the policy's own weights; the
device is waited for at each end; median and spread over repeats after warm-up; the roofline uses rates that were
measured on this device in the same process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.progress import track

from policy.device_probe import probe
from policy.flow_options import FlowOptions
from policy.lockstep import Lockstep, feed, repeat
from policy.planner import Planner, Stopwatch
from policy.prefix import prefix_of
from policy.prompt import Prompt, PromptBuilder
from policy.roofline import roofline_row
from policy.shape_of import policy_shape
from scenes.trajectory import HISTORY_STEPS, STEP_S

WARM_UP = 2


@dataclass(frozen=True)
class Setting:
    """What is timed: rows sampled together, text tokens a row, the flow's options, repeats."""

    rows: int
    text_tokens: int
    flow: FlowOptions
    repeats: int


def some_prompt(builder: PromptBuilder) -> Prompt:
    """A prompt of the policy's own shape: noise for images, a straight drive at 10 m/s for history."""
    history = np.zeros((HISTORY_STEPS, 4))
    history[:, 0] = np.arange(1 - HISTORY_STEPS, 1) * 10.0 * STEP_S
    cameras = builder.spec.cameras
    shape = (len(cameras.names) * cameras.frames, cameras.height, cameras.width, 3)
    return Prompt(builder.ids(history), np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8))


@torch.no_grad()
def time_once(planner: Planner, prompt: Prompt, setting: Setting) -> dict[str, float]:
    """Seconds of each stage, once. Text takes exactly the asked count of tokens, whatever the policy would say."""
    inputs, watch = planner.inputs(prompt), Stopwatch()
    with watch.stage("vision"):
        seen = planner.see(inputs)
    with watch.stage("prefill"):
        cache, logits = planner.prefill(inputs, seen)
    repeat(cache, setting.rows)
    state = planner.lockstep(setting.rows, 1.0, seed=0)
    logits = logits.expand(setting.rows, -1)
    with watch.stage("text"):
        logits = _decode(planner, cache, logits, state, setting.text_tokens)
    ends = torch.full((setting.rows,), cache.get_seq_length(), device=planner.device)
    prefix = prefix_of(cache, ends, planner.backbone.model.rope_deltas)
    noise = planner.noise(setting.rows, 1, seed=0)
    with watch.stage("flow"):
        planner.expert.sample(prefix, noise, setting.flow)
    with watch.stage("discrete"):
        _decode(planner, cache, logits, state, 2 * planner.expert.spec.waypoints + 1)
    return watch.seconds


def _decode(planner: Planner, cache: Any, logits: torch.Tensor, state: Lockstep, tokens: int) -> torch.Tensor:
    for _ in range(tokens):
        logits = feed(planner.backbone, cache, state.pick(logits))
    return logits


def measure(planner: Planner, builder: PromptBuilder, setting: Setting) -> dict[str, Any]:
    """Device, and per stage: median, 10th and 90th percentile in ms, roofline in ms, what binds it, work
    counted."""
    prompt = some_prompt(builder)
    dtype = planner.expert.action_out_proj.weight.dtype
    shape = policy_shape(planner, len(prompt.ids), element=dtype.itemsize)
    costs = shape.stages(
        setting.rows, setting.text_tokens, setting.flow.steps * setting.flow.method.evaluations
    )
    rates = probe(planner.device, dtype)
    rounds = [
        time_once(planner, prompt, setting)
        for _ in track(range(WARM_UP + setting.repeats), description="timing", transient=True)
    ][WARM_UP:]
    stages = {name: roofline_row(cost, rates) for name, cost in costs.items()}
    for name, row in stages.items():
        low, median, high = np.percentile([each[name] * 1e3 for each in rounds], (10, 50, 90))
        row |= {"ms": float(median), "p10_ms": float(low), "p90_ms": float(high)}
    return {
        "device": rates.name,
        "gflops": rates.flops / 1e9,
        "gbytes_s": rates.bytes / 1e9,
        "dtype": str(dtype).removeprefix("torch."),
        "prompt_tokens": len(prompt.ids),
        "rows": setting.rows,
        "text_tokens": setting.text_tokens,
        "flow": f"{setting.flow.steps} {setting.flow.method} steps",
        "repeats": setting.repeats,
        "stages": stages,
    }
