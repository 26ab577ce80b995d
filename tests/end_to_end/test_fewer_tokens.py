"""A whole job on policies that read fewer vision tokens: what the learner checks before every update holds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from safetensors.numpy import load_file
from small_job import Small, last_json

from policy.spec import PolicySpec

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.mark.parametrize(
    "flags", [("--ratio", "2"), ("--kind", "resample", "--scene-tokens", "5")], ids=["pruned", "resampled"]
)
def test_sampler_and_learner_agree_over_a_job(
    small: Small, ar1: Callable[..., subprocess.CompletedProcess[str]], flags: tuple[str, ...]
) -> None:
    name = "pruned" if "--ratio" in flags else "resampled"
    policy = small.folder / name
    told = last_json(ar1("vision-tokens", small.policy, policy, *flags, "--json"))
    assert told["image_tokens"] < 12, "what the whole policy reads"
    ar1("grpo", "--config", small.job(name, policy=str(policy), steps=2))
    run = small.run(name)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = [row.get("metrics", row) for row in rows]
    gaps = [row[key] for row in found for key in row if key.endswith("logp_difference/max")]
    assert len(gaps) >= 2
    assert max(gaps) <= 1e-3
    trained = run / "policy"
    assert PolicySpec.load(trained) == PolicySpec.load(policy)
    before, after = (load_file(folder / "model.safetensors") for folder in (policy, trained))
    moved = {key for key in before if not np.array_equal(before[key], after[key])}
    assert set(before) == set(after)
    assert any("resampler" in key for key in moved) == (name == "resampled")
