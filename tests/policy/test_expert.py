"""The expert on a small backbone: padding is exact, prefixes are shared, and no gradient leaks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_policy
import torch
from safetensors.torch import load_file, save_file

from policy.backbone import load_backbone
from policy.expert_model import ExpertModel, build_expert
from policy.expert_spec import EXPERT_FOLDER, EXPERT_WEIGHTS, ExpertSpec, FeatureSpec
from policy.flow_options import FlowOptions, Integrator
from policy.model_inputs import ImageEncoder, backbone_inputs, pad_rows
from policy.prefix import Prefix, prefill, prefix_of
from policy.spec import PolicySpec

SPEC = ExpertSpec(
    hidden=64,
    feed_forward=96,
    heads=4,
    features=FeatureSpec(hidden=32, max_frequency=16),
    unconditional_share=0.2,
)
LENGTHS = (4, 9, 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_policy.build(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def model(folder: Path) -> ExpertModel:
    """An expert whose out-projection says something."""
    built = build_expert(folder, SPEC, seed=3)
    torch.nn.init.normal_(built.action_out_proj.weight, std=0.1, generator=torch.Generator().manual_seed(4))
    return built.eval()


@pytest.fixture(scope="module")
def backbone(folder: Path) -> Any:
    return load_backbone(folder)


def rows(count: int = len(LENGTHS)) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(1, 60, length) for length in LENGTHS[:count]]


def inputs_of(folder: Path, texts: list[np.ndarray], prompts: list[Any]) -> dict[str, Any]:
    image_pad = PolicySpec.load(folder).vocabulary_ids().image_pad
    return backbone_inputs(prompts, pad_rows(texts, fill=0), ImageEncoder(folder), image_pad)


def prefix_for(folder: Path, backbone: Any, which: list[int], detach: bool = True) -> Prefix:
    """Prefix of some of the rows, padded together on the right."""
    prompts = small_policy.prompts(folder, len(LENGTHS))
    texts = rows()
    inputs = inputs_of(folder, [texts[index] for index in which], [prompts[index] for index in which])
    cache, deltas = prefill(backbone, inputs)
    ends = torch.tensor([len(prompts[index].ids) + LENGTHS[index] for index in which])
    return prefix_of(cache, ends, deltas, detach=detach)


def noise(count: int, samples: int = 1) -> torch.Tensor:
    return torch.randn((count, samples, 64, 2), generator=torch.Generator().manual_seed(6))


def test_a_padded_batch_equals_each_row_alone(folder: Path, backbone: Any, model: ExpertModel) -> None:
    with torch.no_grad():
        together = model.velocity(
            noise(3), torch.tensor([[0.1], [0.5], [0.9]]), prefix_for(folder, backbone, [0, 1, 2])
        )
        for index, time in enumerate((0.1, 0.5, 0.9)):
            alone = prefix_for(folder, backbone, [index])
            velocity = model.velocity(noise(3)[index : index + 1], torch.tensor(time), alone)
            assert torch.allclose(velocity[0], together[index], atol=1e-5)


def test_rows_padded_on_the_left_equal_each_row_alone(
    folder: Path, backbone: Any, model: ExpertModel
) -> None:
    """The release's collator pads on the left."""
    prompts, texts, fill = small_policy.prompts(folder, 3), rows(), 0
    longest = max(LENGTHS)
    inputs = inputs_of(folder, [np.zeros(longest, np.int64)] * 3, prompts)
    length = len(prompts[0].ids)
    ids = torch.full_like(inputs["input_ids"], fill)
    mask = torch.zeros_like(ids)
    for index, text in enumerate(texts):
        whole = torch.from_numpy(np.concatenate([prompts[index].ids, text]).astype(np.int64))
        ids[index, -len(whole) :], mask[index, -len(whole) :] = whole, 1
    image_pad = PolicySpec.load(folder).vocabulary_ids().image_pad
    padded = inputs | {
        "input_ids": ids,
        "attention_mask": mask,
        "mm_token_type_ids": (ids == image_pad).int(),
    }
    with torch.no_grad():
        cache, deltas = prefill(backbone, padded)
        ends = torch.full((3,), length + longest)
        prefix = prefix_of(cache, ends, deltas, mask)
        together = model.velocity(noise(3), torch.tensor(0.4), prefix)
        for index in range(3):
            alone = prefix_for(folder, backbone, [index])
            assert int(alone.position[0]) == int(prefix.position[index])
            velocity = model.velocity(noise(3)[index : index + 1], torch.tensor(0.4), alone)
            assert torch.allclose(velocity[0], together[index], atol=1e-5)


def test_trajectories_that_share_a_prefix_equal_trajectories_alone(
    folder: Path, backbone: Any, model: ExpertModel
) -> None:
    prefix = prefix_for(folder, backbone, [0, 1])
    start, time = noise(2, samples=6), torch.tensor(0.5)
    with torch.no_grad():
        together = model.velocity(start, time, prefix)
        for index in range(6):
            alone = model.velocity(start[:, index : index + 1], time, prefix)
            assert torch.allclose(alone[:, 0], together[:, index], atol=1e-5)


def test_kept_buffers_change_nothing(folder: Path, backbone: Any, model: ExpertModel) -> None:
    prefix, x = prefix_for(folder, backbone, [0, 1]), noise(2)
    grid = torch.linspace(0, 1, 4)
    with torch.no_grad():
        for start, end in pairwise(grid):
            x = x + (end - start) * model.velocity(x, start, prefix)
    assert torch.allclose(model.sample(prefix, noise(2), FlowOptions(3)), model.denormalise(x), atol=1e-6)


