"""The expert stage: what a batch holds, who is trained, and an interrupted stage ends where a whole one does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from safetensors.numpy import load_file

from policy.backbone import load_backbone
from policy.config_file import load_config
from policy.expert_model import ExpertModel
from policy.model_inputs import ImageEncoder
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from scenes.store import ClipStore
from sft.config import ExpertStageConfig, SftConfig, StageConfig
from sft.data import split_store
from sft.examples import Examples
from sft.expert_stage import ExpertCollator, ExpertTrainee, expert_figures, expert_spec, start_expert
from sft.stages import _start, demonstrations

AR1 = Path(sys.executable).parent / "ar1"
CONFIG = Path(__file__).parents[2] / "configs" / "quickstart" / "expert.yaml"
pytestmark = [pytest.mark.process, pytest.mark.slow]
SMALL = {"hidden": 32, "feed_forward": 48, "heads": 2, "draws": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("expert")


@pytest.fixture(scope="module")
def config(folder: Path) -> SftConfig:
    data = {"folder": str(folder / "data"), "train": 24, "validation": 8, "pool": 8, "test": 8}
    return SftConfig.model_validate({"name": "start", "runs": str(folder), "threads": 1, "data": data})


@pytest.fixture(scope="module")
def policy(folder: Path, config: SftConfig) -> Path:
    path = folder / "policy"
    _start(config, path)
    return path


@pytest.fixture(scope="module")
def examples(config: SftConfig, policy: Path) -> Examples:
    store = ClipStore.open(split_store(config.data, "train"))
    text = TextCodec.load(policy)
    builder = PromptBuilder(PolicySpec.load(policy), text)
    return Examples(store, list(demonstrations(store, config)), builder, text)


def test_a_frozen_batch_ends_at_the_start_mark_of_each_row(policy: Path, examples: Examples) -> None:
    inputs = ExpertCollator(examples, ImageEncoder(policy), "varied", whole=False)([3, 11, 5])
    ids, ends = inputs["input_ids"], inputs["ends"]
    vocabulary = examples.vocabulary
    assert [int(ids[row, end - 1]) for row, end in enumerate(ends)] == [vocabulary.traj_start] * 3
    assert ids.shape[1] == int(ends.max()) == inputs["mm_token_type_ids"].shape[1]
    for row, end in enumerate(ends):
        seen = ids[row, :end]
        assert not ((seen >= vocabulary.future_start) & (seen < vocabulary.history_start)).any()
    assert torch.equal(inputs["actions"], torch.from_numpy(examples.actions[[3, 11, 5]].astype(np.float32)))


def trainee(policy: Path, examples: Examples, **options: Any) -> ExpertTrainee:
    chosen = ExpertStageConfig.model_validate(SMALL | options)
    expert = start_expert(policy, chosen, examples.actions, seed=1)
    torch.nn.init.normal_(expert.action_out_proj.weight, std=0.1)
    return ExpertTrainee(load_backbone(policy), expert, chosen, examples.vocabulary, 0.9)


def gradient(model: ExpertTrainee, inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Gradient of each of the backbone's parameters, zeros where none arrived."""
    backbone = model._held[0]
    backbone.zero_grad(set_to_none=True)
    torch.manual_seed(2)
    model(**inputs)[0].backward()
    parameters = backbone.named_parameters()
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in parameters}


def test_a_cotrained_backbone_feels_its_own_loss_alone(policy: Path, examples: Examples) -> None:
    inputs = ExpertCollator(examples, ImageEncoder(policy), "varied", whole=True)([0, 1, 2])
    stopped = gradient(trainee(policy, examples, cotrain=True), dict(inputs))
    blind = trainee(policy, examples, cotrain=True)
    blind.model.action_out_proj.weight.data.zero_()  # the flow loss then depends on no weight of the backbone
    alone = gradient(blind, dict(inputs))
    assert all(torch.equal(stopped[name], alone[name]) for name in alone)
    flowing = gradient(trainee(policy, examples, cotrain=True, stop_gradient=False), dict(inputs))
    assert any(not torch.equal(flowing[name], alone[name]) for name in alone)


def test_a_cotrained_state_comes_back_with_its_tied_head(policy: Path, examples: Examples) -> None:
    one, other = trainee(policy, examples, cotrain=True), trainee(policy, examples, cotrain=True)
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.add_(0.1)
    state = one.state_dict()
    assert "backbone.lm_head.weight" not in state
    other.load_state_dict({name: value.clone() for name, value in state.items()})
    assert torch.equal(other._held[0].lm_head.weight, one._held[0].lm_head.weight)
    assert other._held[0].lm_head.weight is other._held[0].model.language_model.embed_tokens.weight


def test_a_frozen_backbone_is_neither_trained_nor_saved(policy: Path, examples: Examples) -> None:
    model = trainee(policy, examples)
    assert {name.split(".")[0] for name in model.state_dict()} == {"model"}
    inputs = ExpertCollator(examples, ImageEncoder(policy), "varied", whole=False)([0, 1])
    assert all(float(value.abs().max()) == 0 for value in gradient(model, inputs).values())
    assert any(p.grad is not None and float(p.grad.abs().max()) > 0 for p in model.model.parameters())


