"""A release's config.json from its parts.

Role: describes a policy that never was a release (an embedded one, a sample) in the release's own terms, so that
its tools and ours read it. Invariant: every key that this project reads is stated, the nested statistics included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policy.release.config import RELEASE_TYPES
from policy.release.vocabulary import ActionStatistics
from policy.spec import CameraSpec, PolicySpec
from scenes.dynamics import DEFAULT_FIT
from scenes.trajectory import FUTURE_STEPS, STEP_S

PIXELS = (163840, 196608)
"""Least and most pixels of an image in the release."""


@dataclass(frozen=True)
class ExpertSize:
    """Sizes of the expert that its backbone does not give; defaults are the release's."""

    hidden: int = 2048
    feed_forward: int = 8256
    heads: int = 16
    head_dim: int = 128
    in_hidden: int = 512
    in_layers: int = 2
    max_frequency: float = 100.0
    fourier_features: int = 20


def compose_config(
    spec: PolicySpec,
    *,
    expert: ExpertSize | None,
    actions: ActionStatistics,
    vlm_name_or_path: str,
    dtype: str,
    model_type: str = "alpamayo_r1",
) -> dict[str, Any]:
    """Content of config.json. expert None: of a backbone export; actions: the expert's normalisation.

    Raises KeyError on a model_type that is no release's.
    """
    vocabulary = spec.vocabulary_ids()
    space = f"{model_type}.action_space.UnicycleAccelCurvatureActionSpace"
    discrete = ActionStatistics(spec.future.mean, spec.future.std)
    config: dict[str, Any] = {
        "architectures": [RELEASE_TYPES[model_type]],
        "model_type": model_type,
        "add_special_tokens": True,
        "dtype": dtype,
        "vlm_name_or_path": vlm_name_or_path,
        "vocab_size": vocabulary.size,
        "traj_vocab_size": spec.future.bins + spec.history.bins,
        "traj_token_start_idx": vocabulary.future_start,
        "tokens_per_history_traj": spec.history_codec().tokens,
        "tokens_per_future_traj": spec.future_codec().tokens,
        "traj_token_ids": {
            name: vocabulary.special(f"<|traj_{name}|>")
            for name in ("history_start", "history_end", "history", "future_start", "future_end", "future")
        },
        **_pixels(spec.cameras),
        "traj_tokenizer_cfg": {
            "_target_": f"{model_type}.action_space.DiscreteTrajectoryTokenizer",
            "action_space_cfg": {"_target_": space, **_statistics(discrete)},
            "dims_min": list(spec.future.low),
            "dims_max": list(spec.future.high),
            "num_bins": spec.future.bins,
        },
        "hist_traj_tokenizer_cfg": {
            "_target_": f"{model_type}.models.delta_tokenizer.DeltaTrajectoryTokenizer",
            "num_bins": spec.history.bins,
            "ego_xyz_min": list(spec.history.low),
            "ego_xyz_max": list(spec.history.high),
            "predict_yaw": False,
        },
        "action_space_cfg": {
            "_target_": space,
            **_statistics(actions),
            "accel_bounds": [-9.8, 9.8],
            "curvature_bounds": [-0.33, 0.33],
            "dt": STEP_S,
            "n_waypoints": FUTURE_STEPS,
            **{key: value for key, value in vars(DEFAULT_FIT).items() if key.endswith(("_lambda", "_ridge"))},
        },
    }
    if model_type == "alpamayo1_5":
        config |= {"include_camera_ids": True, "include_frame_nums": True}
    return config | (_expert(expert, model_type, dtype) if expert else {})


def _pixels(cameras: CameraSpec) -> dict[str, int]:
    """The release's pixel budget, or an eighth around images that lie outside it."""
    pixels = cameras.width * cameras.height
    low, high = PIXELS
    if not low <= pixels <= high:
        low, high = pixels - pixels // 8, pixels + pixels // 8
    return {"min_pixels": low, "max_pixels": high}


def _statistics(statistics: ActionStatistics) -> dict[str, float]:
    return {
        "accel_mean": statistics.mean[0],
        "accel_std": statistics.std[0],
        "curvature_mean": statistics.mean[1],
        "curvature_std": statistics.std[1],
    }


def _expert(size: ExpertSize, package: str, dtype: str) -> dict[str, Any]:
    return {
        "expert_non_causal_attention": True,
        "expert_cfg": {
            "dtype": dtype,
            "head_dim": size.head_dim,
            "hidden_size": size.hidden,
            "intermediate_size": size.feed_forward,
            "num_attention_heads": size.heads,
        },
        "action_in_proj_cfg": {
            "_target_": f"{package}.models.action_in_proj.PerWaypointActionInProjV2",
            "hidden_size": size.in_hidden,
            "num_enc_layers": size.in_layers,
            "max_freq": size.max_frequency,
            "num_fourier_feats": size.fourier_features,
        },
        "action_out_proj_cfg": {"_target_": "torch.nn.Linear"},
        "diffusion_cfg": {
            "_target_": f"{package}.diffusion.flow_matching.FlowMatching",
            "int_method": "euler",
            "x_dims": "???",
        },
    }
