"""Which tensors a release holds, derived from its configuration.

Role: the list that every coverage check compares with, as pure arithmetic. Invariant: nothing of it is read from
the weights. Names: `vlm.` before a Qwen3-VL's own; `expert.` a Qwen3 text stack without embedding, whose layers,
key-value heads and head width are the backbone's, because it attends to the backbone's cache; `action_in_proj.`
(Fourier features, MLP, norm) and `action_out_proj.` around it. Source: Alpamayo-R1 release (facts).
"""

from __future__ import annotations

from dataclasses import dataclass

from policy.release.backbone_shape import BackboneShape, Shapes, backbone_shapes, decoder_layer
from policy.release.config import ReleaseConfig
from policy.release.findings import CheckpointError

BACKBONE_PREFIX = "vlm."
EXPERT_PREFIXES = ("expert.", "action_in_proj.", "action_out_proj.", "action_space.")
ACTION_WIDTH = 2
"""Acceleration and curvature."""
FLOATS = ("BF16", "F16", "F32", "F64")
DTYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
"""Spelling of dtypes in config.json and in safetensors."""
STATISTICS_PREFIX = "action_space."
STATISTICS = ("accel_mean", "accel_std", "curvature_mean", "curvature_std")


@dataclass(frozen=True)
class Expected:
    """One tensor a checkpoint should hold. dtypes: what it may be stored as; required: an error when absent."""

    shape: tuple[int, ...]
    dtypes: tuple[str, ...] = FLOATS
    required: bool = True


def weight_dtypes(config: ReleaseConfig) -> tuple[str, ...]:
    """What weights may be stored as: the configuration's dtype, or any float where it names none.

    Raises CheckpointError on a dtype that is not known.
    """
    named = config.get("dtype", config.get("torch_dtype"))
    if named is None:
        return FLOATS
    if named not in DTYPES:
        raise CheckpointError(f"{config.path}: dtype is {named!r}; known are {sorted(DTYPES)}")
    return (DTYPES[named],)


def expected_backbone(
    shape: BackboneShape, dtypes: tuple[str, ...] = FLOATS, prefix: str = ""
) -> dict[str, Expected]:
    """Tensors of the backbone; a tied output head need not be stored."""
    return {
        prefix + name: Expected(size, dtypes, required=not (shape.tied and name == "lm_head.weight"))
        for name, size in backbone_shapes(shape).items()
    }


def expected_expert(config: ReleaseConfig, shape: BackboneShape) -> dict[str, Expected]:
    """Tensors of expert and action projections. Raises CheckpointError naming a key that is missing.

    Frequencies and statistics are buffers and may be of any float dtype; the statistics are optional (R1 stores
    them, 1.5 does not) and are never used: they come from the configuration.
    """
    dtypes = weight_dtypes(config)
    hidden = config.whole("expert_cfg.hidden_size")
    shapes: Shapes = {"expert.norm.weight": (hidden,)}
    for layer in range(shape.layers):
        shapes |= decoder_layer(
            f"expert.layers.{layer}",
            hidden,
            config.whole("expert_cfg.intermediate_size"),
            config.whole("expert_cfg.num_attention_heads"),
            shape.kv_heads,
            config.whole("expert_cfg.head_dim"),
        )
    shapes |= {"action_out_proj.weight": (ACTION_WIDTH, hidden), "action_out_proj.bias": (ACTION_WIDTH,)}
    shapes |= _trunk(config, hidden)
    expected = {name: Expected(size, dtypes) for name, size in shapes.items()}
    frequencies = config.whole("action_in_proj_cfg.num_fourier_feats") // 2
    for name in (*(f"sinus.{axis}" for axis in range(ACTION_WIDTH)), "timestep_fourier_encoder"):
        expected[f"action_in_proj.{name}.freqs"] = Expected((1, frequencies))
    for name in STATISTICS:
        expected[f"action_space.{name}"] = Expected((), required=False)
    return expected


def _trunk(config: ReleaseConfig, hidden: int) -> Shapes:
    """MLP of the in-projection: n times Linear, SiLU, RMSNorm, then Linear; three Fourier encoders feed it."""
    inner = config.whole("action_in_proj_cfg.hidden_size")
    layers = config.whole("action_in_proj_cfg.num_enc_layers")
    width = (ACTION_WIDTH + 1) * config.whole("action_in_proj_cfg.num_fourier_feats")
    trunk = "action_in_proj.encoder.trunk"
    shapes: Shapes = {"action_in_proj.norm.weight": (hidden,), "action_in_proj.norm.bias": (hidden,)}
    for layer in range(layers):
        shapes[f"{trunk}.{3 * layer}.weight"] = (inner, width if layer == 0 else inner)
        shapes[f"{trunk}.{3 * layer}.bias"] = (inner,)
        shapes[f"{trunk}.{3 * layer + 2}.weight"] = (inner,)
    shapes[f"{trunk}.{3 * layers}.weight"] = (hidden, inner)
    shapes[f"{trunk}.{3 * layers}.bias"] = (hidden,)
    return shapes


def expected_tensors(config: ReleaseConfig, shape: BackboneShape, expert: bool = True) -> dict[str, Expected]:
    """Every tensor of a release by name; expert False: of an export that holds the backbone alone."""
    expected = expected_backbone(shape, weight_dtypes(config), BACKBONE_PREFIX)
    return expected | expected_expert(config, shape) if expert else expected
