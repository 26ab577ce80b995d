"""`ar1 checkpoint`: released checkpoints, read, checked, converted and merged."""

from __future__ import annotations

import enum
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from rl.commands import checkpoint_options as shared
from rl.commands.console import console, print_json

if TYPE_CHECKING:
    from policy.checkpoint_convert import Conversion

app = typer.Typer(no_args_is_help=True, help="Read, check, convert and merge Alpamayo checkpoints.")


class Target(enum.StrEnum):
    """Layout to write."""

    POLICY = "policy"
    RELEASE = "release"


@app.callback()
def checkpoint() -> None:
    """Layouts: `release` (Alpamayo-R1, 1.5), `backbone` (the same without expert), `policy` (a plain Qwen3-VL)."""


@app.command()
def inspect(
    folder: shared.Folder,
    base: shared.Base = None,
    stated: shared.Stated = None,
    as_json: shared.AsJson = False,
) -> None:
    """Say what a checkpoint is: parts, sizes, dtypes, ids and action statistics. Reads headers only.

    Example: ar1 checkpoint inspect Alpamayo-R1-10B
    """
    from policy.checkpoint import open_checkpoint
    from policy.checkpoint_inspect import inspect as describe

    content = describe(open_checkpoint(folder, base, shared.parse_stated(stated)))
    if as_json:
        print_json(content)
        return
    console.print(shared.parts_table(content))
    console.print(f"backbone: {content['backbone']}", soft_wrap=True)
    for key, value in content["config"].items():
        console.print(f"{key}: {'not stated' if value is None else value}", soft_wrap=True)
    for key in content["not stated"]:
        console.print(f"[yellow]not stated[/] {key}", soft_wrap=True)
    for line in content["findings"]:
        console.print(escape(line), style="yellow", soft_wrap=True)


@app.command()
def verify(
    folder: shared.Folder,
    base: shared.Base = None,
    stated: shared.Stated = None,
    class_defaults: shared.ClassDefaults = False,
    backbone_only: Annotated[
        bool, typer.Option(help="Expect no expert, although config.json describes one.")
    ] = False,
    values: Annotated[bool, typer.Option(help="Also read every weight; count NaN and infinities.")] = False,
    as_json: shared.AsJson = False,
) -> None:
    """Check that a checkpoint is whole: every tensor, shape, dtype, id and file beside the weights.

    Names what is missing, misnamed, misshapen, cut or unused. Loaders and exporters mostly do not look: they go on
    with random weights. Exits with 1 when anything is wrong.

    Example: ar1 checkpoint verify Alpamayo-R1-10B --base Qwen3-VL-8B-Instruct
    """
    from policy.checkpoint import open_checkpoint
    from policy.checkpoint_verify import verify as check

    opened = open_checkpoint(folder, base, shared.parse_stated(stated), class_defaults, backbone_only)
    total = sum(tensor.nbytes for tensor in opened.tensors.values())
    with shared.byte_bar("reading", total, as_json or not values) as told:
        findings = check(opened, values, told)
    shared.show_findings(findings, folder, as_json)


