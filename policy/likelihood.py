"""Log-probability of sampled ids under the distribution they were sampled from.

Role: the learner's and the doctor's side of policy.engine's log-probabilities: same grammar mask, same
temperature. Invariant: a forced position has log-probability 0 and entropy 0, exactly as the sampler reports it.
"""

from __future__ import annotations

import torch

from policy.grammar import Grammar, Phase


def masked_log_probs(
    logits: torch.Tensor, ids: torch.Tensor, phases: torch.Tensor, grammar: Grammar, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and entropies [B, L], nats.

    logits: [B, L, V] predicting ids [B, L]; phases: [B, L] policy.grammar.Phase (padding must be FORCED).
    Raises ValueError for temperature 0: a greedy choice has no gradient.
    """
    if temperature <= 0:
        raise ValueError("temperature must be above 0 to score or train; greedy samples carry no gradient")
    logps = torch.zeros(ids.shape, dtype=torch.float32, device=logits.device)
    entropies = torch.zeros_like(logps)
    vocabulary = grammar.vocabulary
    start, end = vocabulary.future_start, vocabulary.future_start + vocabulary.future_bins
    trajectory = phases == Phase.TRAJECTORY
    if trajectory.any():
        chosen = ids[trajectory] - start
        rows = logits[trajectory][:, start:end]
        logps[trajectory], entropies[trajectory] = _select(rows, chosen, temperature)
    banned = torch.from_numpy(~grammar.text_ids(first=False)).to(logits.device)
    text = phases == Phase.TEXT
    if text.any():
        rows = logits[text][:, : vocabulary.size].masked_fill(banned, -torch.inf)
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
