"""The flow expert inside a policy folder: `expert/model.safetensors` under release names, and `expert/expert.json`.

Role: the shape of an expert between the release's configuration keys and the policy's own file. Invariant: nothing
is said twice: layers, key-value heads and head width are the backbone's, and what the release cannot say of a
policy (carried rounding errors, a shorter history, standstill) is a finding, not lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policy.expert_spec import EXPERT_FILE, EXPERT_FOLDER, ExpertSpec, FeatureSpec
from policy.release.compose import ExpertSize, compose_config
from policy.release.config import ReleaseConfig
from policy.release.findings import CheckpointError, Finding
from policy.release.vocabulary import ActionStatistics, action_statistics
from policy.spec import SPEC_FILE, PolicySpec
from scenes.trajectory import FUTURE_STEPS


def expert_spec(config: ReleaseConfig) -> ExpertSpec:
    """The expert of a release. Raises CheckpointError naming a key that is missing."""
    statistics = action_statistics(config)
    return ExpertSpec(
        hidden=config.whole("expert_cfg.hidden_size"),
        feed_forward=config.whole("expert_cfg.intermediate_size"),
        heads=config.whole("expert_cfg.num_attention_heads"),
        waypoints=FUTURE_STEPS,
        features=FeatureSpec(
            hidden=config.whole("action_in_proj_cfg.hidden_size"),
            layers=config.whole("action_in_proj_cfg.num_enc_layers"),
            max_frequency=config.number("action_in_proj_cfg.max_freq"),
            frequencies=config.whole("action_in_proj_cfg.num_fourier_feats"),
        ),
        mean=statistics.mean,
        std=statistics.std,
    )


def composed_config(folder: Path, base: Mapping[str, Any]) -> tuple[ReleaseConfig | None, list[Finding]]:
    """Release configuration of a policy that never was one, from ar1.json and expert.json; None without an expert.

    base: the backbone's plain config.json. The second value says what the release cannot express.
    Raises CheckpointError when expert.json describes no expert.
    """
    path = folder / EXPERT_FOLDER / EXPERT_FILE
    if not (path.is_file() and (folder / SPEC_FILE).is_file()):
        return None, []
    spec = PolicySpec.load(folder)
    try:
        expert = ExpertSpec.load(folder)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if spec.history.stride != 1:
        text = f"a history of every {spec.history.stride}th step has no place in a release's configuration"
        return None, [Finding("not expressible", f"{SPEC_FILE} history.stride", text, error=False)]
    size = ExpertSize(
        expert.hidden,
        expert.feed_forward,
        expert.heads,
        base["text_config"]["head_dim"],
        expert.features.hidden,
        expert.features.layers,
        expert.features.max_frequency,
        expert.features.frequencies,
    )
    actions = ActionStatistics(expert.mean, expert.std)
    raw = compose_config(
        spec,
        expert=size,
        actions=actions,
        vlm_name_or_path=str(folder.resolve()),
        dtype=str(base.get("dtype", "float32")),
    )
    lost = [name for name in ("carry_error", "forward_only") if getattr(spec.future, name)]
    findings = [
        Finding(
            "not expressible",
            f"{SPEC_FILE} future.{name}",
            "a release has no such key; it is lost",
            error=False,
        )
        for name in lost
    ]
    return ReleaseConfig(path, json.dumps(raw, indent=2) + "\n", raw), findings
