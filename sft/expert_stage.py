"""The `expert` stage: the flow expert learns to drive from the backbone's cache.

Role: batches, loss and validation of the stage; optimiser, checkpoints and resume are the other stages'.
Invariants: a frozen backbone is not in the checkpoints and its weights do not change; beside a co-trained one
the flow loss still does not reach it, unless stop_gradient is switched off; the expert sees the text up to and
including <|traj_future_start|> and never a trajectory token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import DynamicCache

from policy.expert_model import ExpertModel, build_expert
from policy.expert_spec import EXPERT_FILE, EXPERT_FOLDER, ExpertSpec
from policy.model_inputs import ImageEncoder
from policy.prefix import Prefix, prefill, prefix_of
from policy.vocabulary import Vocabulary
from sft.config import ExpertStageConfig, SftConfig, StageConfig
from sft.examples import Examples
from sft.loss import combine, section_losses
from sft.trainer import Collator, Indices, MeansTrainer, MetricsFile, train, training_arguments

LEAST_STD = 1e-6
FLOW_LOSS = "flow/loss"
TIED_HEAD, TIED_TO = "backbone.lm_head.weight", "backbone.model.language_model.embed_tokens.weight"


class ExpertCollator:
    """Batches of prompt, text and demonstrated actions. whole: keep the trajectory tokens too, for the
    backbone's own loss; images_of: as of sft.trainer.Collator."""

    def __init__(
        self,
        examples: Examples,
        encoder: ImageEncoder,
        wording: str,
        *,
        whole: bool,
        images_of: np.ndarray | None = None,
    ) -> None:
        self._joint = Collator(examples, encoder, "joint", images_of, wording)
        self._examples, self._whole = examples, whole

    def __call__(self, indices: Sequence[int]) -> dict[str, Any]:
        """Keyword inputs of the backbone, `sections` [B, L], `ends` [B] and `actions` [B, T, 2] float32."""
        inputs = self._joint(indices)
        width = inputs["sections"].shape[1]
        prompt = inputs["input_ids"].shape[1] - width
        starts = inputs["input_ids"][:, prompt:] == self._examples.vocabulary.traj_start
        ends = prompt + starts.int().argmax(1) + 1
        inputs["ends"] = ends
        if not self._whole:
            longest = int(ends.max())
            for name in ("input_ids", "mm_token_type_ids"):
                inputs[name] = inputs[name][:, :longest]
            inputs["sections"] = inputs["sections"][:, : longest - prompt]
        actions = self._examples.actions[np.asarray(indices)]
        inputs["actions"] = torch.from_numpy(np.asarray(actions, np.float32))
        return inputs


