"""A converted release in the engines: vLLM generates from it and agrees with transformers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from release_folders import OPTIONS

from policy.checkpoint import open_checkpoint
from policy.checkpoint_convert import to_policy
from policy.release.sample import build_sample

pytestmark = [pytest.mark.process, pytest.mark.slow]
DEADLINE_S = 600
BOUND = 1e-3
"""Largest difference of a token's log-probability in nats."""

COMPARE = """
import json, sys
from pathlib import Path

import numpy as np

from policy.engine import Request, Sampling
from policy.prompt import Prompt, PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from policy.transformers_engine import TransformersEngine
from policy.vllm_engine import VllmEngine, VllmOptions

folder = Path(sys.argv[1])
spec = PolicySpec.load(folder)
builder = PromptBuilder(spec, TextCodec.load(folder))
history = np.zeros((16, 4))
history[:, 0] = np.linspace(-15, 0, 16)
cameras = spec.cameras
shape = (len(cameras.names) * cameras.frames, cameras.height, cameras.width, 3)
images = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
request = Request("r", Prompt(builder.ids(history), images), 2, 7, Sampling())
served = VllmEngine(folder, VllmOptions(threads=1))
samples = next(iter(served.generate([request])))[1]
same_prompt = served.prompt_ids(request) == [int(token) for token in request.prompt.ids]
served.close()
plain = TransformersEngine(folder)
worst = max(float(np.abs(plain.log_probs(request, each) - each.logprobs).max()) for each in samples)
grammar = spec.grammar()
lengths = [len(each.token_ids) for each in samples]
ends = [int(each.token_ids[-1]) == grammar.vocabulary.traj_end for each in samples]
print("RESULT " + json.dumps({"worst": worst, "lengths": lengths, "ends": ends, "same_prompt": same_prompt}))
"""


def test_vllm_generates_from_a_converted_release_and_agrees_with_transformers(tmp_path: Path) -> None:
    release = build_sample(tmp_path).release
    to_policy(open_checkpoint(release), tmp_path / "policy", OPTIONS)
    done = subprocess.run(
        [sys.executable, "-c", COMPARE, str(tmp_path / "policy")],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result = json.loads(line.removeprefix("RESULT "))
    assert result["same_prompt"]
    assert all(result["ends"])
    assert all(length >= 131 for length in result["lengths"]), "text, its end, start, 128 bins, end"
    assert result["worst"] <= BOUND
    print(f"largest difference of log-probabilities: {result['worst']:.2e}")