@app.command()
def convert(
    source: shared.Folder,
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    to: Annotated[Target, typer.Option(help="policy: for vLLM, transformers and training; release: back.")],
    base: shared.Base = None,
    stated: shared.Stated = None,
    class_defaults: shared.ClassDefaults = False,
    backbone_only: Annotated[bool, typer.Option(help="The source holds no expert.")] = False,
    cameras: Annotated[
        str | None,
        typer.Option(help="policy: cameras by name, comma-separated (default: the release's four)."),
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="policy: frames of each camera.")] = 4,
    image_size: Annotated[str, typer.Option(help="policy: width x height in pixels.")] = "576x320",
    max_text: Annotated[int, typer.Option(min=1, help="policy: reasoning budget in tokens.")] = 256,
    vlm: Annotated[str | None, typer.Option(help="release: vlm_name_or_path to write.")] = None,
    trim_padding: shared.Trim = False,
    cast: shared.Cast = None,
    as_json: shared.AsJson = False,
) -> None:
    """Write a checkpoint in another layout, streaming: memory does not grow with the model.

    Tensors keep their bytes unless --cast or --trim-padding is given; a release converted to a policy and back has
    its original files. The target appears whole or not at all.

      ar1 checkpoint convert Alpamayo-R1-10B r1-policy --to policy --base Qwen3-VL-8B-Instruct --class-defaults

      ar1 checkpoint convert r1-policy r1-again --to release
    """
    from policy.checkpoint import open_checkpoint
    from policy.checkpoint_convert import Changes, to_policy, to_release
    from policy.release.policy_spec import PolicyOptions

    opened = open_checkpoint(source, base, shared.parse_stated(stated), class_defaults, backbone_only)
    changes = Changes(trim_padding, cast)
    total = sum(tensor.nbytes for tensor in opened.tensors.values())
    with shared.byte_bar("writing", total, as_json) as told:
        if to is Target.POLICY:
            options = PolicyOptions(shared.parse_cameras(cameras, frames, image_size), max_text)
            written = to_policy(opened, out, options, changes, told)
        else:
            written = to_release(opened, out, changes, vlm, told)
    _show(written, as_json)


@app.command()
def merge(
    out: Annotated[Path, typer.Argument(help="Release folder to write; must not exist.")],
    release: Annotated[Path, typer.Option(help="Release (or policy made of one) whose expert is kept.")],
    backbone: Annotated[Path, typer.Option(help="Trained policy folder or backbone export.")],
    base: shared.Base = None,
    trim_padding: shared.Trim = False,
    cast: shared.Cast = None,
    as_json: shared.AsJson = False,
) -> None:
    """Put an RL-trained backbone back under a release's expert.

    Refuses a backbone of another architecture, vocabulary or codec, and says how many tensors training changed.
    The expert was trained on the old backbone's cache: train it on (`ar1 sft` stage expert) before you trust it.

    Example: ar1 checkpoint merge --release Alpamayo-R1-10B --backbone runs/mine/policy --cast bfloat16 r1-mine
    """
    from policy.checkpoint import open_checkpoint
    from policy.checkpoint_convert import Changes
    from policy.checkpoint_merge import merge as join

    kept = open_checkpoint(release, base)
    trained = open_checkpoint(backbone, base, backbone_only=True)
    joined = {**kept.tensors, **trained.tensors}
    total = sum(tensor.nbytes for tensor in joined.values())
    with shared.byte_bar("writing", total, as_json) as told:
        written = join(kept, trained, out, Changes(trim_padding, cast), told)
    _show(written, as_json)


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(help="Folder that gets release/ and base/.")],
    shards: Annotated[int, typer.Option(min=1, help="Number of weight files.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the random weights.")] = 0,
    model_type: Annotated[str, typer.Option(help="alpamayo_r1 or alpamayo1_5.")] = "alpamayo_r1",
    as_json: shared.AsJson = False,
) -> None:
    """Write a 3 MB checkpoint of random weights in the exact release layout, to try the other commands on.

    ar1 checkpoint sample /tmp/sample

    ar1 checkpoint convert /tmp/sample/release /tmp/sample/policy --to policy
    --cameras front_wide,front_tele --frames 1 --image-size 96x64
    """
    from policy.release.config import RELEASE_TYPES
    from policy.release.findings import CheckpointError
    from policy.release.sample import build_sample

    if model_type not in RELEASE_TYPES:
        raise CheckpointError(f"--model-type takes one of {sorted(RELEASE_TYPES)}, not {model_type!r}")
    made = build_sample(out, shards=shards, seed=seed, model_type=model_type)
    if as_json:
        print_json({"release": str(made.release), "base": str(made.base)})
    else:
        console.print(f"wrote {made.release} and {made.base}", soft_wrap=True)


def _show(written: Conversion, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(written), "folder": str(written.folder)})
        return
    size = f"{written.tensors} tensors, {written.nbytes / 1e6:.1f} MB"
    console.print(f"wrote {written.folder}: {size}", soft_wrap=True)
    for note in written.notes:
        console.print(f"[yellow]note[/] {escape(note)}", soft_wrap=True)
