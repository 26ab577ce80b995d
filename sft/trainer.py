"""One supervised stage on transformers' Trainer.

Role: batches of examples in, a trained backbone out; Trainer does optimiser, schedule, checkpoints and resume.
Invariants: the order of examples, and so the result, depends on the configuration alone; a section's mean is over
the global batch, however many ranks and parts share it; an interrupted stage resumes from its last whole
checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from policy.model_inputs import ImageEncoder, backbone_inputs, pad_rows
from policy.prompt import Prompt
from policy.vocabulary import Vocabulary
from sft.bucketing import LengthBuckets
from sft.checkpoints import MarkWhole, last_whole
from sft.config import MIN_RATE, SftConfig, StageConfig
from sft.examples import Examples, Section
from sft.lora import ADAPTER_FOLDER, merge, with_adapter
from sft.loss import LOSS_SECTIONS, SectionLosses, combine, global_means, section_losses


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
        """Add the means since the last log, over all ranks."""
        means = {name: float(np.mean(values)) for name, values in self._observed.items()}
        self._observed.clear()
        if self.args.world_size > 1 and means:
            own = torch.tensor(list(means.values()), dtype=torch.float64, device=self.args.device)
            means = dict(zip(means, self.accelerator.reduce(own, "mean").tolist(), strict=True))
        super().log({**logs, **means}, start_time)


class StageTrainer(MeansTrainer):
    """Trainer with the section loss; logs loss and token accuracy of each section. sampler: order of the examples
    (None: Trainer's shuffle)."""

    def __init__(
        self,
        *args: Any,
        text_weight: float,
        vocabulary: Vocabulary,
        sampler: Sampler[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._vocabulary = vocabulary
        self._text_weight = text_weight
        self._sampler = sampler
        self._tokens: dict[Section, float] = {}

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return self._sampler if self._sampler is not None else super()._get_train_sampler(train_dataset)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """The parts of one optimiser step; notes each section's tokens a part, averaged over parts and ranks."""
        parts, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        if parts:
            counts = [[(part["sections"] == section).sum() for section in LOSS_SECTIONS] for part in parts]
            own = torch.tensor(counts, dtype=torch.float64, device=device).mean(0)
            means = self.accelerator.reduce(own, "mean") if self.args.world_size > 1 else own
            self._tokens = dict(zip(LOSS_SECTIONS, means.tolist(), strict=True))
        return parts, items

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Section loss of one batch."""
        del num_items_in_batch
        sections = inputs.pop("sections")
        losses = section_losses(model, inputs, sections, self._vocabulary)
        losses = global_means(losses, sections, self._tokens)
        self.observe_sections(losses)
        total = combine(losses, self._text_weight)
        return (total, None) if return_outputs else total


class MetricsFile(TrainerCallback):
    """Appends every log line to a JSON-lines file: what the loss curve is drawn from. A resumed stage first takes
    back the lines of steps that it repeats."""

    def __init__(self, path: Path, stage: str) -> None:
        self.path, self.stage = path, stage

    def on_train_begin(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """Forget this stage's lines beyond the step that training goes on from."""
        del args, control, kw
        if not state.is_world_process_zero or not self.path.exists():
            return
        lines = self.path.read_text().splitlines(keepends=True)
        rows = [json.loads(line) for line in lines]
        kept = [
            line
            for line, row in zip(lines, rows, strict=True)
            if row["stage"] != self.stage or row["step"] <= state.global_step
        ]
        partial = self.path.with_name("." + self.path.name)
        partial.write_text("".join(kept))
        partial.replace(self.path)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kw: Any
    ) -> None:
        """Write one line."""
        del args, control, kw
        if not state.is_world_process_zero:
            return
        with self.path.open("a") as file:
            file.write(json.dumps({"stage": self.stage, "step": state.global_step, **(logs or {})}) + "\n")


def training_arguments(config: SftConfig, stage: StageConfig, folder: Path, **more: Any) -> TrainingArguments:
    """Optimiser, schedule, logging and checkpoints of a stage, in Trainer's terms; more: arguments beside them."""
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": stage.steps,
        "per_device_train_batch_size": stage.batch_size,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": MIN_RATE},
        "warmup_steps": max(1, round(stage.warmup * stage.steps)),
        "adam_beta2": config.beta2,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.gradient_clip,
        "optim": "adamw_torch",
        "logging_steps": config.log_every,
        "save_steps": config.checkpoint_every,
        "save_total_limit": 2,
        "seed": config.seed,
        "data_seed": config.seed,
        "use_cpu": not torch.cuda.is_available(),
        "remove_unused_columns": False,
        "dataloader_num_workers": 0,
        "report_to": [],
        "disable_tqdm": False,
    }
    return TrainingArguments(**{**settings, **more})


def stage_trainer(
    model: Any,
    examples: Examples,
    encoder: ImageEncoder,
    config: SftConfig,
    stage: StageConfig,
    folder: Path,
    arguments: TrainingArguments,
) -> StageTrainer:
    """Trainer of a text, action or joint stage."""
    sampler = None
    if config.execution.bucket_lengths:
        lengths = examples.target_lengths(stage.kind, stage.wording)
        sampler = LengthBuckets(lengths, stage.batch_size, config.seed)
    return StageTrainer(
        model=model if stage.lora is None else with_adapter(model, stage.lora, config.seed),
        args=arguments,
        train_dataset=Indices(len(examples)),
        data_collator=Collator(examples, encoder, stage.kind, wording=stage.wording),
        callbacks=[MetricsFile(folder.parent / "losses.jsonl", folder.name)],
        text_weight=stage.text_weight,
        vocabulary=examples.vocabulary,
        sampler=sampler,
    )


def run_stage(
    model: Any, examples: Examples, encoder: ImageEncoder, config: SftConfig, stage: StageConfig, folder: Path
) -> None:
    """Train one stage in place and in this process, resuming from `folder`'s last whole checkpoint when there is
    one. With adapters, leaves them in folder/adapter and their product in the model's weights."""
    arguments = training_arguments(config, stage, folder, **step_arguments(config, stage))
    trainer = stage_trainer(model, examples, encoder, config, stage, folder, arguments)
    train(trainer, folder)
    if stage.lora is not None:
        trainer.model.save_pretrained(folder / ADAPTER_FOLDER)
        merge(trainer.model)


def step_arguments(config: SftConfig, stage: StageConfig) -> dict[str, Any]:
    """How an optimiser step is cut and computed, in Trainer's terms. With several ranks or parts an epoch leaves
    its last, smaller batch out: there is no cutting it alike."""
    execution = config.execution
    micro, parts = execution.cut(stage.batch_size)
    return {
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": parts,
        "dataloader_drop_last": execution.ranks * parts > 1,
        "bf16": execution.precision == "bf16",
        "gradient_checkpointing": execution.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
    }


def train(trainer: Trainer, folder: Path) -> None:
    """Run a trainer to its end, from `folder`'s last whole checkpoint when there is one."""
    trainer.add_callback(MarkWhole(trainer.accelerator))
    last = last_whole(folder)
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
