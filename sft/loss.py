"""The supervised objective: cross-entropy per section, sections weighed against each other.

Invariant: a section's mean is over its own tokens, so that 128 trajectory tokens do not drown 15 words.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sft.examples import Section


def section_losses(
    logits: torch.Tensor, ids: torch.Tensor, sections: torch.Tensor
) -> dict[Section, tuple[torch.Tensor, torch.Tensor]]:
    """Mean cross-entropy (nats a token) and token accuracy of each section present.

    logits: [B, L, V] predicting ids [B, L]; sections: [B, L] of Section.
    """
    result = {}
    for section in (Section.TEXT, Section.TRAJECTORY):
        chosen = sections == section
        if chosen.any():
            rows, wanted = logits[chosen], ids[chosen]
            accuracy = (rows.detach().argmax(-1) == wanted).float().mean()
            result[section] = (F.cross_entropy(rows.float(), wanted), accuracy)
    return result


def combine(losses: dict[Section, tuple[torch.Tensor, torch.Tensor]], text_weight: float) -> torch.Tensor:
    """Trajectory loss + text_weight x text loss; a section that is absent adds nothing."""
    weights = {Section.TEXT: text_weight, Section.TRAJECTORY: 1.0}
    return torch.stack([weights[section] * loss for section, (loss, _) in losses.items()]).sum()
