"""All supervised stages, from clips to a policy folder.

Role: builds the embedded policy and its data, runs the stages in order, and checks that images matter.
Invariants: a finished stage is not run again, an interrupted one resumes; `policy/` appears only when the last
stage is done; validation clips are never trained on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import torch

from policy.backbone import Backbone, load_backbone
from policy.config_file import dump_config
from policy.embedded import build_embedded
from policy.model_inputs import ImageEncoder
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from scenes.clip import Demonstration
from scenes.imperfection import ImperfectionConfig, demonstrate
from scenes.store import ClipStore
from sft.config import SftConfig, StageConfig
from sft.corpus import corpus
from sft.data import split_store
from sft.examples import Examples, Section
from sft.loss import section_losses
from sft.trainer import Collator, run_stage
from sft.vision import warm_up

matplotlib.use("Agg")


def demonstrations(store: ClipStore, config: SftConfig) -> Iterator[Demonstration]:
    """Imperfect demonstrations of every clip, by the configured noise."""
    noise = ImperfectionConfig(**config.noise.model_dump())
    for index in range(len(store)):
        yield demonstrate(store[index], noise, config.seed)


def clean_demonstrations(store: ClipStore) -> Iterator[Demonstration]:
    """The label and the expert themselves: what validation is measured against."""
    for index in range(len(store)):
        clip = store[index]
        if clip.label is None:
            raise ValueError(f"clip {clip.clip_id} has no label; supervised stages need labelled clips")
        yield Demonstration(clip.clip_id, clip.label.text, clip.actions, text_is_wrong=False)


def run_sft(config: SftConfig) -> Path:
    """Run what is left of the configured stages; returns the policy folder."""
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
        _build(config, start)
    text = TextCodec.load(start)
    builder = PromptBuilder(PolicySpec.load(start), text)
    encoder = ImageEncoder(start)
    examples = Examples(train, list(demonstrations(train, config)), builder, text)
    held_out = Examples(validation, list(clean_demonstrations(validation)), builder, text)
    model = load_backbone(start)
    for index, stage in enumerate(config.stages):
        stage_folder = folder / f"stage-{index}-{stage.kind}"
        done = stage_folder / "done"
        if done.is_dir():
            model = load_backbone(done)
            continue
        if stage.kind == "vision":
            stage_folder.mkdir(exist_ok=True)
            report = warm_up(model, builder, encoder, train, validation, config, stage)
        else:
            run_stage(model, examples, encoder, config, stage, stage_folder)
            report = images_matter(model, held_out, encoder, stage, config.validation_clips)
        with (folder / "validation.jsonl").open("a") as file:
            file.write(json.dumps({"stage": stage_folder.name, **report}) + "\n")
        _save_whole(model, done)
    loss_curve(folder)
    partial = folder / ".policy"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(start, partial)
    model.save_pretrained(partial)
    partial.rename(final)
    return final


def _save_whole(model: Backbone, folder: Path) -> None:
    partial = folder.with_name("." + folder.name)
    model.save_pretrained(partial)
    partial.rename(folder)


def _build(config: SftConfig, folder: Path) -> None:
    policy = config.policy
    build_embedded(
        folder,
        corpus(),
        size=policy.size,
        future=policy.future,
        history=policy.history,
        prompt=policy.prompt,
        cameras=policy.cameras(config.data),
        max_text=policy.max_text,
        vision_tokens=policy.vision_tokens,
        seed=config.seed,
    )


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
            sections = inputs.pop("sections")
            losses = section_losses(model, inputs, sections, examples.vocabulary)
            for section, (loss, _) in losses.items():
                totals.setdefault(section, []).append(float(loss))
        for section, values in totals.items():
            result[f"{section.name.lower()}/{suffix}"] = float(np.mean(values))
    model.train()
    return result


def loss_curve(folder: Path) -> Path:
    """Draw losses.jsonl as loss_curve.png: loss of each section over all stages."""
    from matplotlib import pyplot

    rows = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    figure, axis = pyplot.subplots(figsize=(8, 4), dpi=120)
    for name, colour in (("text/nll", "#7a5cc9"), ("trajectory/nll", "#2f7dd1")):
        offset, xs, ys = 0.0, [], []
        for stage in stages:
            mine = [row for row in rows if row["stage"] == stage]
            xs += [offset + row["step"] for row in mine if name in row]
            ys += [row[name] for row in mine if name in row]
            offset += max(row["step"] for row in mine)
        axis.plot(xs, ys, color=colour, label=name)
    axis.set(xlabel="optimiser step over all stages", ylabel="nats per token", title=" → ".join(stages))
    axis.legend()
    axis.grid(alpha=0.3)
    path = folder / "loss_curve.png"
    figure.savefig(path, bbox_inches="tight")
    pyplot.close(figure)
    return path
