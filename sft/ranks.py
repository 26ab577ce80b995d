"""A stage on several ranks: plain data parallel, or DeepSpeed ZeRO-1/2/3 through accelerate.

Role: starts one process a rank on this machine for one stage, and brings the trained weights back. Invariants: the
ranks share one global batch, so the losses are those of one rank up to rounding; DeepSpeed that was asked for is
running, or it is an error; no rank outlives the command, and none waits for another beyond its deadline.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import warnings
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing
from transformers import TrainerCallback, TrainingArguments

from policy.backbone import load_backbone
from policy.model_inputs import ImageEncoder
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from scenes.store import ClipStore
from sft.config import SftConfig, StageConfig
from sft.data import split_store
from sft.demonstrations import demonstrations
from sft.examples import Examples
from sft.lora import ADAPTER_FOLDER, merge_saved
from sft.trainer import StageTrainer, stage_trainer, step_arguments, train, training_arguments

TRAINED_FOLDER = ".trained"
BEGIN_FOLDER = ".begin"
ENGINE = "DeepSpeedEngine"


@dataclass(frozen=True)
class RankJob:
    """What every rank of one stage is told. config: SftConfig as JSON; stage: its number; folder: the stage's;
    port: where rank 0 listens on loopback."""

    config: str
    stage: int
    folder: Path
    port: int


def check_execution(config: SftConfig) -> None:
    """Raise ValueError, naming the fix, for options that this machine or environment cannot carry out."""
    execution, gpus = config.execution, torch.cuda.device_count()
    if gpus > 1 and execution.ranks == 1:
        raise ValueError(
            f"{gpus} GPUs are visible and execution.ranks is 1; set execution.ranks={gpus}, or "
            "CUDA_VISIBLE_DEVICES to one of them"
        )
    if gpus and execution.ranks > gpus:
        raise ValueError(f"execution.ranks={execution.ranks}, but only {gpus} GPUs are visible")
    if execution.deepspeed is not None:
        zero_stage(execution.deepspeed)
    if execution.precision == "bf16":
        if gpus and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise ValueError(
                f"{torch.cuda.get_device_name()} has no bfloat16 arithmetic; set execution.precision=fp32"
            )
        if not gpus and execution.deepspeed is not None:
            raise ValueError(
                "transformers refuses bf16 under DeepSpeed without a GPU; set execution.precision=fp32, or leave "
                "execution.deepspeed out"
            )
    if any(stage.lora for stage in config.stages) and importlib.util.find_spec("peft") is None:
        raise ValueError("a stage with lora needs peft; install it with pip install 'ar1-rl[lora]'")


def zero_stage(path: Path) -> int:
    """ZeRO stage of a DeepSpeed file. Raises ValueError when it is missing, malformed or names none."""
    if not path.is_file():
        raise ValueError(f"no DeepSpeed configuration at {path}; the ready ones are in configs/deepspeed/")
    try:
        stage = json.loads(path.read_text())["zero_optimization"]["stage"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no DeepSpeed configuration with zero_optimization.stage") from error
    if stage not in (1, 2, 3):
        raise ValueError(f"{path} asks for ZeRO stage {stage!r}; 1, 2 and 3 shard something")
    return int(stage)


def train_in_ranks(model: Any, config: SftConfig, stage: StageConfig, folder: Path) -> None:
    """`sft.trainer.run_stage` in config.execution.ranks processes, each with examples of its own making; the model
    takes the weights they end with.

    Raises ChildProcessError, with the rank's traceback, when one fails.
    """
    begin, trained = folder / BEGIN_FOLDER, folder / TRAINED_FOLDER
    if not begin.is_dir():
        partial = folder / (BEGIN_FOLDER + "-partial")
        model.save_pretrained(partial)
        partial.rename(begin)
    shutil.rmtree(trained, ignore_errors=True)
    job = RankJob(config.model_dump_json(), config.stages.index(stage), folder, _free_port())
    try:
        torch.multiprocessing.spawn(_rank, (job,), config.execution.ranks)
    except (
        torch.multiprocessing.ProcessRaisedException,
        torch.multiprocessing.ProcessExitedException,
    ) as error:
        raise ChildProcessError(f"a rank of {folder.name} failed: {error}") from error
    if stage.lora is not None:
        merge_saved(model, folder / ADAPTER_FOLDER)
    else:
        model.load_state_dict(load_backbone(trained).state_dict())
    for left_over in (begin, trained):
        shutil.rmtree(left_over, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _rank(rank: int, job: RankJob) -> None:
    config = SftConfig.model_validate_json(job.config)
    stage = config.stages[job.stage]
    ranks = str(config.execution.ranks)
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=ranks,
        LOCAL_WORLD_SIZE=ranks,
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(job.port),
    )
    torch.set_num_threads(config.threads)
    # Before the weights are read: ZeRO-3 shards them while they are.
    arguments = _arguments(config, stage, job.folder)
    model = load_backbone(job.folder / BEGIN_FOLDER)
    start = config.folder / "start"
    text, encoder = TextCodec.load(start), ImageEncoder(start)
    store = ClipStore.open(split_store(config.data, "train"))
    builder = PromptBuilder(PolicySpec.load(start), text)
    examples = Examples(store, list(demonstrations(store, config)), builder, text)
    trainer = stage_trainer(model, examples, encoder, config, stage, job.folder, arguments)
    if config.execution.deepspeed is not None:
        trainer.add_callback(EngineRuns(trainer, zero_stage(config.execution.deepspeed)))
    train(trainer, job.folder)
    _hand_over(trainer, stage, job.folder)
    trainer.accelerator.wait_for_everyone()
    torch.distributed.destroy_process_group()


def _arguments(config: SftConfig, stage: StageConfig, folder: Path) -> TrainingArguments:
    """Trainer's arguments on this rank, with its process group made."""
    execution = config.execution
    more = step_arguments(config, stage)
    if execution.deepspeed is not None:
        more["deepspeed"] = str(execution.deepspeed)
    if torch.cuda.is_available():
        return training_arguments(
            config, stage, folder, ddp_timeout=max(1, round(execution.rank_timeout_s)), **more
        )
    # accelerate takes no notice of a DeepSpeed configuration where it is told to use a CPU, and without one it
    # looks for a GPU; so the device is named, the group is made first, and use_cpu stays off.
    deepspeed = execution.deepspeed is not None
    if deepspeed:
        os.environ.pop("ACCELERATE_USE_CPU", None)
        os.environ.update(
            DS_ACCELERATOR="cpu", ACCELERATE_TORCH_DEVICE="cpu", ACCELERATE_USE_DEEPSPEED="true"
        )
        _calm_deepspeed()
    from accelerate import PartialState

    PartialState(cpu=not deepspeed, backend="gloo", timeout=timedelta(seconds=execution.rank_timeout_s))
    configured = {"use_configured_state": True}
    return training_arguments(
        config, stage, folder, use_cpu=not deepspeed, accelerator_config=configured, **more
    )


