"""Boltzmann-disagreement curator: learn next from clips where reward and likelihood rank rollouts differently.

Role: after each group it compares softmax(beta x reward) over the group with the policy's own likelihood
normalised over the same group; clips with a high divergence come back sooner, a share of each batch stays
uniform. Costs nothing extra: both come from rollouts that were paid for anyway.
Source of the idea: Alpamayo-R1 paper (arXiv 2511.00088), post-training data curation; the divergence (KL) and
the length normalisation of likelihood are our choice, the paper leaves them open.
Invariant: a draw depends only on the configuration, the observations so far and the RNG state, all of which
`state_dict` carries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class CuratorConfig:
    """beta: inverse temperature on rewards; likelihood_beta: on the mean token log-probability, nats;
    sharpness: how strongly high disagreement is preferred when drawing; uniform_share: part of each batch that
    is drawn uniformly; half_life: visits elsewhere, in steps, after which an old observation counts half."""

    beta: float = 2.0
    likelihood_beta: float = 8.0
    sharpness: float = 2.0
    uniform_share: float = 0.5
    half_life: float = 50.0


@dataclass(frozen=True)
class Draw:
    """One step's clips. uniform: which of them were drawn uniformly (before anything is known: all); rewards of
    those alone tell progress, because the others are chosen for being hard."""

    clip_ids: tuple[str, ...]
    uniform: tuple[bool, ...]


def log_softmax(values: np.ndarray) -> np.ndarray:
    """Log of the normalised exponential over the last axis."""
    shifted = values - values.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def disagreement(
    rewards: np.ndarray, mean_logprobs: np.ndarray, beta: float, likelihood_beta: float
) -> float:
    """KL(softmax(beta rewards) || softmax(likelihood_beta mean_logprobs)) in nats over a group [G].

    rewards: total rewards; mean_logprobs: mean log-probability of each completion's free tokens. Raises
    ValueError for fewer than two rollouts or a non-finite value: missing ones must be left out before.
    """
    rewards, mean_logprobs = np.asarray(rewards, float), np.asarray(mean_logprobs, float)
    if rewards.shape != mean_logprobs.shape or rewards.ndim != 1 or len(rewards) < 2:
        raise ValueError(
            f"need two vectors of one length above 1, got {rewards.shape} and {mean_logprobs.shape}"
        )
    if not (np.isfinite(rewards).all() and np.isfinite(mean_logprobs).all()):
        raise ValueError("non-finite reward or likelihood; leave failed rollouts out of the group")
    wanted = log_softmax(beta * rewards)
    own = log_softmax(likelihood_beta * mean_logprobs)
    return float(max(0.0, (np.exp(wanted) * (wanted - own)).sum()))


class BoltzmannCurator:
    """Chooses the clips of each step from a pool of ids."""

    def __init__(self, pool: Sequence[str], config: CuratorConfig, seed: int) -> None:
        if len(set(pool)) != len(pool) or not pool:
            raise ValueError("the pool must hold at least one clip and no id twice")
        self.config = config
        self._ids = list(pool)
        self._index = {clip_id: index for index, clip_id in enumerate(self._ids)}
        self._value = np.full(len(pool), np.nan)
        self._seen_at = np.full(len(pool), -1, np.int64)
        self._visits = np.zeros(len(pool), np.int64)
        self._step = 0
        self._rng = np.random.default_rng(seed)
        self._last: dict[str, float] = {}

    def choose(self, count: int) -> Draw:
        """The next step's clips, none twice. Raises ValueError when the pool is smaller than the batch."""
        if count > len(self._ids):
            raise ValueError(f"a batch of {count} from a pool of {len(self._ids)} clips; enlarge the pool")
        uniform = round(self.config.uniform_share * count)
        known = np.flatnonzero(~np.isnan(self._value))
        picked: list[int] = []
        wanted = min(count - uniform, len(known))
        if wanted:
            age = self._step - self._seen_at[known]
            trust = 0.5 ** (age / self.config.half_life)
            mean = np.nanmean(self._value)
            value = mean + trust * (self._value[known] - mean)
            spread = np.nanstd(self._value) + 1e-9
            weight = np.exp(log_softmax(self.config.sharpness * (value - mean) / spread))
            picked = [int(i) for i in self._rng.choice(known, wanted, replace=False, p=weight / weight.sum())]
        rest = np.setdiff1d(np.arange(len(self._ids)), picked)
        fresh = self._rng.choice(rest, count - len(picked), replace=False)
        chosen = [*picked, *[int(i) for i in fresh]]
        self._step += 1
        self._visits[chosen] += 1
        self._last = {
            "curator/known_share": len(known) / len(self._ids),
            "curator/chosen_by_disagreement": float(len(picked)),
            "curator/disagreement_mean": float(np.nanmean(self._value)) if len(known) else 0.0,
            "curator/visits_max": float(self._visits.max()),
        }
        uniform_ones = [False] * len(picked) + [True] * len(fresh)
        return Draw(tuple(self._ids[index] for index in chosen), tuple(uniform_ones))

    def observe(self, clip_id: str, value: float) -> None:
        """Record a clip's disagreement, nats. Raises KeyError for a clip outside the pool."""
        index = self._index[clip_id]
        self._value[index] = value
        self._seen_at[index] = self._step

    def metrics(self) -> dict[str, float]:
        """Numbers of the last draw."""
        return dict(self._last)

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed job needs to draw what an uninterrupted one would."""
        return {
            "ids": list(self._ids),
            "value": [None if np.isnan(v) else float(v) for v in self._value],
            "seen_at": self._seen_at.tolist(),
            "visits": self._visits.tolist(),
            "step": self._step,
            "rng": self._rng.bit_generator.state,
            "last": self._last,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore; raises ValueError when the state belongs to another pool."""
        if list(state["ids"]) != self._ids:
            raise ValueError(
                "curator state is of another pool of clips; resume with the data the run began with"
            )
        self._value = np.array([np.nan if v is None else v for v in state["value"]], float)
        self._seen_at = np.asarray(state["seen_at"], np.int64)
        self._visits = np.asarray(state["visits"], np.int64)
        self._step = int(state["step"])
        self._rng.bit_generator.state = state["rng"]
        self._last = dict(state["last"])
