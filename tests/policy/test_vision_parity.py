"""vLLM and the learner with fewer vision tokens: same prompts, same probabilities, also after a weight update."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_policy
import torch
from safetensors.torch import save_file

from policy.backbone import load_backbone
from policy.grammar import Phase
from policy.likelihood import masked_log_probs
from policy.model_inputs import ImageEncoder, backbone_inputs, pad_rows
from policy.spec import PolicySpec, VisionTokensSpec
from policy.transformers_engine import TransformersEngine

BOUND = 1e-3
SERVE = Path(__file__).with_name("served_samples.py")
KINDS = {
    "pruned 2x": VisionTokensSpec(kind="prune", ratio=2),
    "resampled to 5": VisionTokensSpec(kind="resample", scene_tokens=5),
}
pytestmark = [pytest.mark.process, pytest.mark.slow]


def perturbed(folder: Path, out: Path) -> None:
    """The policy's weights with noise, as a learner would publish them (tied head left out)."""
    generator = torch.Generator().manual_seed(3)
    state = load_backbone(folder).state_dict()
    state.pop("lm_head.weight")
    noisy = {
        name: value + 0.05 * torch.randn(value.shape, generator=generator) for name, value in state.items()
    }
    save_file(noisy, out)


@torch.no_grad()
def worst_gaps(engine: TransformersEngine, folder: Path, samples: list[dict[str, list]]) -> dict[str, float]:
    """Largest difference of log-probabilities, text and trajectory apart."""
    prompts = small_policy.prompts(folder, 3)
    rows = [np.asarray(sample["ids"]) for sample in samples]
    grammar = engine.spec.grammar()
    padded = pad_rows(rows, fill=grammar.vocabulary.traj_end)
    inputs = backbone_inputs(
        [prompts[sample["prompt"]] for sample in samples],
        padded,
        ImageEncoder(folder),
        grammar.vocabulary.image_pad,
    )
    phases = np.full(tuple(padded.mask.shape), Phase.FORCED, np.int8)
    sampled = np.zeros(phases.shape)
    for index, row in enumerate(rows):
        phases[index, : len(row)] = grammar.phases(row)
        sampled[index, : len(row)] = samples[index]["logprobs"]
    ours, _ = masked_log_probs(engine.model, inputs, torch.from_numpy(phases), grammar, 0.8)
    gaps = np.abs(ours.numpy() - sampled)
    return {phase.name: float(gaps[phases == phase].max()) for phase in Phase}


@pytest.mark.parametrize("tokens", KINDS.values(), ids=KINDS.keys())
def test_the_sampler_agrees_with_the_learner(tmp_path: Path, tokens: VisionTokensSpec) -> None:
    folder = small_policy.build(tmp_path / "policy", vision_tokens=tokens)
    perturbed(folder, tmp_path / "other.safetensors")
    command = [sys.executable, SERVE, folder, tmp_path / "other.safetensors", tmp_path / "out.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-4000:]
    served = json.loads((tmp_path / "out.json").read_text())
    prompts = small_policy.prompts(folder, 3)
    assert served["prompt_ids"] == [prompt.ids.tolist() for prompt in prompts]
    pads = int((prompts[0].ids == PolicySpec.load(folder).vocabulary_ids().image_pad).sum())
    assert pads == (6 if tokens.kind == "prune" else 5), "12 tokens without compression"

    engine = TransformersEngine(folder)
    assert all(gap <= BOUND for gap in worst_gaps(engine, folder, served["samples-0"]).values())
    from safetensors.numpy import load_file

    engine.update_weights(load_file(tmp_path / "other.safetensors"), 1)
    after = worst_gaps(engine, folder, served["samples-1"])
    print({"kind": tokens.kind, **after})
    assert all(gap <= BOUND for gap in after.values())
    ids = [np.asarray(served["samples-1"][2 * index]["ids"]) for index in range(3)]
    for theirs, ours in zip(served["scores"], engine.score(prompts, ids), strict=True):
        assert np.abs(np.asarray(theirs) - ours).max() <= BOUND


@torch.no_grad()
def test_decoding_with_a_cache_agrees_with_one_pass(tmp_path: Path) -> None:
    from policy.engine import Request, Sampling

    for name, tokens in KINDS.items():
        folder = small_policy.build(tmp_path / name, vision_tokens=tokens)
        engine = TransformersEngine(folder)
        request = Request("one", small_policy.prompts(folder, 1)[0], 1, 0, Sampling(1.0))
        ((_, (sample,)),) = engine.generate([request])
        assert np.abs(engine.log_probs(request, sample) - sample.logprobs).max() <= 1e-4
