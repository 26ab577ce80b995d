"""An evaluation from start to summary: engines, reward servers, arms, table.

Role: what `ar1 evaluate` and `ar1 demo` share. Invariants: every arm sees the same clips, seeds and decodings; an
arm that is finished is not rolled out again (its figures are on disk); recorded clips are judged without the
reasoning reward, because nobody labelled them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from policy.spec import PolicySpec
from rewards.consistency import ConsistencyReward
from rewards.score import RolloutView
from rl.cluster import connect
from rl.config import JobConfig
from rl.evaluation import Decoding, Evaluator, decodings
from rl.evaluation_engines import EvaluationEngines
from rl.reward_fleet import RewardFleet
from rl.statistics import bootstrap
from rl.summary import Figures, load_figures, save_figures
from scenes.dynamics import integrate
from scenes.store import ClipStore

OnClip = Callable[[], None]


async def evaluate_arms(
    config: JobConfig,
    arms: Mapping[str, Path],
    stores: Mapping[str, Path],
    folder: Path,
    on_clip: OnClip = lambda: None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Figures by "<arm>/<store><suffix>". arms: name → policy folder; stores: "" for the main split, "recorded/"
    for recorded traffic; folder: where each arm's figures are kept."""
    names = [reward.name for reward in config.rewards]
    fleet = RewardFleet(config.rewards, folder / "logs", config.name)
    engines = EvaluationEngines(config, next(iter(stores.values())))
    figures: dict[str, Figures] = {}
    kept_at = {arm: folder / f"{arm}.json" for arm in arms}
    try:
        # Ray forks to start its processes: before gRPC's threads are there, not after.
        if not all(kept.is_file() for kept in kept_at.values()):
            connect(config)
        await fleet.start()
        for arm, policy in arms.items():
            kept = kept_at[arm]
            if not kept.is_file():
                evaluator = Evaluator(config, policy, engines.serve(policy), fleet)
                save_figures(kept, await _one_arm(config, evaluator, stores, names, on_clip))
            figures |= {f"{arm}/{key}": value for key, value in load_figures(kept).items()}
    finally:
        engines.close()
        await fleet.close()
    return {key: {clip: dict(row) for clip, row in rows.items()} for key, rows in figures.items()}


async def _one_arm(
    config: JobConfig, evaluator: Evaluator, stores: Mapping[str, Path], names: list[str], on_clip: OnClip
) -> dict[str, Figures]:
    result: dict[str, Figures] = {}
    for prefix, store in stores.items():
        scored = [name for name in names if name != "reasoning"] if prefix else names
        chosen: list[Decoding] = decodings(config)[:1] if prefix else decodings(config)
        for decoding in chosen:
            result[prefix + decoding.suffix] = await evaluator.run(store, decoding, scored, on_clip)
    return result


def evaluation_size(config: JobConfig, arms: int, clips: int, recorded: int) -> int:
    """How often `on_clip` will be called."""
    return arms * (clips * len(decodings(config)) + recorded)


def expert_ceiling(store_path: Path, policy: Path) -> dict[str, list[float]]:
    """Consistency of the clean expert with its own label: exact, and through the policy's trajectory bins.

    No policy can be expected above it; the part below 1 is the detector's and the bins' share.
    """
    store, codec = ClipStore.open(store_path), PolicySpec.load(policy).future_codec()
    reward = ConsistencyReward()
    rows: dict[str, list[float]] = {"consistency": [], "consistency_through_bins": []}
    for index in range(len(store)):
        clip = store[index].without_cameras()
        if clip.label is None:
            continue
        binned = codec.decode(codec.encode(clip.actions)).astype(np.float64)
        for name, actions in (("consistency", clip.actions), ("consistency_through_bins", binned)):
            states = integrate(actions, np.float64(clip.ego_history[-1, 3]))
            rollout = RolloutView(
                "expert", "expert", clip.clip_id, clip.label.text, True, actions=actions, states=states
            )
            score = reward.score([rollout], {clip.clip_id: clip})[0]
            if score.value is not None:
                rows[name].append(score.value)
    return {name: bootstrap(np.array(values)).row() for name, values in rows.items() if values}


class Stopwatch:
    """Wall seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def measure(self, name: str) -> Any:
        """Context manager that adds its duration to `name`."""
        return _Lap(self, name)


class _Lap:
    def __init__(self, watch: Stopwatch, name: str) -> None:
        self._watch, self._name = watch, name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = time.perf_counter() - self._began
        self._watch.seconds[self._name] = self._watch.seconds.get(self._name, 0.0) + spent