def _calm_deepspeed() -> None:
    """Let DeepSpeed use gloo as it is. It would compile an operator of its own for shared memory at first use, for
    minutes and with a compiler, and a rank killed meanwhile leaves a lock that every later rank waits for without
    end."""
    import deepspeed.ops

    deepspeed.ops.__compatible_ops__ = {}
    # Said at every exchange of every step; only DeepSpeed can act on it.
    warnings.filterwarnings("ignore", message="`torch.distributed", category=FutureWarning)


def _hand_over(trainer: StageTrainer, stage: StageConfig, folder: Path) -> None:
    """Write the trained weights, or the adapters, where `train_in_ranks` looks for them; all ranks take part."""
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model)
        if model.config.tie_word_embeddings:
            state.pop("lm_head.weight", None)
        where = TRAINED_FOLDER if stage.lora is None else ADAPTER_FOLDER
        model.save_pretrained(folder / where, state_dict=state)


class EngineRuns(TrainerCallback):
    """Stops a stage whose model DeepSpeed does not hold, or not in the ZeRO stage asked for: accelerate leaves a
    configuration out silently in some settings."""

    def __init__(self, trainer: StageTrainer, zero: int) -> None:
        self._trainer, self._zero = trainer, zero

    def on_train_begin(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        """Raise RuntimeError unless the engine is the wanted one."""
        del args, state, control, kw
        engine = self._trainer.model_wrapped
        if type(engine).__name__ != ENGINE or engine.zero_optimization_stage() != self._zero:
            raise RuntimeError(
                f"DeepSpeed ZeRO-{self._zero} was asked for, but {type(engine).__name__} trains"
            )
