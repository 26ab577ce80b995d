"""One pass over the prompt serves text, trajectory tokens and flow; other engines' texts are driven the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_policy
import torch
from safetensors.torch import load_file, save_file

from policy.engine import Request, Sampling
from policy.expert_driver import ExpertDriver
from policy.expert_model import build_expert
from policy.expert_spec import ExpertSpec, FeatureSpec
from policy.flow_options import FlowOptions, Integrator
from policy.planner import Planner, Plans
from policy.spec import PolicySpec
from policy.transformers_engine import TransformersEngine

SEED, FLOW = 7, FlowOptions(steps=3, method=Integrator.HEUN)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = small_policy.build(tmp_path_factory.mktemp("policy"))
    state = load_file(path / "model.safetensors")
    # An untrained head gives every id alike; louder, <|cot_end|> comes at different places.
    state["model.language_model.embed_tokens.weight"][PolicySpec.load(path).vocabulary_ids().cot_end] *= -60
    save_file(state, path / "model.safetensors", metadata={"format": "pt"})
    spec = ExpertSpec(hidden=32, feed_forward=48, heads=2, features=FeatureSpec(hidden=16, max_frequency=8))
    expert = build_expert(path, spec, seed=3)
    torch.nn.init.normal_(expert.action_out_proj.weight, std=0.03, generator=torch.Generator().manual_seed(4))
    expert.save(path)
    return path


@pytest.fixture(scope="module")
def planner(folder: Path) -> Planner:
    return Planner(folder)


@pytest.fixture(scope="module")
def plans(folder: Path, planner: Planner) -> Plans:
    return planner.plan(small_policy.prompts(folder, 1)[0], 6, 1.0, SEED, FLOW)


def test_every_row_obeys_the_grammar_and_texts_differ(plans: Plans) -> None:
    assert all(completion.valid for completion in plans.completions)
    lengths = {len(completion.token_ids) for completion in plans.completions}
    assert len(lengths) > 1, "rows of different length, or the alignment is not tested"
    assert plans.flow.shape == (6, 1, 64, 2)
    assert set(plans.seconds) == {"vision", "prefill", "text", "flow", "discrete"}


def test_log_probabilities_are_those_of_one_forward_pass(folder: Path, plans: Plans) -> None:
    engine = TransformersEngine(folder)
    request = Request("r", small_policy.prompts(folder, 1)[0], 1, 0, Sampling(1.0))
    for completion in plans.completions:
        expected = engine.log_probs(request, completion)  # type: ignore[arg-type]
        assert np.allclose(completion.logprobs, expected, atol=1e-4)


def test_the_driver_of_finished_texts_finds_the_same_flow(folder: Path, plans: Plans) -> None:
    driver = ExpertDriver(folder, FLOW)
    rows = [completion.token_ids for completion in plans.completions]
    prompt = small_policy.prompts(folder, 1)[0]
    actions = driver.actions(prompt, rows, [SEED + row for row in range(6)])
    assert np.allclose(actions, plans.flow[:, 0], atol=1e-4)
    alone = driver.actions(prompt, rows[4:5], [SEED + 4])
    assert np.allclose(alone[0], actions[4], atol=1e-4), "a row does not depend on its group"
    assert driver.metrics()["expert_trajectories"] == 7


def test_the_text_moves_the_flow(folder: Path, plans: Plans) -> None:
    driver = ExpertDriver(folder, FLOW)
    prompt = small_policy.prompts(folder, 1)[0]
    same_noise = driver.actions(prompt, [c.token_ids for c in plans.completions[:2]], [SEED, SEED])
    assert not np.allclose(same_noise[0], same_noise[1], atol=1e-4)


def test_new_weights_reach_the_driver(folder: Path, plans: Plans) -> None:
    driver = ExpertDriver(folder, FLOW)
    prompt, rows = small_policy.prompts(folder, 1)[0], [plans.completions[0].token_ids]
    before = driver.actions(prompt, rows, [0])
    name = "model.language_model.layers.1.self_attn.k_proj.weight"
    value = dict(driver._backbone.named_parameters())[name].detach().numpy()
    driver.update_weights({name: value + 0.2})
    assert not np.allclose(driver.actions(prompt, rows, [0]), before, atol=1e-4)
    with pytest.raises(ValueError, match="no tensors"):
        driver.update_weights({"model.unknown": value})


def test_greedy_texts_are_alike_and_their_flows_are_not(folder: Path, planner: Planner) -> None:
    prompt: Any = small_policy.prompts(folder, 1)[0]
    found = planner.plan(prompt, 2, 0.0, SEED, FLOW, trajectories=3, discrete=False)
    first, second = found.completions
    text = int(np.flatnonzero(first.token_ids == planner.grammar.vocabulary.cot_end)[0])
    assert np.array_equal(first.token_ids[:text], second.token_ids[:text])
    assert found.flow.shape == (2, 3, 64, 2)
    assert not np.allclose(found.flow[0, 0], found.flow[1, 0])
    assert not np.allclose(found.flow[0, 0], found.flow[0, 1])


def test_an_unfinished_text_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="valid ones only"):
        ExpertDriver(folder, FLOW).actions(small_policy.prompts(folder, 1)[0], [np.array([1, 2, 3])], [0])
