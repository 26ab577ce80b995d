"""The shape of a loaded policy, for the roofline: read from its configurations, not from its weights."""

from __future__ import annotations

from typing import Any

from policy.action_features import ACTION_SIZE
from policy.expert_spec import ExpertSpec
from policy.roofline import PolicyShape, TextShape, VisionShape
from policy.spec import PolicySpec


def text_shape(config: Any, vocabulary: int) -> TextShape:
    """Shape of a transformers text configuration."""
    return TextShape(
        config.hidden_size,
        config.intermediate_size,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.num_key_value_heads,
        config.head_dim,
        vocabulary,
    )


def vision_shape(config: Any) -> VisionShape:
    """Shape of a Qwen3-VL vision configuration."""
    return VisionShape(
        hidden=config.hidden_size,
        feed_forward=config.intermediate_size,
        layers=config.depth,
        patch_values=config.in_channels * config.temporal_patch_size * config.patch_size**2,
        merge=config.spatial_merge_size,
        mergers=1 + len(config.deepstack_visual_indexes),
        out=config.out_hidden_size,
    )


def feature_weights(spec: ExpertSpec) -> int:
    """Matrix entries of an expert's in- and out-projection."""
    features = spec.features
    inside = (features.layers - 1) * features.hidden**2 + features.hidden * spec.hidden
    return (ACTION_SIZE + 1) * features.frequencies * features.hidden + inside + ACTION_SIZE * spec.hidden


def policy_shape(planner: Any, prompt: int, element: int) -> PolicyShape:
    """Shape of a policy.planner.Planner's policy, for prompts of `prompt` tokens and numbers of `element` bytes."""
    spec: PolicySpec = planner.spec
    config = planner.backbone.config
    cameras = spec.cameras
    patch = config.vision_config.patch_size
    return PolicyShape(
        vision_shape(config.vision_config),
        text_shape(config.text_config, config.text_config.vocab_size),
        text_shape(planner.expert.expert.config, 0),
        feature_weights(planner.expert.spec),
        images=len(cameras.names) * cameras.frames,
        patches=(cameras.width // patch) * (cameras.height // patch),
        prompt=prompt,
        waypoints=planner.expert.spec.waypoints,
        element=element,
    )
