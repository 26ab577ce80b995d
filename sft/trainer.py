"""One supervised stage on transformers' Trainer.

Role: batches of examples in, a trained backbone out; Trainer does optimiser, schedule, checkpoints and resume.
Invariant: the order of examples, and so the result, depends on the configuration alone; an interrupted stage
resumes from its last checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from policy.model_inputs import ImageEncoder, backbone_inputs, pad_rows
from policy.prompt import Prompt
from policy.vocabulary import Vocabulary
from sft.config import MIN_RATE, SftConfig, StageConfig
from sft.examples import Examples, Section
from sft.loss import SectionLosses, combine, section_losses


class Indices(Dataset):  # type: ignore[type-arg]
    """The numbers 0 … n-1: examples are made in the collator, a batch at a time."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


class Collator:
    """Builds model inputs for a list of example indices. images_of maps an index to the clip whose images it
    is shown (identity unless the images-matter check shuffles them)."""

    def __init__(
        self,
        examples: Examples,
        encoder: ImageEncoder,
        kind: str,
        images_of: np.ndarray | None = None,
        wording: str = "varied",
    ) -> None:
        self.examples, self.encoder, self.kind, self.images_of = examples, encoder, kind, images_of
        self.wording = wording

    def __call__(self, indices: Sequence[int]) -> dict[str, Any]:
        """Keyword inputs of the backbone plus `sections` [B, L] of the completion."""
        targets = [self.examples.target(index, self.kind, self.wording) for index in indices]
        prompts = []
        for index, target in zip(indices, targets, strict=True):
            prompt = self.examples.prompt(
                index, None if self.images_of is None else int(self.images_of[index])
            )
            prompts.append(Prompt(prompt.ids[:-1], prompt.images) if target.drops_cot_start else prompt)
        padded = pad_rows([target.ids for target in targets], fill=0)
        sections = pad_rows([target.sections for target in targets], fill=Section.NONE)
        image_pad = self.examples.vocabulary.image_pad
        inputs = backbone_inputs(prompts, padded, self.encoder, image_pad)
        return {**inputs, "sections": sections.ids}


class MeansTrainer(Trainer):
    """Trainer that logs, beside its own figures, the means of whatever was observed since the last log."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._observed: dict[str, list[float]] = {}

    def observe(self, figures: Mapping[str, torch.Tensor]) -> None:
        """Figures of one batch by name."""
        for name, value in figures.items():
            self._observed.setdefault(name, []).append(float(value.detach()))

    def observe_sections(self, losses: SectionLosses) -> None:
        """Loss and token accuracy of each section of one batch."""
        for section, (loss, accuracy) in losses.items():
            name = section.name.lower()
            self.observe({f"{name}/nll": loss, f"{name}/accuracy": accuracy})

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means since the last log."""
        means = {name: float(np.mean(values)) for name, values in self._observed.items()}
        self._observed.clear()
        super().log({**logs, **means}, start_time)


class StageTrainer(MeansTrainer):
    """Trainer with the section loss; logs loss and token accuracy of each section."""

    def __init__(self, *args: Any, text_weight: float, vocabulary: Vocabulary, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._vocabulary = vocabulary
        self._text_weight = text_weight

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Section loss of one batch."""
        del num_items_in_batch
        sections = inputs.pop("sections")
        losses = section_losses(model, inputs, sections, self._vocabulary)
        self.observe_sections(losses)
        total = combine(losses, self._text_weight)
        return (total, None) if return_outputs else total


class MetricsFile(TrainerCallback):
    """Appends every log line to a JSON-lines file: what the loss curve is drawn from."""

    def __init__(self, path: Path, stage: str) -> None:
        self.path, self.stage = path, stage

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kw: Any
    ) -> None:
        """Write one line."""
        del args, control, kw
        with self.path.open("a") as file:
            file.write(json.dumps({"stage": self.stage, "step": state.global_step, **(logs or {})}) + "\n")


def training_arguments(config: SftConfig, stage: StageConfig, folder: Path) -> TrainingArguments:
    """Optimiser, schedule, logging and checkpoints of a stage, in Trainer's terms."""
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=stage.steps,
        per_device_train_batch_size=stage.batch_size,
        learning_rate=stage.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": MIN_RATE},
        warmup_steps=max(1, round(stage.warmup * stage.steps)),
        adam_beta2=config.beta2,
        weight_decay=config.weight_decay,
        max_grad_norm=config.gradient_clip,
        optim="adamw_torch",
        logging_steps=config.log_every,
        save_steps=config.checkpoint_every,
        save_total_limit=2,
        seed=config.seed,
        data_seed=config.seed,
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        dataloader_num_workers=0,
        report_to=[],
        disable_tqdm=False,
    )


def run_stage(
    model: Any, examples: Examples, encoder: ImageEncoder, config: SftConfig, stage: StageConfig, folder: Path
) -> None:
    """Train one stage in place, resuming from `folder`'s last checkpoint when there is one."""
    trainer = StageTrainer(
        model=model,
        args=training_arguments(config, stage, folder),
        train_dataset=Indices(len(examples)),
        data_collator=Collator(examples, encoder, stage.kind, wording=stage.wording),
        callbacks=[MetricsFile(folder.parent / "losses.jsonl", folder.name)],
        text_weight=stage.text_weight,
        vocabulary=examples.vocabulary,
    )
    train(trainer, folder)


def train(trainer: Trainer, folder: Path) -> None:
    """Run a trainer to its end, from `folder`'s last checkpoint when there is one."""
    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