def test_the_expert_s_scale_is_the_demonstrations(examples: Examples) -> None:
    spec = expert_spec(ExpertStageConfig(), examples.actions)
    scaled = (examples.actions - np.array(spec.mean)) / np.array(spec.std)
    assert scaled.mean((0, 1)) == pytest.approx([0, 0], abs=1e-9)
    assert scaled.std((0, 1)) == pytest.approx([1, 1], abs=1e-9)
    with pytest.raises(ValueError, match="constant"):
        expert_spec(ExpertStageConfig(), np.zeros((3, 64, 2)))


def test_settings_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(ValidationError, match="cotrain: true"):
        ExpertStageConfig(stop_gradient=False)
    stages = (StageConfig(kind="expert", steps=1), StageConfig(kind="joint", steps=1))
    with pytest.raises(ValidationError, match="must be last"):
        SftConfig(stages=stages)
    assert load_config(SftConfig, CONFIG).stages[-1].kind == "expert"


def stage_file(folder: Path, config: SftConfig, policy: Path, name: str, **options: Any) -> Path:
    """A 12-step stage with a checkpoint every 4."""
    content = yaml.safe_load(CONFIG.read_text())
    content |= {"name": name, "runs": str(folder), "threads": 1, "start": str(policy), "checkpoint_every": 4}
    content["data"] = config.data.model_dump(mode="json")
    content["log_every"] = 2
    content["stages"] = [
        {"kind": "expert", "steps": 12, "batch_size": 4, "learning_rate": 1e-3, "expert": SMALL | options}
    ]
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("options", [{}, {"cotrain": True}], ids=["frozen", "cotrained"])
def test_a_killed_stage_resumes_to_the_same_weights(
    folder: Path, config: SftConfig, policy: Path, options: dict[str, Any]
) -> None:
    kind = "cotrained" if options else "frozen"
    whole = stage_file(folder, config, policy, f"whole-{kind}", **options)
    done = subprocess.run(
        [AR1, "sft", "--config", whole, "--json"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cut = stage_file(folder, config, policy, f"cut-{kind}", **options)
    process = subprocess.Popen(
        [AR1, "sft", "--config", cut], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    checkpoint = folder / f"cut-{kind}" / "stage-0-expert" / "checkpoint-4" / "trainer_state.json"
    end = time.monotonic() + 300
    while not checkpoint.exists():
        assert process.poll() is None, "ended before its first checkpoint"
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / f"cut-{kind}" / "policy").exists(), "killed too late to prove anything"
    subprocess.run([AR1, "sft", "--config", cut], check=True, capture_output=True, timeout=600)
    for part in ("expert/model.safetensors", "model.safetensors"):
        ours, theirs = (load_file(folder / f"{name}-{kind}" / "policy" / part) for name in ("cut", "whole"))
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    run = folder / f"whole-{kind}"
    before, after = load_file(policy / "model.safetensors"), load_file(run / "policy" / "model.safetensors")
    changed = any(not np.array_equal(before[name], after[name]) for name in before)
    assert changed == bool(options), "a frozen backbone comes out bit for bit"
    rows = [json.loads(line) for line in (run / "losses.jsonl").read_text().splitlines()]
    assert any("flow/loss" in row for row in rows)
    assert (run / "loss_curve.png").stat().st_size > 10_000
    assert json.loads((run / "validation.jsonl").read_text().splitlines()[-1])["flow/loss"] > 0


def test_an_expert_learns_and_goes_on_from_its_folder(
    policy: Path, examples: Examples, tmp_path: Path
) -> None:
    model = trainee(policy, examples)
    collate = ExpertCollator(examples, ImageEncoder(policy), "varied", whole=False)
    optimiser = torch.optim.AdamW(model.model.parameters(), lr=3e-3)
    held = model._held[0]
    before = expert_figures(held, model.model, examples, ImageEncoder(policy), 24, seed=0)["flow/loss"]
    for step in range(40):
        loss, _ = model(**collate(list(range(step % 3 * 8, step % 3 * 8 + 8))))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = expert_figures(held, model.model, examples, ImageEncoder(policy), 24, seed=0)["flow/loss"]
    assert after < 0.8 * before
    for name in ("config.json", "ar1.json"):
        (tmp_path / name).write_text((policy / name).read_text())
    model.model.save(tmp_path)
    again = start_expert(tmp_path, ExpertStageConfig.model_validate(SMALL), examples.actions, seed=9)
    assert torch.equal(again.action_out_proj.weight, model.model.action_out_proj.weight)
    assert isinstance(again, ExpertModel)
    with pytest.raises(ValueError, match="another shape"):
        start_expert(tmp_path, ExpertStageConfig(), examples.actions, seed=9)
