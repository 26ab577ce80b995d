"""The learner: TRL's trainer in a thread, one batch pushed and one answer taken a step.

Role: owns the trained weights. Lifecycle: construct → `train(batch)` per step → `weights()` after it → `save` /
`close`. Invariants: between `train` calls the trainer waits at a step boundary, so that weights and checkpoints
are of whole steps; an exception in the trainer reaches the caller of `train`, and the learner is then finished.
"""

from __future__ import annotations

import queue
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoProcessor, TrainerCallback
from trl import GRPOConfig

from policy.backbone import load_backbone
from policy.expert_spec import EXPERT_FOLDER
from rl.config import JobConfig
from rl.learner_batch import BatchMaker
from rl.push_trainer import PushGRPOTrainer
from rl.reference import load_reference
from rl.training_batch import TrainingBatch
from scenes.store import ClipStore

LEARNER_FOLDER = "learner"


class LearnerError(RuntimeError):
    """The trainer thread ended with an exception or did not answer in time."""


class _StopTrainingError(Exception):
    """Ends the trainer's loop from its intake."""


class Learner:
    """GRPO updates on pushed batches. resume: a checkpoint's learner folder, or None to start from the policy."""

    def __init__(self, config: JobConfig, store: Path, scratch: Path, resume: Path | None = None) -> None:
        torch.set_num_threads(config.learner.threads)
        self._config = config
        self._maker = BatchMaker(config.policy, ClipStore.open(store), config.seed)
        self._scratch = scratch
        self._inbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._outbox: queue.Queue[dict[str, float] | BaseException] = queue.Queue()
        self._logs: list[dict[str, float]] = []
        self._waiting = False
        self._trainer = self._build()
        self._thread = threading.Thread(target=self._run, args=(resume,), name="trainer", daemon=True)
        self._thread.start()
        self._answer("trainer start")

    def _build(self) -> PushGRPOTrainer:
        config, learner = self._config, self._config.learner
        dtype = torch.bfloat16 if learner.bf16 else torch.float32
        model = load_backbone(config.policy, dtype)
        return PushGRPOTrainer(
            model=model,
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            args=_arguments(config, self._scratch),
            train_dataset=Dataset.from_dict({"prompt": [""] * config.rollouts_per_step}),
            processing_class=AutoProcessor.from_pretrained(config.policy),
            callbacks=[_Logs(self._logs)],
            intake=self._intake,
            grammar=self._maker.grammar,
            sample_temperature=config.rollout.temperature,
            logp_bound=learner.logp_bound,
            reference=load_reference(config, dtype),
        )

    def _run(self, resume: Path | None) -> None:
        try:
            self._trainer.train(resume_from_checkpoint=str(resume) if resume else None)
            self._outbox.put(self._metrics())
        except _StopTrainingError:
            return
        except BaseException as error:
            self._outbox.put(error)
            raise

    def _intake(self) -> dict[str, Any]:
        self._outbox.put(self._metrics())
        batch = self._inbox.get()
        if batch is None:
            raise _StopTrainingError
        return batch

    def _metrics(self) -> dict[str, float]:
        names = {name for log in self._logs for name in log}
        merged = {
            name: float(np.mean([log[name] for log in self._logs if isinstance(log.get(name), int | float)]))
            for name in names
            if any(isinstance(log.get(name), int | float) for log in self._logs)
        }
        self._logs.clear()
        return merged

    def _answer(self, what: str) -> dict[str, float]:
        try:
            answer = self._outbox.get(timeout=self._config.learner.deadline_s)
        except queue.Empty as error:
            raise LearnerError(f"{what} took more than {self._config.learner.deadline_s} s") from error
        if isinstance(answer, BaseException):
            raise LearnerError(f"{what} failed: {answer}") from answer
        return answer

    def train(self, batch: TrainingBatch) -> dict[str, float]:
        """All updates of one step; returns TRL's scalars averaged over them. Raises LearnerError."""
        self._inbox.put(self._maker(batch))
        return self._answer(f"training step {batch.step}")

    def weights(self) -> dict[str, np.ndarray]:
        """float32 tensors by Hugging Face name, tied copies left out."""
        model = self._trainer.accelerator.unwrap_model(self._trainer.model)
        state = model.state_dict()
        tied = "lm_head.weight" if model.config.tie_word_embeddings else ""
        return {k: v.detach().float().cpu().numpy().copy() for k, v in state.items() if k != tied}

    @torch.no_grad()
    def score(self, clip_ids: list[str], ids: list[np.ndarray]) -> list[np.ndarray]:
        """Raw log-probabilities [L] (no mask, temperature 1) of ids after each clip's prompt: the probe that
        every weight sync is checked with."""
        inputs, mask = self._maker.model_inputs(clip_ids, ids)
        width = mask.shape[1]
        model = self._trainer.model.eval()
        inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
        logits = model(**inputs, logits_to_keep=width + 1).logits[:, :-1]
        model.train()
        table = torch.log_softmax(logits.float(), -1)
        chosen = table.gather(2, inputs["input_ids"][:, -width:, None]).squeeze(2)
        return [row[keep].numpy() for row, keep in zip(chosen.cpu(), mask, strict=True)]

    def save(self, folder: Path) -> None:
        """Write a resumable learner checkpoint under folder/learner. Call between `train` calls only."""
        trainer = self._trainer
        trainer._save_checkpoint(trainer.model, trial=None)
        made = self._scratch / f"checkpoint-{trainer.state.global_step}"
        shutil.move(made, folder / LEARNER_FOLDER)

    def save_policy(self, folder: Path) -> None:
        """Write a complete policy folder: the one training started from, with the current weights."""
        self._trainer.accelerator.unwrap_model(self._trainer.model).save_pretrained(folder)
        # Last, because the trainer changed the special tokens of its own copy of the config.
        weights = shutil.ignore_patterns("*.safetensors*")
        shutil.copytree(self._config.policy, folder, dirs_exist_ok=True, ignore=weights)
        expert = self._config.policy / EXPERT_FOLDER
        if expert.is_dir():
            shutil.copytree(expert, folder / EXPERT_FOLDER, dirs_exist_ok=True)

    def close(self) -> None:
        """End the trainer thread."""
        self._inbox.put(None)
        self._thread.join(timeout=30)


