"""What fewer vision tokens cost the embedded policy: training-free, after a short fine-tune, and resampled.

    python -m benchmarks.vision_tokens --part rules          # which token to keep: pixels, features, even, random
    python -m benchmarks.vision_tokens --part prune          # 1x … 16x without training
    python -m benchmarks.vision_tokens --part tune --steps 300       # pruned, and the unpruned control, trained on
    python -m benchmarks.vision_tokens --part resample --steps 300
    python -m benchmarks.vision_tokens --part table          # what --out holds so far, as Markdown

Negative log-likelihoods (nats a token) are of the validation labels, teacher-forced, with each clip's own images
and with another clip's; decisions (both axes right by the critic's deterministic grader) and ADE are of greedy
completions by the vLLM engine. Rows append to --out and are not measured twice; training starts from --policy with
the configuration's demonstrations, so every row saw the same clips in the same order.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from policy.backbone import load_backbone
from policy.compress import compress_policy
from policy.config_file import load_config
from policy.model_inputs import ImageEncoder
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec, VisionTokensSpec
from policy.tokenizer import TextCodec
from policy.vision_tokens import farthest_points
from scenes.store import ClipStore
from sft.config import SftConfig, StageConfig
from sft.data import split_store
from sft.examples import Examples
from sft.stages import clean_demonstrations, demonstrations, images_matter
from sft.trainer import run_stage

RATIOS = (1, 2, 4, 8, 16)
STAGE = StageConfig(kind="joint", steps=1, batch_size=16, learning_rate=5e-4)
DEADLINE_S = 3600.0
COLUMNS = (
    "image_tokens",
    "prompt_tokens",
    "text/nll",
    "text/shuffled_nll",
    "trajectory/nll",
    "decisions",
    "ade_m",
)


def tokens_of(kind: str, ratio: int, whole: int) -> VisionTokensSpec:
    """Specification of a row; whole: image tokens of a prompt without compression."""
    if kind == "resample":
        return VisionTokensSpec(kind="resample", scene_tokens=max(1, -(-whole // ratio)))
    return VisionTokensSpec(kind="prune", ratio=ratio) if ratio > 1 else VisionTokensSpec()


def driven(folder: Path, store: Path, clips: int, threads: int) -> dict[str, float]:
    """benchmarks.greedy_drives in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.greedy_drives", "--policy", folder, "--store", store]
    command += ["--clips", str(clips), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


class Bench:
    """Policy, clips and results file of one benchmark."""

    def __init__(self, options: argparse.Namespace) -> None:
        overrides = [f"data.folder={options.data}", f"threads={options.threads}", *options.override]
        self.config = load_config(SftConfig, options.config, overrides)
        self.policy, self.out = options.policy, options.out
        self.clips, self.drives = options.clips, options.drives
        self.out.mkdir(parents=True, exist_ok=True)
        self.results = self.out / "rows.jsonl"
        self.validation = split_store(self.config.data, "validation").resolve()
        torch.set_num_threads(options.threads)

    def rows(self) -> list[dict[str, Any]]:
        """What was measured so far."""
        if not self.results.exists():
            return []
        return [json.loads(line) for line in self.results.read_text().splitlines()]

    def missing(self, name: str) -> bool:
        """Whether a row is still to be measured."""
        return all(row["name"] != name for row in self.rows())

    def add(self, row: dict[str, Any]) -> None:
        """Append a row and show it."""
        with self.results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    def folder(self, name: str, tokens: VisionTokensSpec) -> Path:
        """A fresh compressed copy of the policy."""
        target = self.out / name.replace(" ", "-")
        shutil.rmtree(target, ignore_errors=True)
        compress_policy(self.policy, target, tokens)
        return target

    def likelihoods(self, folder: Path, model: Any) -> dict[str, float]:
        """Validation losses a token by section, own and shuffled images."""
        text = TextCodec.load(folder)
        store = ClipStore.open(self.validation)
        builder = PromptBuilder(PolicySpec.load(folder), text)
        examples = Examples(store, list(clean_demonstrations(store)), builder, text)
        return images_matter(model, examples, ImageEncoder(folder), STAGE, self.clips)

    def measure(self, name: str, folder: Path, **facts: Any) -> None:
        """Measure a folder and append its row."""
        spec = PolicySpec.load(folder)
        blocks, each = spec.image_blocks
        length = PromptBuilder(spec, TextCodec.load(folder)).length
        row = {"name": name, **facts, "image_tokens": blocks * each, "prompt_tokens": length}
        row |= self.likelihoods(folder, load_backbone(folder))
        if self.drives:
            row |= driven(folder, self.validation, self.drives, self.config.threads)
        self.add(row)

    def train(self, folder: Path, steps: int) -> None:
        """Go on with the joint stage in place."""
        text = TextCodec.load(folder)
        store = ClipStore.open(split_store(self.config.data, "train"))
        builder = PromptBuilder(PolicySpec.load(folder), text)
        examples = Examples(store, list(demonstrations(store, self.config)), builder, text)
        model = load_backbone(folder)
        stage = STAGE.model_copy(update={"steps": steps})
        scratch = folder.with_name(folder.name + "-training")
        shutil.rmtree(scratch, ignore_errors=True)
        run_stage(model, examples, ImageEncoder(folder), self.config, stage, scratch / "joint")
        model.save_pretrained(folder)


def rules(model: Any) -> dict[str, Callable[..., list[torch.Tensor]]]:
    """Other ways to choose than the policy's own."""
    generator = torch.Generator().manual_seed(0)

    def by_features(pixels: torch.Tensor, grid: torch.Tensor, counts: Sequence[int]) -> list[torch.Tensor]:
        merged = model.model.visual(pixels, grid_thw=grid).pooler_output
        rows = torch.nn.functional.normalize(merged, dim=-1).unflatten(0, (len(counts), -1))
        return list(farthest_points(rows, counts[0]))

    def evenly(pixels: torch.Tensor, grid: torch.Tensor, counts: Sequence[int]) -> list[torch.Tensor]:
        del pixels
        sizes = grid.prod(-1) // 4
        return [torch.arange(n) * int(size) // n for n, size in zip(counts, sizes, strict=True)]

    def randomly(pixels: torch.Tensor, grid: torch.Tensor, counts: Sequence[int]) -> list[torch.Tensor]:
        del pixels
        sizes = grid.prod(-1) // 4
        return [
            torch.randperm(int(size), generator=generator)[:n].sort().values
            for n, size in zip(counts, sizes, strict=True)
        ]

    return {"features": by_features, "even": evenly, "random": randomly}


def compare_rules(bench: Bench) -> None:
    """Likelihoods only: the engine knows no other rule than the policy's."""
    for ratio in RATIOS[1:]:
        for rule in ("pixels", "features", "even", "random"):
            name = f"rule {rule} {ratio}x"
            if not bench.missing(name):
                continue
            folder = bench.folder(name, VisionTokensSpec(kind="prune", ratio=ratio))
            model = load_backbone(folder)
            if rule != "pixels":
                model.model.choose = rules(model)[rule]
            bench.add({"name": name, "part": "rules", "ratio": ratio, **bench.likelihoods(folder, model)})
            shutil.rmtree(folder)


def compress_and_measure(bench: Bench, part: str, steps: int, ratios: Sequence[int]) -> None:
    """Rows of parts prune, tune and resample."""
    spec = PolicySpec.load(bench.policy)
    whole = spec.images * spec.cameras.tokens_per_image
    for ratio in ratios:
        name = f"{part} {ratio}x" + (f" {steps} steps" if part != "prune" else "")
        if not bench.missing(name):
            continue
        folder = bench.folder(name, tokens_of(part, ratio, whole))
        if part != "prune":
            bench.train(folder, steps)
        bench.measure(name, folder, part=part, ratio=ratio, steps=0 if part == "prune" else steps)


def table(bench: Bench) -> str:
    """All rows as a Markdown table."""
    lines = ["| row | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row in bench.rows():
        cells = [row.get(column) for column in COLUMNS]
        shown = ["–" if v is None else f"{v:.3f}" if isinstance(v, float) else str(v) for v in cells]
        lines.append(f"| {row['name']} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=("rules", "prune", "tune", "resample", "table"), required=True)
    parser.add_argument("--policy", type=Path, default=Path("runs/quickstart-sft/policy"))
    parser.add_argument("--config", type=Path, default=Path("configs/quickstart/sft.yaml"))
    parser.add_argument("--data", type=Path, default=Path("runs/data"))
    parser.add_argument("--out", type=Path, default=Path("runs/vision-tokens"))
    parser.add_argument("--ratios", type=int, nargs="+", default=RATIOS)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--clips", type=int, default=256, help="validation clips for likelihoods")
    parser.add_argument("--drives", type=int, default=256, help="validation clips to drive; 0: none")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("override", nargs="*", help="dotted overrides of the SFT configuration")
    options = parser.parse_args()
    bench = Bench(options)
    if options.part == "rules":
        compare_rules(bench)
    elif options.part == "table":
        print(table(bench))
    else:
        compress_and_measure(bench, options.part, options.steps, options.ratios)


if __name__ == "__main__":
    main()
