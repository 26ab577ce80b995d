"""Which tokens are kept and where they stand: pure functions, and the learner's model that rests on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_policy
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from transformers import Qwen3VLForConditionalGeneration

from policy.backbone import load_backbone
from policy.compress import compress_policy
from policy.model_inputs import ImageEncoder, Padded, backbone_inputs
from policy.prompt import Prompt, PromptBuilder
from policy.spec import PolicySpec, PromptSpec, VisionTokensSpec
from policy.tokenizer import TextCodec
from policy.vision_tokens import (
    farthest_points,
    keep_mask,
    kept_tokens,
    mrope_positions,
    pixel_descriptors,
)

ROWS = arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(0, 16320))
EMPTY = Padded(torch.zeros((2, 0), dtype=torch.long), torch.zeros((2, 0), dtype=torch.bool))


def slow_farthest(rows: list[list[int]], count: int) -> list[int]:
    """The same choice in exact Python integers, one pair at a time."""
    total = [sum(column) for column in zip(*rows, strict=True)]
    spread = [sum((len(rows) * a - b) ** 2 for a, b in zip(row, total, strict=True)) for row in rows]
    chosen = [max(range(len(rows)), key=lambda i: (spread[i], -i))]
    while len(chosen) < count:
        gap = {
            i: min(sum((a - b) ** 2 for a, b in zip(rows[i], rows[j], strict=True)) for j in chosen)
            for i in range(len(rows))
            if i not in chosen
        }
        chosen.append(max(gap, key=lambda i: (gap[i], -i)))
    return sorted(chosen)


@given(ROWS, st.data())
def test_the_choice_equals_exact_arithmetic(rows: np.ndarray, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(rows)))
    expected = slow_farthest(rows.tolist(), count)
    assert farthest_points(torch.from_numpy(rows), count).tolist() == expected
    assert keep_mask(torch.from_numpy(rows), count).nonzero().flatten().tolist() == expected


def test_equal_rows_are_kept_in_order() -> None:
    assert farthest_points(torch.ones(5, 3), 3).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="cannot keep 6 of 5"):
        farthest_points(torch.ones(5, 3), 6)


def test_images_at_once_equal_images_one_by_one() -> None:
    pixels = torch.randint(0, 256, (48, 1536), generator=torch.Generator().manual_seed(0)) / 127.5 - 1
    grid = torch.tensor([[1, 4, 6], [1, 4, 6]])
    both = kept_tokens(pixels, grid, [3, 3])
    single = [kept_tokens(part, grid[:1], [3])[0] for part in pixels.split(24)]
    assert all(torch.equal(a, b) for a, b in zip(both, single, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_byte_is_read_back_exactly(dtype: torch.dtype) -> None:
    levels = torch.arange(256)
    row = (levels.float() / 127.5 - 1).repeat_interleave(24).view(4, 1536)  # 4 patches, one token
    plain = levels.repeat_interleave(24).view(4, 3, 2, 2, 8, 2, 8)[:, :, 0].sum((3, 5)).flatten()
    assert torch.equal(pixel_descriptors(row.to(dtype))[0], plain)


@pytest.mark.parametrize(
    ("tokens", "ratio", "kept"), [(180, 4, 45), (6, 4, 2), (6, 16, 1), (6, 1.2, 5), (7, 1, 7)]
)
def test_the_ratio_fixes_the_count(tokens: int, ratio: float, kept: int) -> None:
    assert VisionTokensSpec(kind="prune", ratio=ratio).kept(tokens) == kept


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"ratio": 4}, "ratio is for kind prune"),
        ({"kind": "resample"}, "scene_tokens is for kind resample"),
        ({"kind": "prune", "scene_tokens": 4}, "scene_tokens is for kind resample"),
        ({"kind": "prune", "ratio": 0.5}, "greater than or equal to 1"),
    ],
)
def test_contradictions_are_refused(told: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        VisionTokensSpec.model_validate(told)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_policy.build(tmp_path_factory.mktemp("policy"))


def told(folder: Path, **tokens: object) -> Path:
    """The policy in `folder`, told to read fewer vision tokens."""
    spec = PolicySpec.load(folder)
    spec.model_copy(update={"vision_tokens": VisionTokensSpec.model_validate(tokens)}).save(folder)
    return folder


def inputs_of(folder: Path, seed: int = 0) -> dict[str, torch.Tensor]:
    """Inputs of two prompts with random images."""
    builder = PromptBuilder(PolicySpec.load(folder), TextCodec.load(folder))
    images = np.random.default_rng(seed).integers(0, 255, (2, 2, 64, 96, 3), dtype=np.uint8)
    prompts = [Prompt(builder.ids(np.zeros((16, 4))), each) for each in images]
    return backbone_inputs(prompts, EMPTY, ImageEncoder(folder), builder.vocabulary.image_pad)


def test_the_whole_image_kept_is_the_model_without_pruning(tmp_path: Path) -> None:
    folder = small_policy.build(tmp_path)
    inputs = inputs_of(folder)
    plain = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)(**inputs).logits
    ours = load_backbone(told(folder, kind="prune", ratio=1))(**inputs).logits
    assert torch.allclose(ours, plain, atol=1e-5)


def test_survivors_keep_the_positions_that_transformers_gave_them(folder: Path) -> None:
    inputs = inputs_of(folder)
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).model
    grid = inputs["image_grid_thw"][:2]
    whole, _ = model.get_rope_index(
        inputs["input_ids"], inputs["mm_token_type_ids"], inputs["image_grid_thw"]
    )
    is_image = inputs["mm_token_type_ids"][0].bool()
    kept = kept_tokens(inputs["pixel_values"][:48], grid, [2, 2])
    survives = torch.ones_like(is_image)
    survives[is_image.nonzero().flatten()] = False
    for image, indices in enumerate(kept):
        survives[is_image.nonzero().flatten()[6 * image + indices]] = True
    positions, delta = mrope_positions(is_image[survives], kept, grid.tolist())
    assert torch.equal(positions, whole[:, 0, survives])
    assert delta == int(whole[:, 0].max()) + 1 - int(survives.sum())


def test_a_prompt_built_for_another_count_is_refused() -> None:
    with pytest.raises(ValueError, match="3 image placeholders for 2 kept tokens"):
        mrope_positions(torch.tensor([True, True, True]), [torch.tensor([0, 1])], [(1, 4, 6)])


def test_pruned_rows_and_planes_are_those_of_the_whole_tower(tmp_path: Path) -> None:
    folder = told(small_policy.build(tmp_path), kind="prune", ratio=3)
    model, inputs = load_backbone(folder), inputs_of(folder)
    seen: dict[str, torch.Tensor] = {}

    def look(module: torch.nn.Module, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        del module, args
        seen.update(embeds=kwargs["inputs_embeds"], plane=kwargs["deepstack_visual_embeds"][0])

    model.model.language_model.register_forward_pre_hook(look, with_kwargs=True)
    model(**inputs)
    tower = model.model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"])
    kept = kept_tokens(inputs["pixel_values"], inputs["image_grid_thw"], [2] * 4)
    rows = torch.cat([6 * image + indices for image, indices in enumerate(kept)])
    assert torch.allclose(seen["embeds"][inputs["mm_token_type_ids"].bool()], tower.pooler_output[rows])
    assert torch.allclose(seen["plane"], tower.deepstack_features[0][rows])


@pytest.mark.parametrize("tokens", [{"kind": "prune", "ratio": 3}, {"kind": "resample", "scene_tokens": 3}])
def test_a_padding_mask_changes_nothing_and_left_padding_is_refused(
    tmp_path: Path, tokens: dict[str, object]
) -> None:
    spec = VisionTokensSpec.model_validate(tokens)
    folder = small_policy.build(tmp_path, vision_tokens=spec)
    model, inputs = load_backbone(folder), inputs_of(folder)
    assert int(inputs["mm_token_type_ids"][0].sum()) == (4 if spec.kind == "prune" else 3)
    mask = torch.ones_like(inputs["input_ids"])
    assert torch.allclose(model(**inputs).logits, model(**inputs, attention_mask=mask).logits, atol=1e-5)
    mask[:, 0] = 0
    with pytest.raises(ValueError, match="left-padded"):
        model(**inputs, attention_mask=mask)


def test_a_copy_shrinks_the_prompt_and_leaves_the_weights(tmp_path: Path, folder: Path) -> None:
    spec = compress_policy(folder, tmp_path / "half", VisionTokensSpec(kind="prune", ratio=2))
    assert spec == PolicySpec.load(tmp_path / "half")
    lengths = [
        PromptBuilder(PolicySpec.load(each), TextCodec.load(each)).length
        for each in (folder, tmp_path / "half")
    ]
    assert lengths[0] - lengths[1] == 6
    name = "model.safetensors"
    assert (tmp_path / "half" / name).read_bytes() == (folder / name).read_bytes()
    with pytest.raises(FileExistsError, match="choose another folder"):
        compress_policy(folder, tmp_path / "half", spec.vision_tokens)


def test_a_processor_that_normalises_otherwise_is_refused(tmp_path: Path) -> None:
    folder = small_policy.build(tmp_path / "policy")
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"image_mean": [0.48, 0.46, 0.41]}))
    with pytest.raises(ValueError, match="pixels normalised by mean"):
        compress_policy(folder, tmp_path / "half", VisionTokensSpec(kind="prune", ratio=2))


def test_a_named_prompt_stands_for_its_texts() -> None:
    assert PromptSpec.model_validate("release") == PromptSpec()
    assert PromptSpec.model_validate("short").system == ""
    with pytest.raises(ValueError, match="no prompt 'shrt'; there are release, short, empty"):
        PromptSpec.model_validate("shrt")
