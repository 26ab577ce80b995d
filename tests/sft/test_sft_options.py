"""Options of a run: batches that can be cut, and errors that name the fix before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from policy.config_file import ConfigError, load_config
from sft.config import SftConfig
from sft.options import ExecutionConfig
from sft.ranks import check_execution, zero_stage

CONFIGS = Path(__file__).parents[2] / "configs"
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")


@pytest.mark.parametrize(
    ("ranks", "micro", "cut"), [(1, None, (16, 1)), (2, None, (8, 1)), (2, 4, (4, 2)), (1, 2, (2, 8))]
)
def test_a_batch_is_shared_by_ranks_and_cut_into_parts(
    ranks: int, micro: int | None, cut: tuple[int, int]
) -> None:
    assert ExecutionConfig(ranks=ranks, micro_batch=micro).cut(16) == cut


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("execution.ranks=3", "batch_size 32 cannot be shared by execution.ranks=3"),
        ("execution.micro_batch=5", "parts of execution.micro_batch=5; choose a divisor"),
        ("execution.micro_batch=64", "parts of execution.micro_batch=64; choose a divisor"),
        ("execution.rank=2", "ranks"),
    ],
)
def test_a_batch_that_does_not_cut_is_an_error(override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_config(SftConfig, None, [override])


def test_a_vision_stage_takes_no_adapter() -> None:
    with pytest.raises(ValueError, match="a vision stage takes no lora"):
        SftConfig.model_validate({"stages": [{"kind": "vision", "steps": 1, "lora": {}}]})


def test_ready_files_name_their_zero_stage() -> None:
    files = sorted((CONFIGS / "deepspeed").glob("*.json"))
    assert {zero_stage(path) for path in files} == {1, 2, 3}
    assert all(path.stem.endswith(f"zero{zero_stage(path)}") for path in files)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no DeepSpeed configuration"),
        ("{", "is no DeepSpeed"),
        ("{}", "is no DeepSpeed"),
        ("zero0", "stage 0"),
    ],
)
def test_a_deepspeed_file_that_shards_nothing_is_refused(
    tmp_path: Path, content: str | None, says: str
) -> None:
    path = tmp_path / "zero.json"
    if content is not None:
        path.write_text(json.dumps({"zero_optimization": {"stage": 0}}) if content == "zero0" else content)
    with pytest.raises(ValueError, match=says):
        check_execution(SftConfig(execution=ExecutionConfig(deepspeed=path)))


@no_gpu
def test_bf16_under_deepspeed_without_a_gpu_is_refused() -> None:
    execution = ExecutionConfig(precision="bf16", deepspeed=CONFIGS / "deepspeed" / "cpu-zero2.json")
    with pytest.raises(ValueError, match="transformers refuses bf16"):
        check_execution(SftConfig(execution=execution))


@pytest.mark.parametrize(
    "path", sorted((CONFIGS / "quickstart").glob("sft*.yaml")), ids=lambda path: path.stem
)
def test_quickstart_recipes_use_no_option(path: Path) -> None:
    assert load_config(SftConfig, path).execution == ExecutionConfig()


def test_the_joint_only_recipe_differs_in_its_stages_alone() -> None:
    staged = load_config(SftConfig, CONFIGS / "quickstart" / "sft.yaml")
    joint = load_config(SftConfig, CONFIGS / "quickstart" / "sft-joint-only.yaml")
    same = {"name", "stages"}
    assert joint.model_dump(exclude=same) == staged.model_dump(exclude=same)
    assert [stage.kind for stage in joint.stages] == ["vision", "joint"]
    assert sum(stage.steps for stage in joint.stages) == sum(stage.steps for stage in staged.stages)
    assert joint.stages[0] == staged.stages[0]