class ExpertTrainee(nn.Module):
    """An expert with its backbone: what the trainer trains. A frozen backbone is no part of its state."""

    def __init__(
        self,
        backbone: Any,
        expert: ExpertModel,
        config: ExpertStageConfig,
        vocabulary: Vocabulary,
        text_weight: float,
    ) -> None:
        super().__init__()
        self.model = expert
        self.backbone = backbone if config.cotrain else None
        self._held = [backbone]
        self._config, self._vocabulary, self._text_weight = config, vocabulary, text_weight

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        if self.backbone is None:
            self._held[0]._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The state without the tied output head, which safetensors refuses to write twice."""
        state = super().state_dict(*args, **kwargs)
        if self._tied:
            state.pop(TIED_HEAD, None)
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load what `state_dict` gave."""
        state = dict(state_dict)
        if self._tied:
            state[TIED_HEAD] = state[TIED_TO]
        return super().load_state_dict(state, strict, assign)

    @property
    def _tied(self) -> bool:
        return self.backbone is not None and self.backbone.config.tie_word_embeddings

    def forward(
        self, sections: torch.Tensor, ends: torch.Tensor, actions: torch.Tensor, **inputs: Any
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss to minimise, and the figures to log."""
        if self.backbone is None:
            prefix = frozen_prefix(self._held[0], inputs, ends)
            flow = self.model.loss(actions, prefix, self._config.draws)
            return flow, {FLOW_LOSS: flow}
        cache = DynamicCache(config=self.backbone.config)
        cached = inputs | {"past_key_values": cache, "use_cache": True}
        losses = section_losses(self.backbone, cached, sections, self._vocabulary)
        deltas = self.backbone.model.rope_deltas
        prefix = prefix_of(cache, ends, deltas, detach=self._config.stop_gradient)
        flow = self.model.loss(actions, prefix, self._config.draws)
        figures = {f"{section.name.lower()}/nll": loss for section, (loss, _) in losses.items()}
        return flow + combine(losses, self._text_weight), {FLOW_LOSS: flow, **figures}


@torch.no_grad()
def frozen_prefix(backbone: Any, inputs: dict[str, Any], ends: torch.Tensor) -> Prefix:
    """Prefix of a batch, computed without a graph."""
    cache, deltas = prefill(backbone, inputs)
    return prefix_of(cache, ends, deltas)


class ExpertTrainer(MeansTrainer):
    """Trainer of an ExpertTrainee."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Flow loss of one batch, and the backbone's own where it is trained too."""
        del num_items_in_batch
        total, figures = model(**inputs)
        self.observe(figures)
        return (total, None) if return_outputs else total


def expert_spec(config: ExpertStageConfig, actions: np.ndarray) -> ExpertSpec:
    """The expert to build; its actions [clips, T, 2] are normalised by their own mean and deviation.

    Raises ValueError when acceleration or curvature never varies.
    """
    mean, std = actions.mean((0, 1)), actions.std((0, 1))
    if (std < LEAST_STD).any():
        raise ValueError(
            f"actions deviate by {std.tolist()}: a constant one cannot be normalised; check the demonstrations"
        )
    return ExpertSpec(
        hidden=config.hidden,
        feed_forward=config.feed_forward,
        heads=config.heads,
        waypoints=actions.shape[1],
        features=config.features,
        mean=(float(mean[0]), float(mean[1])),
        std=(float(std[0]), float(std[1])),
        unconditional_share=config.unconditional_share,
    )


def start_expert(policy: Path, config: ExpertStageConfig, actions: np.ndarray, seed: int) -> ExpertModel:
    """The policy folder's own expert, to train on, or a new one. Raises ValueError when its shape is not the
    configuration's."""
    wanted = expert_spec(config, actions)
    if not (policy / EXPERT_FOLDER / EXPERT_FILE).is_file():
        return build_expert(policy, wanted, seed)
    found = ExpertModel.load(policy)
    scale = {"mean": wanted.mean, "std": wanted.std, "unconditional_share": wanted.unconditional_share}
    if found.spec.model_copy(update=scale) != wanted:
        raise ValueError(
            f"{policy / EXPERT_FOLDER} holds an expert of another shape than the stage's; copy its numbers into "
            "the stage, or start from a policy folder without an expert"
        )
    return found


def run_expert_stage(
    backbone: Any,
    expert: ExpertModel,
    examples: Examples,
    encoder: ImageEncoder,
    config: SftConfig,
    stage: StageConfig,
    folder: Path,
) -> None:
    """Train the expert (and a co-trained backbone) in place, resuming from `folder`'s last checkpoint."""
    options = stage.expert
    backbone.requires_grad_(options.cotrain)
    backbone.train(options.cotrain)
    expert.train()
    trainer = ExpertTrainer(
        model=ExpertTrainee(backbone, expert, options, examples.vocabulary, stage.text_weight),
        args=training_arguments(config, stage, folder),
        train_dataset=Indices(len(examples)),
        data_collator=ExpertCollator(examples, encoder, stage.wording, whole=options.cotrain),
        callbacks=[MetricsFile(folder.parent / "losses.jsonl", folder.name)],
    )
    train(trainer, folder)
    backbone.requires_grad_(True)


@torch.no_grad()
def expert_figures(
    backbone: Any, expert: ExpertModel, examples: Examples, encoder: ImageEncoder, clips: int, seed: int
) -> dict[str, float]:
    """Flow loss on validation clips, with their own images and with another clip's; the same noise for both."""
    count = min(clips, len(examples))
    shifted = np.roll(np.arange(len(examples)), len(examples) // 2)
    backbone.eval()
    expert.eval()
    result = {}
    for name, images_of in ((FLOW_LOSS, None), ("flow/shuffled_loss", shifted)):
        collate = ExpertCollator(examples, encoder, "varied", whole=False, images_of=images_of)
        generator_state = torch.random.get_rng_state()
        torch.manual_seed(seed)
        losses, weights = [], []
        for first in range(0, count, 32):
            inputs = collate(list(range(first, min(first + 32, count))))
            ends, actions = inputs.pop("ends"), inputs.pop("actions")
            inputs.pop("sections")
            losses.append(float(expert.loss(actions, frozen_prefix(backbone, inputs, ends), draws=8)))
            weights.append(len(actions))
        torch.random.set_rng_state(generator_state)
        result[name] = float(np.average(losses, weights=weights))
    return result
