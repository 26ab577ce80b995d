"""Log-probability of sampled ids under the distribution they were sampled from.

Role: the learner's and the doctor's side of policy.engine's log-probabilities: same grammar mask, same
temperature. Invariant: a forced position has log-probability 0 and entropy 0, exactly as the sampler reports it.
"""

from __future__ import annotations

from typing import Any

import torch

from policy.backbone import HeadSlice, before
from policy.grammar import Grammar, Phase


def masked_log_probs(
    model: Any, inputs: dict[str, Any], phases: torch.Tensor, grammar: Grammar, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies [B, L] in nats of the last L input ids, by one forward pass.

    model: policy.backbone.Backbone, wrapped or not; inputs: its keyword arguments; phases: [B, L]
    policy.grammar.Phase (padding must be FORCED). Raises ValueError for temperature 0: a greedy choice has no
    gradient.
    """
    length = inputs["input_ids"].shape[1]
    ids = inputs["input_ids"][:, -phases.shape[1] :]
    vocabulary = grammar.vocabulary
    bins = (vocabulary.future_start, vocabulary.future_start + vocabulary.future_bins)
    text, trajectory = model(
        **inputs,
        head_slices=(
            HeadSlice(before(phases == Phase.TEXT, length), 0, vocabulary.size),
            HeadSlice(before(phases == Phase.TRAJECTORY, length), *bins),
        ),
    )
    return select_log_probs(text, trajectory, ids, phases, grammar, temperature)


def select_log_probs(
    text_logits: torch.Tensor,
    trajectory_logits: torch.Tensor,
    ids: torch.Tensor,
    phases: torch.Tensor,
    grammar: Grammar,
    temperature: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies [B, L] of ids [B, L] from the logits of their free positions, in order.

    text_logits: [text positions, vocabulary]; trajectory_logits: [trajectory positions, bins].
    """
    if temperature <= 0:
        raise ValueError("temperature must be above 0 to score or train; greedy samples carry no gradient")
    logps = torch.zeros(ids.shape, dtype=torch.float32, device=ids.device)
    entropies = torch.zeros_like(logps)
    vocabulary = grammar.vocabulary
    trajectory = phases == Phase.TRAJECTORY
    if trajectory.any():
        chosen = ids[trajectory] - vocabulary.future_start
        logps[trajectory], entropies[trajectory] = _select(trajectory_logits, chosen, temperature)
    text = phases == Phase.TEXT
    if text.any():
        banned = torch.from_numpy(~grammar.text_ids(first=False)).to(ids.device)
        rows = text_logits.masked_fill(banned, -torch.inf)
        first = torch.zeros_like(text)
        first[:, 0] = True
        rows[first[text], vocabulary.cot_end] = -torch.inf
        logps[text], entropies[text] = _select(rows, ids[text], temperature)
    return logps, entropies


def _select(
    rows: torch.Tensor, chosen: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    table = torch.log_softmax(rows.float() / temperature, dim=-1)
    entropy = -(table.exp() * table.nan_to_num(neginf=0.0)).sum(-1)
    return table.gather(1, chosen[:, None]).squeeze(1), entropy