def test_attention_is_bidirectional_and_sees_the_prefix(
    folder: Path, backbone: Any, model: ExpertModel
) -> None:
    prefix, start = prefix_for(folder, backbone, [0]), noise(1)
    with torch.no_grad():
        before = model.velocity(start, torch.tensor(0.5), prefix)
        moved = start.clone()
        moved[0, 0, -1] += 1.0
        after = model.velocity(moved, torch.tensor(0.5), prefix)
        other = model.velocity(start, torch.tensor(0.5), prefix_for(folder, backbone, [1]))
    assert not torch.allclose(before[0, 0, 0], after[0, 0, 0], atol=1e-5), "the first waypoint sees the last"
    assert not torch.allclose(before, other, atol=1e-3), "another prefix, another velocity"


def test_no_gradient_of_the_flow_loss_reaches_the_backbone(
    folder: Path, backbone: Any, model: ExpertModel
) -> None:
    actions = torch.randn((2, 64, 2), generator=torch.Generator().manual_seed(8))

    def gradients(detach: bool) -> list[float]:
        backbone.zero_grad(set_to_none=True)
        model.zero_grad(set_to_none=True)
        torch.manual_seed(9)
        model.loss(actions, prefix_for(folder, backbone, [0, 1], detach=detach), draws=2).backward()
        assert any(p.grad is not None and float(p.grad.abs().max()) > 0 for p in model.parameters())
        return [0.0 if p.grad is None else float(p.grad.abs().max()) for p in backbone.parameters()]

    assert max(gradients(detach=True)) == 0.0
    flowing = gradients(detach=False)
    assert max(flowing) > 0.0
    names = [name for name, _ in backbone.named_parameters()]
    reached = {name for name, size in zip(names, flowing, strict=True) if size > 0}
    assert any("visual" in name for name in reached), "through the cache down to the images"


def test_guidance_one_equals_none_and_two_differs(folder: Path, backbone: Any, model: ExpertModel) -> None:
    prefix, start = prefix_for(folder, backbone, [0, 1]), noise(2)
    plain = model.sample(prefix, start, FlowOptions(2))
    assert torch.equal(model.sample(prefix, start, FlowOptions(2, guidance=1.0)), plain)
    assert not torch.allclose(model.sample(prefix, start, FlowOptions(2, guidance=2.0)), plain, atol=1e-4)


def test_an_unseen_prefix_is_a_hidden_one(folder: Path, backbone: Any, model: ExpertModel) -> None:
    prefix, start = prefix_for(folder, backbone, [0, 1]), noise(2)
    with torch.no_grad():
        masked = model.velocity(start, torch.tensor(0.3), prefix.hidden(torch.tensor([True, True])))
        absent = model.velocity(start, torch.tensor(0.3), prefix.unseen())
    assert torch.allclose(masked, absent, atol=1e-5)


def test_guidance_is_refused_for_an_expert_that_always_saw_its_prefix(folder: Path, backbone: Any) -> None:
    strict = build_expert(folder, SPEC.model_copy(update={"unconditional_share": 0.0}), seed=3)
    with pytest.raises(ValueError, match="unconditional_share"):
        strict.sample(prefix_for(folder, backbone, [0]), noise(1), FlowOptions(2, guidance=1.5))


@pytest.mark.parametrize("method", list(Integrator))
def test_samples_depend_on_the_noise_alone(
    folder: Path, backbone: Any, model: ExpertModel, method: Integrator
) -> None:
    prefix = prefix_for(folder, backbone, [0, 1, 2])
    torch.manual_seed(1)
    first = model.sample(prefix, noise(3), FlowOptions(2, method))
    torch.manual_seed(2)
    assert torch.equal(model.sample(prefix, noise(3), FlowOptions(2, method)), first)
    assert first.shape == (3, 1, 64, 2)


def test_an_expert_survives_its_files(folder: Path, model: ExpertModel, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    model.save(tmp_path)
    loaded = ExpertModel.load(tmp_path)
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    assert {name.split(".")[0] for name in loaded.state_dict()} == {
        "expert",
        "action_in_proj",
        "action_out_proj",
    }
    path = tmp_path / EXPERT_FOLDER / EXPERT_WEIGHTS
    state = load_file(path)
    save_file({name: value for name, value in state.items() if not name.endswith(".freqs")}, path)
    assert torch.equal(
        ExpertModel.load(tmp_path).action_in_proj.sinus[0].freqs, model.action_in_proj.sinus[0].freqs
    )
    state.pop("expert.norm.weight")
    save_file(state, path)
    with pytest.raises(ValueError, match=r"missing \['expert.norm.weight'\]"):
        ExpertModel.load(tmp_path)


def test_shapes_that_cannot_work_name_the_fix(folder: Path, backbone: Any, model: ExpertModel) -> None:
    with pytest.raises(ValueError, match="multiple"):
        build_expert(folder, SPEC.model_copy(update={"heads": 3}), seed=0)
    with pytest.raises(FileNotFoundError, match="ar1 sft"):
        ExpertModel.load(folder)
    prefix = prefix_for(folder, backbone, [0])
    with pytest.raises(ValueError, match="this expert drives 64"):
        model.velocity(torch.zeros((1, 1, 32, 2)), torch.tensor(0.0), prefix)
    cache, deltas = prefill(backbone, inputs_of(folder, rows(1), small_policy.prompts(folder, 1)))
    with pytest.raises(ValueError, match="up to and including"):
        prefix_of(cache, torch.tensor([10_000]), deltas)
