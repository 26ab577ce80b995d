"""`ar1 drive`: texts of one clip, and where each decoder goes from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from policy.config_file import load_config
from policy.flow_options import FlowOptions, Integrator
from rl.commands.console import console, print_json
from sft.config import SftConfig


def drive(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Dotted overrides of the file's data.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file whose `data` names the clips.")] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="Policy folder with an expert (default: runs/<name>/policy of the file)."),
    ] = None,
    split: Annotated[str, typer.Option(help="Which clips: train, pool, validation or test.")] = "validation",
    clip: Annotated[str, typer.Option(help="Clip id, or its number in the split.")] = "0",
    samples: Annotated[int, typer.Option(min=1, help="Texts to sample.")] = 6,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.6,
    steps: Annotated[int, typer.Option(min=1, help="Flow steps.")] = 10,
    method: Annotated[Integrator, typer.Option(help="How the flow is followed.")] = Integrator.EULER,
    guidance: Annotated[float, typer.Option(help="Classifier-free guidance; 1 is none.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of texts and noise.")] = 0,
    out: Annotated[Path, typer.Option(help="Where drive.png and drive.json go.")] = Path("runs/drive"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON line.")] = False,
) -> None:
    """Drive one clip: sample texts, decode each text's own trajectory tokens, and let the flow expert drive it
    too.

    Images and prompt are computed once for all samples and both decoders. Writes a picture (cameras, texts, both
    fans of trajectories, the expert dashed) and a JSON file with every trajectory.

    Example: ar1 drive --config configs/quickstart/expert.yaml --clip 3
    """
    resolved = load_config(SftConfig, config, overrides or [])
    from policy.planner import Planner
    from policy.prompt import PromptBuilder
    from policy.tokenizer import TextCodec
    from rl.drive_picture import write_drive_picture
    from rl.drive_result import as_json as result_json
    from rl.drive_result import drive_clip
    from scenes.store import ClipStore
    from sft.data import split_store

    folder = policy or resolved.folder / "policy"
    planner = Planner(folder)
    builder = PromptBuilder(planner.spec, TextCodec.load(folder))
    store = ClipStore.open(split_store(resolved.data, split))
    chosen = store[int(clip) if clip.isdecimal() else store.index(clip)]
    result = drive_clip(
        planner, builder, chosen, samples, temperature, seed, FlowOptions(steps, method, guidance)
    )
    out.mkdir(parents=True, exist_ok=True)
    picture = write_drive_picture(result, out / "drive.png")
    data = result_json(result) | {"policy": str(folder), "picture": str(picture)}
    written = out / "drive.json"
    written.write_text(_dumps(data))
    if as_json:
        print_json(data)
        return
    for sample in data["samples"]:
        ade = sample["ade"]
        known = "–" if ade["discrete"] is None else f"{ade['discrete']:.2f}"
        console.print(f"ADE m: discrete {known}, flow {ade['flow']:.2f}   {sample['text']}", highlight=False)
    console.print(f"label: {data['label']}\npicture: {picture}\ntrajectories: {written}")


def _dumps(data: object) -> str:
    import json

    return json.dumps(data, indent=1) + "\n"
