"""Codecs and id arithmetic that a release's configuration states.

Role: from config.json to bins, ranges, statistics and ids. Invariant: numbers are the configuration's, used in
float32 by the codecs; buffers of the weights, which may have been rounded to bfloat16, are never a source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policy.release.config import HISTORY, SPACE, ReleaseConfig
from policy.release.findings import CheckpointError, Finding
from policy.spec import FutureSpec, HistorySpec, VocabularySpec
from policy.trajectory_tokens import HistoryCodec
from policy.vocabulary import RELEASE_SPECIALS
from scenes.trajectory import FUTURE_STEPS, STEP_S

TOKENIZER = "traj_tokenizer_cfg"
QWEN_VOCABULARY = VocabularySpec(
    base_size=151669,
    text_banned=(),
    im_start=151644,
    im_end=151645,
    vision_start=151652,
    vision_end=151653,
    image_pad=151655,
)
"""The tokenizer that the releases stand on (Qwen3-VL), without the ids that a text may not hold."""
RENAMED_IN_1_5 = (
    "<|image_pre_tkn|>",
    "<|traj_history_pre_tkn|>",
    "<|meta_action_start|>",
    "<|meta_action_end|>",
    "<|traj_future_pre_tkn|>",
    "<|vectorized_wm|>",
    "<|vectorized_wm_start|>",
    "<|vectorized_wm_end|>",
    "<|vectorized_wm_pre_tkn|>",
)
"""Slots that Alpamayo 1.5 keeps and calls <|_padding_0|> … <|_padding_8|>."""


@dataclass(frozen=True)
class ActionStatistics:
    """How the expert's actions are normalised: (acceleration m/s², curvature 1/m), float32 values."""

    mean: tuple[float, float]
    std: tuple[float, float]


def action_statistics(config: ReleaseConfig, prefix: str = "action_space_cfg") -> ActionStatistics:
    """Statistics of an action space, rounded to float32. Raises CheckpointError naming a missing key."""
    values = {
        key: float(np.float32(config.number(f"{prefix}.{key}")))
        for key in ("accel_mean", "curvature_mean", "accel_std", "curvature_std")
    }
    if min(values["accel_std"], values["curvature_std"]) <= 0:
        raise CheckpointError(f"{config.path}: {prefix} has a standard deviation that is not positive")
    return ActionStatistics(
        (values["accel_mean"], values["curvature_mean"]), (values["accel_std"], values["curvature_std"])
    )


def future_spec(config: ReleaseConfig) -> FutureSpec:
    """The discrete trajectory's bins. Raises CheckpointError naming a missing key.

    The statistics are those nested in the tokenizer's own action space, which need not be the expert's: without
    them the range is physical, with them it is in standard deviations.
    """
    statistics = action_statistics(config, SPACE)
    return FutureSpec(
        bins=config.whole(f"{TOKENIZER}.num_bins"),
        low=config.numbers(f"{TOKENIZER}.dims_min", 2),
        high=config.numbers(f"{TOKENIZER}.dims_max", 2),
        mean=statistics.mean,
        std=statistics.std,
    )


def history_spec(config: ReleaseConfig) -> HistorySpec:
    """The ego history's bins. Raises CheckpointError naming a missing key, or where yaw is encoded too."""
    if config.need(f"{HISTORY}.predict_yaw"):
        raise CheckpointError(
            f"{config.path}: {HISTORY}.predict_yaw is true; only x, y, z histories are read"
        )
    return HistorySpec(
        bins=config.whole(f"{HISTORY}.num_bins"),
        low=config.numbers(f"{HISTORY}.ego_xyz_min", 3),
        high=config.numbers(f"{HISTORY}.ego_xyz_max", 3),
    )


def special_names(model_type: str) -> tuple[str, ...]:
    """Special tokens in id order, as that release spells them."""
    if model_type != "alpamayo1_5":
        return RELEASE_SPECIALS
    padding = {name: f"<|_padding_{index}|>" for index, name in enumerate(RENAMED_IN_1_5)}
    return tuple(padding.get(name, name) for name in RELEASE_SPECIALS)


def vocabulary_findings(config: ReleaseConfig) -> list[Finding]:
    """Whether ids, token counts and horizon of a configuration agree with each other and with this code.

    Raises CheckpointError naming a key that is missing.
    """
    future, history = future_spec(config), history_spec(config)
    start, trajectory = config.whole("traj_token_start_idx"), config.whole("traj_vocab_size")
    due = {
        "traj_vocab_size": future.bins + history.bins,
        "vocab_size": start + trajectory + len(RELEASE_SPECIALS),
        "tokens_per_future_traj": 2 * FUTURE_STEPS,
        "tokens_per_history_traj": HistoryCodec(**history.model_dump()).tokens,
        "action_space_cfg.n_waypoints": FUTURE_STEPS,
        "action_space_cfg.dt": STEP_S,
    }
    found = []
    for key, value in due.items():
        if config.has(key) and config.number(key) != value:
            found.append(Finding("wrong configuration", key, f"{config.get(key)} where {value} follows"))
    return found + _token_ids(config, start + trajectory)


def _token_ids(config: ReleaseConfig, first_special: int) -> list[Finding]:
    """Named ids (`traj_token_ids`) against the order of the special tokens."""
    found = []
    for key, stated in dict(config.get("traj_token_ids", {})).items():
        names = [name for name in (f"<|traj_{key}|>", f"<|{key}|>") if name in RELEASE_SPECIALS]
        subject = f"traj_token_ids.{key}"
        if not names:
            text = "names no special token that is known; its id is not checked"
            found.append(Finding("unknown key", subject, text, error=False))
        elif stated != first_special + RELEASE_SPECIALS.index(names[0]):
            due = first_special + RELEASE_SPECIALS.index(names[0])
            found.append(Finding("wrong configuration", subject, f"{stated} where {due} follows"))
    return found
