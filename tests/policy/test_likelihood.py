"""Masked log-probabilities: the learner's side of what the sampler reports."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_grammar import GRAMMAR, VOCABULARY, completion

from policy.grammar import Phase
from policy.likelihood import select_log_probs


def table(
    temperature: float = 0.7,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    ids = torch.from_numpy(completion([1, 2, 3], [7, 0, 1, 2]))[None]
    logits = torch.randn(1, ids.shape[1], VOCABULARY.size, requires_grad=True)
    phases = torch.from_numpy(GRAMMAR.phases(ids[0].numpy()))[None]
    bins = slice(VOCABULARY.future_start, VOCABULARY.future_start + VOCABULARY.future_bins)
    logps, entropies = select_log_probs(
        logits[phases == Phase.TEXT],
        logits[phases == Phase.TRAJECTORY][:, bins],
        ids,
        phases,
        GRAMMAR,
        temperature,
    )
    return logits, ids, phases, logps, entropies


def test_equals_a_plain_masked_softmax() -> None:
    logits, ids, phases, logps, entropies = table()
    for position in range(ids.shape[1]):
        allowed = np.zeros(VOCABULARY.size, bool)
        if phases[0, position] == Phase.TEXT:
            allowed = GRAMMAR.text_ids(first=position == 0)
        elif phases[0, position] == Phase.TRAJECTORY:
            allowed[VOCABULARY.future_start : VOCABULARY.history_start] = True
        else:
            assert logps[0, position] == 0
            assert entropies[0, position] == 0
            continue
        row = (logits[0, position].detach() / 0.7).masked_fill(torch.from_numpy(~allowed), -torch.inf)
        probabilities = torch.softmax(row, 0)
        assert torch.isclose(logps[0, position], probabilities[ids[0, position]].log(), atol=1e-6)
        kept = probabilities[probabilities > 0]
        assert torch.isclose(entropies[0, position], -(kept * kept.log()).sum(), atol=1e-5)


def test_gradient_reaches_allowed_logits_only() -> None:
    logits, _, phases, logps, _ = table()
    logps.sum().backward()
    assert logits.grad is not None
    first = logits.grad[0, 0]
    assert first[1] != 0
    assert first[VOCABULARY.cot_end] == 0, "cot_end may not be the first token"
    assert first[VOCABULARY.image_pad] == 0
    assert (logits.grad[0][phases[0] == Phase.FORCED] == 0).all()
    assert torch.isfinite(logits.grad).all()


def test_greedy_carries_no_gradient() -> None:
    with pytest.raises(ValueError, match="temperature must be above 0"):
        table(0.0)
