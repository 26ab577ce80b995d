"""All supervised stages, from clips to a policy folder.

Role: builds the embedded policy (or goes on from a given one) and its data, runs the stages in order, and checks
that images matter.
Invariants: a finished stage is not run again, an interrupted one resumes; `policy/` appears only when the last
stage is done; validation clips are never trained on.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import torch

from policy.backbone import Backbone, load_backbone
from policy.config_file import dump_config
from policy.expert_model import ExpertModel
from policy.model_inputs import ImageEncoder
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from scenes.store import ClipStore
from sft.config import SftConfig, StageConfig
from sft.data import split_store
from sft.demonstrations import clean_demonstrations, demonstrations
from sft.examples import Examples, Section
from sft.expert_stage import expert_figures, run_expert_stage, start_expert
from sft.loss import section_losses
from sft.new_policy import new_policy
from sft.ranks import check_execution, train_in_ranks
from sft.trainer import Collator, run_stage
from sft.vision import warm_up

matplotlib.use("Agg")


def run_sft(config: SftConfig) -> Path:
    """Run what is left of the configured stages; returns the policy folder."""
    check_execution(config)
    torch.set_num_threads(config.threads)
    folder = config.folder
    final = folder / "policy"
    if final.is_dir():
        return final
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(dump_config(config))
    train = ClipStore.open(split_store(config.data, "train"))
    validation = ClipStore.open(split_store(config.data, "validation"))
    start = folder / "start"
    if not (start / "model.safetensors").is_file():
        _start(config, start)
    text = TextCodec.load(start)
    builder = PromptBuilder(PolicySpec.load(start), text)
    encoder = ImageEncoder(start)
    examples = Examples(train, list(demonstrations(train, config)), builder, text)
    held_out = Examples(validation, list(clean_demonstrations(validation)), builder, text)
    model, expert = load_backbone(start), None
    for index, stage in enumerate(config.stages):
        stage_folder = folder / f"stage-{index}-{stage.kind}"
        done = stage_folder / "done"
        if done.is_dir():
            model = load_backbone(done)
            expert = ExpertModel.load(done) if stage.kind == "expert" else None
            continue
        if stage.kind == "vision":
            stage_folder.mkdir(exist_ok=True)
            report = warm_up(model, builder, encoder, train, validation, config, stage)
        elif stage.kind == "expert":
            expert = start_expert(start, stage.expert, examples.actions, config.seed)
            run_expert_stage(model, expert, examples, encoder, config, stage, stage_folder)
            report = expert_figures(model, expert, held_out, encoder, config.validation_clips, config.seed)
        else:
            if config.execution.launches:
                train_in_ranks(model, config, stage, stage_folder)
            else:
                run_stage(model, examples, encoder, config, stage, stage_folder)
            report = images_matter(model, held_out, encoder, stage, config.validation_clips)
        with (folder / "validation.jsonl").open("a") as file:
            file.write(json.dumps({"stage": stage_folder.name, **report}) + "\n")
        _save_whole(model, expert, done)
    loss_curve(folder)
    partial = folder / ".policy"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(start, partial)
    _save(model, expert, partial)
    partial.rename(final)
    return final


def _save(model: Backbone, expert: ExpertModel | None, folder: Path) -> None:
    model.save_pretrained(folder)
    if expert is not None:
        expert.save(folder)


def _save_whole(model: Backbone, expert: ExpertModel | None, folder: Path) -> None:
    partial = folder.with_name("." + folder.name)
    _save(model, expert, partial)
    partial.rename(folder)


def _start(config: SftConfig, folder: Path) -> None:
    """The policy folder that the first stage starts from: a copy of the configured one, or one from scratch."""
    if config.start is not None:
        PolicySpec.load(config.start)
        partial = folder.with_name(".start")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(config.start, partial)
        partial.rename(folder)
        return
    new_policy(folder, config.policy, config.data, config.seed)


@torch.no_grad()
def images_matter(
    model: Backbone,
    examples: Examples,
    encoder: ImageEncoder,
    stage: StageConfig,
    clips: int,
) -> dict[str, float]:
    """Validation loss a token by section, with each clip's own images and with another clip's.

    A policy that ignores its images has `<section>/shuffled_nll` equal to `<section>/nll`.
    """
    count = min(clips, len(examples))
    shifted = np.roll(np.arange(len(examples)), len(examples) // 2)
    model.eval()
    result: dict[str, float] = {}
    for suffix, images_of in (("nll", None), ("shuffled_nll", shifted)):
        collate = Collator(examples, encoder, stage.kind, images_of, stage.wording)
        totals: dict[Section, list[float]] = {}
        for first in range(0, count, 32):
            inputs = collate(list(range(first, min(first + 32, count))))
            inputs = {name: value.to(model.device) for name, value in inputs.items()}
            sections = inputs.pop("sections")
            losses = section_losses(model, inputs, sections, examples.vocabulary)
            for section, (loss, _) in losses.items():
                totals.setdefault(section, []).append(float(loss))
        for section, values in totals.items():
            result[f"{section.name.lower()}/{suffix}"] = float(np.mean(values))
    model.train()
    return result


def loss_curve(folder: Path) -> Path:
    """Draw losses.jsonl as loss_curve.png: loss of each section, and of the flow, over all stages."""
    from matplotlib import pyplot

    rows = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    figure, axis = pyplot.subplots(figsize=(8, 4), dpi=120)
    series = (("text/nll", "#7a5cc9"), ("trajectory/nll", "#2f7dd1"), ("flow/loss", "#2a9d7c"))
    for name, colour in series:
        offset, xs, ys = 0.0, [], []
        for stage in stages:
            mine = [row for row in rows if row["stage"] == stage]
            xs += [offset + row["step"] for row in mine if name in row]
            ys += [row[name] for row in mine if name in row]
            offset += max(row["step"] for row in mine)
        if xs:
            axis.plot(xs, ys, color=colour, label=name)
    axis.set(
        xlabel="optimiser step over all stages",
        ylabel="nats per token; flow: squared error",
        title=" → ".join(stages),
    )
    axis.legend()
    axis.grid(alpha=0.3)
    path = folder / "loss_curve.png"
    figure.savefig(path, bbox_inches="tight")
    pyplot.close(figure)
    return path
