"""Fewer vision tokens on vLLM's side: its Qwen3-VL with the processor, features and positions to match.

Role: an out-of-tree architecture that policy.vllm_engine registers for policies whose ar1.json asks for it; all
others are served by vLLM's own. Invariants: placeholders, rows, DeepStack planes and positions are those of
policy.compressed_model; pixels are normalised by the processor, as the learner's are, not later on the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from vllm.model_executor.models.qwen3_vl import (
    Qwen3VLDummyInputsBuilder,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMultiModalProcessor,
    Qwen3VLProcessingInfo,
)
from vllm.model_executor.models.registry import ModelRegistry
from vllm.model_executor.models.utils import WeightsMapper
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFieldConfig
from vllm.multimodal.processing import PromptReplacement, PromptUpdate

from policy.spec import PolicySpec
from policy.vision_resampler import Resampler
from policy.vision_tokens import MERGE, check_processor, kept_tokens, mrope_positions

ARCHITECTURE = "Ar1Qwen3VLForConditionalGeneration"


def register() -> str:
    """Make the architecture known to vLLM in this process; returns its name."""
    ModelRegistry.register_model(ARCHITECTURE, CompressedQwen3VL)
    return ARCHITECTURE


class CompressedInfo(Qwen3VLProcessingInfo):  # type: ignore[misc]
    """What an item costs: the count of ar1.json."""

    @property
    def spec(self) -> PolicySpec:
        """The served policy's ar1.json."""
        return PolicySpec.load(Path(self.ctx.model_config.model))

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:
        """Tokens of an image item; there are no videos."""
        del seq_len, mm_counts
        return {"image": self.spec.image_blocks[1], "video": 0}


class CompressedProcessor(Qwen3VLMultiModalProcessor):  # type: ignore[misc]
    """Splits a scene into its images, and holds as many placeholders as tokens are left."""

    def _get_hf_mm_inputs(self, mm_items: Any, hf_kwargs: Mapping[str, object]) -> Any:
        inputs = super()._get_hf_mm_inputs(mm_items, hf_kwargs)
        spec = self.info.spec
        if spec.vision_tokens.kind != "resample" or "images" not in inputs.hf_data:
            return inputs
        images: list[np.ndarray] = []
        for scene in inputs.hf_data["images"]:
            images += list(np.split(np.asarray(scene), spec.images))
        text = self._get_hf_mm_text({"image": len(images)})
        return inputs._replace(hf_data={**inputs.hf_data, "images": images, "text": text})

    def _apply_hf_processor_main(self, mm_items: Any, hf_kwargs: Mapping[str, object]) -> Any:
        data = super()._apply_hf_processor_main(mm_items, hf_kwargs)
        spec = self.info.spec
        if "image_grid_thw" not in data:
            return data
        grids = data["image_grid_thw"]
        if spec.vision_tokens.kind == "resample":
            # The tower treats t as images of one size, so a scene of t images is one item of that grid.
            data["image_grid_thw"] = grids[:: spec.images].clone()
            data["image_grid_thw"][:, 0] = spec.images
        else:
            counts = [spec.vision_tokens.kept(h * w // MERGE**2) for _, h, w in grids.tolist()]
            data["image_kept"] = torch.stack(kept_tokens(data["pixel_values"], grids, counts))
        return data

    def _get_mm_fields_config(
        self, hf_inputs: Any, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        fields = super()._get_mm_fields_config(hf_inputs, hf_processor_mm_kwargs)
        # Kept on the CPU, an item's indices stay at hand for positions when its pixels are gone from a cache.
        return {**fields, "image_kept": MultiModalFieldConfig.batched("image", keep_on_cpu=True)}

    def _get_prompt_updates(
        self, mm_items: Any, hf_processor_mm_kwargs: Mapping[str, Any], out_mm_kwargs: Any
    ) -> Sequence[PromptUpdate]:
        del mm_items
        pad = self.info.get_hf_processor(**hf_processor_mm_kwargs).image_token_id
        tokens = self.info.spec.vision_tokens

        def placeholders(index: int) -> list[int]:
            whole = int(out_mm_kwargs["image"][index]["image_grid_thw"].data.prod()) // MERGE**2
            return [pad] * (tokens.scene_tokens or tokens.kept(whole))

        return [PromptReplacement(modality="image", target=[pad], replacement=placeholders)]


@MULTIMODAL_REGISTRY.register_processor(
    CompressedProcessor, info=CompressedInfo, dummy_inputs=Qwen3VLDummyInputsBuilder
)
class CompressedQwen3VL(Qwen3VLForConditionalGeneration):  # type: ignore[misc]
    """vLLM's Qwen3-VL that prunes or resamples what its vision tower gives."""

    supports_mm_device_do_normalize = False
    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_prefix={
            **Qwen3VLForConditionalGeneration.hf_to_vllm_mapper.orig_to_new_prefix,
            "model.resampler.": "resampler.",
        }
    )

    def __init__(self, *, vllm_config: Any, prefix: str = "model") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        folder = Path(vllm_config.model_config.model)
        spec = PolicySpec.load(folder)
        check_processor(folder)
        self._vision_tokens = spec.vision_tokens
        if spec.vision_tokens.scene_tokens is not None:
            inputs = spec.images * spec.cameras.tokens_per_image
            self.resampler = Resampler(
                self.visual_dim, spec.vision_tokens.heads, inputs, spec.vision_tokens.scene_tokens
            )

    def embed_multimodal(self, **kwargs: Any) -> Any:
        """Features of each item [tokens left, width x (1 + planes)]."""
        kept = kwargs.pop("image_kept", None)
        whole = super().embed_multimodal(**kwargs)
        if not whole:
            return whole
        if kept is not None:
            return tuple(rows[indices.to(rows.device)] for rows, indices in zip(whole, kept, strict=True))
        merged, *planes = torch.stack(whole).split(self.visual_dim, -1)
        tokens, pooled = self.resampler(merged, planes)
        return tuple(torch.cat([tokens, *pooled], -1))

    def get_mrope_input_positions(
        self, input_tokens: list[int], mm_features: list[Any]
    ) -> tuple[torch.Tensor, int]:
        """Positions [3, prompt] and the delta of later tokens."""
        ids = torch.as_tensor(input_tokens)
        if self._vision_tokens.kind == "resample":
            return torch.arange(len(ids)).expand(3, -1).contiguous(), 0
        items = [item.data for item in sorted(mm_features, key=lambda item: item.mm_position.offset)]
        kept = [item["image_kept"].data for item in items]
        grids = [item["image_grid_thw"].data.tolist() for item in items]
        return mrope_positions(ids == self.config.image_token_id, kept, grids)