class _Logs(TrainerCallback):
    def __init__(self, logs: list[dict[str, float]]) -> None:
        self._logs = logs

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kw: Any
    ) -> None:
        del args, state, control, kw
        if logs and "train_runtime" not in logs:  # the trainer's farewell is no step's scalar
            self._logs.append(dict(logs))


def _arguments(config: JobConfig, scratch: Path) -> GRPOConfig:
    learner = config.learner
    return GRPOConfig(
        output_dir=str(scratch),
        max_steps=config.steps * learner.updates_per_step,
        per_device_train_batch_size=learner.micro_batch,
        gradient_accumulation_steps=config.micro_batches // learner.updates_per_step,
        steps_per_generation=config.micro_batches,
        num_generations=config.rollout.group_size,
        max_completion_length=4096,
        learning_rate=learner.learning_rate,
        lr_scheduler_type="constant_with_warmup" if learner.schedule == "constant" else learner.schedule,
        warmup_steps=learner.warmup_steps,
        adam_beta2=learner.adam_beta2,
        weight_decay=learner.weight_decay,
        max_grad_norm=learner.gradient_clip,
        optim="adamw_torch",
        epsilon=learner.epsilon_low,
        epsilon_high=learner.epsilon_high,
        loss_type=learner.loss_type,
        temperature=config.rollout.temperature,
        bf16=learner.bf16,
        use_cpu=not torch.cuda.is_available(),
        deepspeed=str(learner.deepspeed) if learner.deepspeed else None,
        seed=config.seed,
        logging_steps=1,
        save_strategy="no",
        ignore_data_skip=True,
        gradient_checkpointing=False,
        report_to=[],
        disable_tqdm=True,
    )
