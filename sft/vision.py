"""The vision warm-up: the tower learns to tell decisions and their causes apart before anybody has to say them.

Role: gives the from-scratch vision tower what a released backbone brings along. Its merged tokens feed a probe for
the label's two decisions and its causal factors; the probe is thrown away. It reads by attention, because a
language model will: what a probe of all tokens side by side can tell may be spread over places where no attention
finds it. Without the warm-up the text stage spends its budget on phrasing before any gradient reaches the images
(see docs/results.md).
Invariant: only the vision tower's weights change; the order of clips depends on the seed alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import trange
from transformers import get_cosine_with_min_lr_schedule_with_warmup

from policy.model_inputs import ImageEncoder
from policy.prompt import PromptBuilder
from scenes.decisions import FactorKind, Lateral, Longitudinal
from scenes.store import ClipStore
from sft.config import MIN_RATE, SftConfig, StageConfig

LONGITUDINAL, LATERAL, FACTORS = list(Longitudinal), list(Lateral), list(FactorKind)
HEADS = (len(LONGITUDINAL), len(LATERAL), len(FACTORS))
FACTOR_WEIGHT = 3.0
QUERIES = 16
"""Places the probe looks at, as many as there are causes to tell apart."""


@dataclass(frozen=True)
class Truth:
    """Labels of N clips: decision indices [N] and factor presence [N, kinds]."""

    longitudinal: torch.Tensor
    lateral: torch.Tensor
    factors: torch.Tensor

    def take(self, indices: np.ndarray) -> Truth:
        """Rows of some clips."""
        rows = torch.from_numpy(indices)
        return Truth(self.longitudinal[rows], self.lateral[rows], self.factors[rows])


def truth_of(store: ClipStore) -> Truth:
    """Labels of a whole store. Raises ValueError for a clip without a label on both axes."""
    longitudinal, lateral, factors = [], [], []
    for index in range(len(store)):
        label = store[index].label
        if label is None or label.longitudinal is None or label.lateral is None:
            raise ValueError(f"clip {store.ids[index]} has no label on both axes; the vision stage needs one")
        longitudinal.append(LONGITUDINAL.index(label.longitudinal))
        lateral.append(LATERAL.index(label.lateral))
        present = {factor.kind for factor in label.factors}
        factors.append([float(kind in present) for kind in FACTORS])
    return Truth(torch.tensor(longitudinal), torch.tensor(lateral), torch.tensor(factors))


class Probe(torch.nn.Module):
    """Reads merged tokens [N, tokens, hidden] as a language model does: by attention, whatever their place."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.queries = torch.nn.Linear(hidden, QUERIES, bias=False)
        self.heads = torch.nn.Linear(QUERIES * hidden, sum(HEADS))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Outputs [N, heads]."""
        weights = self.queries(tokens).softmax(1)
        return self.heads((weights.transpose(1, 2) @ tokens).flatten(1))


def probe_loss(outputs: torch.Tensor, truth: Truth) -> torch.Tensor:
    """Cross-entropy of both decisions plus weighted binary cross-entropy of the factors; outputs [N, heads]."""
    speed, path, causes = outputs.split(HEADS, dim=1)
    return (
        F.cross_entropy(speed, truth.longitudinal)
        + F.cross_entropy(path, truth.lateral)
        + FACTOR_WEIGHT * F.binary_cross_entropy_with_logits(causes, truth.factors)
    )


def accuracy(outputs: torch.Tensor, truth: Truth) -> float:
    """Share of clips with both decisions right."""
    speed, path, _ = outputs.split(HEADS, dim=1)
    right = (speed.argmax(1) == truth.longitudinal) & (path.argmax(1) == truth.lateral)
    return float(right.float().mean())


class Tower:
    """The model's vision tower as a function of clips."""

    def __init__(self, model: Any, builder: PromptBuilder, encoder: ImageEncoder) -> None:
        self.visual, self._builder, self._encoder = model.model.visual, builder, encoder
        cameras = builder.spec.cameras
        self.tokens = len(cameras.names) * cameras.frames * cameras.tokens_per_image

    def __call__(self, store: ClipStore, indices: np.ndarray) -> torch.Tensor:
        """Merged image tokens of clips, by clip: [N, tokens, hidden]."""
        images = [self._builder.images(store.frames[int(i)], store.rig.names) for i in indices]
        pixels, grid = self._encoder(np.concatenate(images))
        merged = self.visual(pixels, grid_thw=grid).pooler_output
        tokens = torch.cat(list(merged)) if isinstance(merged, tuple | list) else merged
        return tokens.view(len(indices), self.tokens, -1)


def warm_up(
    model: Any,
    builder: PromptBuilder,
    encoder: ImageEncoder,
    train: ClipStore,
    validation: ClipStore,
    config: SftConfig,
    stage: StageConfig,
) -> dict[str, float]:
    """Train the tower for stage.steps; returns the probe's accuracy and loss on validation clips."""
    tower, truth = Tower(model, builder, encoder), truth_of(train)
    torch.manual_seed(config.seed)
    hidden = model.config.text_config.hidden_size
    probe = Probe(hidden)
    parameters = [*tower.visual.parameters(), *probe.parameters()]
    optimiser = torch.optim.AdamW(
        parameters, lr=stage.learning_rate, betas=(0.9, config.beta2), weight_decay=config.weight_decay
    )
    schedule = get_cosine_with_min_lr_schedule_with_warmup(
        optimiser, max(1, round(stage.warmup * stage.steps)), stage.steps, min_lr_rate=MIN_RATE
    )
    rng = np.random.default_rng(config.seed)
    for _ in trange(stage.steps, desc="vision warm-up", unit="step"):
        indices = rng.choice(len(train), stage.batch_size, replace=False)
        loss = probe_loss(probe(tower(train, indices)), truth.take(indices))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, config.gradient_clip)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        parts = np.array_split(np.arange(len(validation)), max(1, len(validation) // 64))
        outputs = torch.cat([probe(tower(validation, part)) for part in parts])
    held_out = truth_of(validation)
    return {
        "vision/decisions_right": accuracy(outputs, held_out),
        "vision/loss": float(probe_loss(outputs, held_out)),
    }
