"""The supervised objective: cross-entropy per section, sections weighed against each other.

Invariants: a section's mean is over its own tokens, so that 128 trajectory tokens do not drown 15 words; a
trajectory token competes with the other bins only, as it does when the grammar samples it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

from policy.backbone import HeadSlice, before
from policy.vocabulary import Vocabulary
from sft.examples import Section

MARK_WEIGHT = 0.1
"""Of the start and end marks, which the grammar forces in our engines; an engine without it must know them too."""

LOSS_SECTIONS = (Section.TEXT, Section.TRAJECTORY, Section.MARK)
SectionLosses = dict[Section, tuple[torch.Tensor, torch.Tensor]]


def section_losses(
    model: Any, inputs: dict[str, Any], sections: torch.Tensor, vocabulary: Vocabulary
) -> SectionLosses:
    """Mean cross-entropy (nats a token) and token accuracy of each section present.

    model: policy.backbone.Backbone; inputs: its keyword arguments; sections: [B, L] of Section for the last L ids.
    """
    length, ids = inputs["input_ids"].shape[1], inputs["input_ids"][:, -sections.shape[1] :]
    bins = (vocabulary.future_start, vocabulary.future_start + vocabulary.future_bins)
    present = [section for section in LOSS_SECTIONS if (sections == section).any()]
    ranges = [bins if section is Section.TRAJECTORY else (0, vocabulary.size) for section in present]
    slices = [
        HeadSlice(before(sections == section, length), *span)
        for section, span in zip(present, ranges, strict=True)
    ]
    result = {}
    for section, (start, _), rows in zip(present, ranges, model(**inputs, head_slices=slices), strict=True):
        wanted = ids[sections == section] - start
        accuracy = (rows.detach().argmax(-1) == wanted).float().mean()
        result[section] = (F.cross_entropy(rows.float(), wanted), accuracy)
    return result


def global_means(
    losses: SectionLosses, sections: torch.Tensor, tokens: Mapping[Section, float]
) -> SectionLosses:
    """Losses and accuracies of one part, such that their plain mean over parts and ranks is the mean over the
    section's tokens in the global batch.

    sections: [B, L] of the part; tokens: each section's tokens a part, averaged over all parts and ranks. A lone
    part is left as it is, to the last bit.
    """
    scaled = {}
    for section, (loss, accuracy) in losses.items():
        share = float((sections == section).sum()) / tokens[section]
        scaled[section] = (loss * share, accuracy * share)
    return scaled


def combine(losses: SectionLosses, text_weight: float) -> torch.Tensor:
    """Trajectory loss + text_weight x text loss + MARK_WEIGHT x marks; a section that is absent adds nothing."""
    weights = {Section.TEXT: text_weight, Section.TRAJECTORY: 1.0, Section.MARK: MARK_WEIGHT}
    return torch.stack([weights[section] * loss for section, (loss, _) in losses.items()]).sum()
