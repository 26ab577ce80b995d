"""Files beside the weights, without which a loader fails, or falls back and answers nonsense.

Role: writes and checks tokenizer, image processor and chat template of a policy folder. Invariant: a folder that
passes holds everything that transformers, vLLM, TensorRT-LLM and the edge exporter read. (A missing chat template
is replaced by a fallback without images: the model then reasons about nothing and still drives.)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from policy.release.findings import Finding
from policy.spec import CameraSpec
from policy.tokenizer import TOKENIZER_FILE

IMAGE_PROCESSOR = "preprocessor_config.json"
VIDEO_PROCESSOR = "video_preprocessor_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
TEMPLATE = "chat_template.jinja"
IMAGE_TOKEN = "<|image_pad|>"
SIDECARS = (TOKENIZER_FILE, TOKENIZER_CONFIG, IMAGE_PROCESSOR, VIDEO_PROCESSOR, TEMPLATE)


def base_template(base: Path | None) -> str:
    """Chat template of a base folder, in any of its three places; the embedded policy's where there is none."""
    from policy.embedded import CHAT_TEMPLATE  # brings torch along

    if base is None:
        return CHAT_TEMPLATE
    if (base / TEMPLATE).is_file():
        return (base / TEMPLATE).read_text()
    for name in ("chat_template.json", TOKENIZER_CONFIG):
        if (base / name).is_file():
            found = json.loads((base / name).read_text()).get("chat_template")
            if isinstance(found, str):
                return found
    return CHAT_TEMPLATE


def write_sidecars(
    folder: Path,
    tokenizer: Tokenizer,
    base: Path | None,
    cameras: CameraSpec,
    pixels: tuple[int, int] | None,
    vision: Mapping[str, Any],
) -> None:
    """Tokenizer, processors and chat template of a policy folder.

    base: whose image processor and template are taken; pixels: least and most pixels of an image, None for the
    cameras' own; vision: the backbone's vision_config.
    """
    from policy.embedded import write_processor  # brings torch along

    write_processor(folder, cameras)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    (folder / TEMPLATE).write_text(base_template(base))
    sizes = {
        "patch_size": vision["patch_size"],
        "temporal_patch_size": vision["temporal_patch_size"],
        "merge_size": vision["spatial_merge_size"],
    }
    for name in (IMAGE_PROCESSOR, VIDEO_PROCESSOR):
        content = json.loads((folder / name).read_text()) | sizes
        if base is not None and (base / name).is_file():
            content = json.loads((base / name).read_text())
        if pixels is not None and name == IMAGE_PROCESSOR:
            content["size"] = {"shortest_edge": pixels[0], "longest_edge": pixels[1]}
            older = dict(zip(("min_pixels", "max_pixels"), pixels, strict=True))
            content |= {key: value for key, value in older.items() if key in content}
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")


def sidecar_findings(folder: Path, required: bool, image_token: int | None = None) -> list[Finding]:
    """What a folder lacks of tokenizer, processors and template.

    required False: as warnings, for a folder whose sidecars come from elsewhere. image_token: id that the
    configuration gives to <|image_pad|>.
    """
    found = []
    for name in SIDECARS:
        if not (folder / name).is_file():
            text = (
                "absent; loaders fail, or fall back without a word. Copy it from the base, or convert again"
            )
            found.append(Finding("missing sidecar", name, text, error=required))
    if (folder / TEMPLATE).is_file() and IMAGE_TOKEN not in (folder / TEMPLATE).read_text():
        text = f"does not know images (no {IMAGE_TOKEN}): prompts would silently lose the cameras"
        found.append(Finding("wrong sidecar", TEMPLATE, text))
    if image_token is not None and (folder / TOKENIZER_FILE).is_file():
        token = Tokenizer.from_file(str(folder / TOKENIZER_FILE)).token_to_id(IMAGE_TOKEN)
        if token != image_token:
            text = f"gives {IMAGE_TOKEN} the id {token}, config.json {image_token}"
            found.append(Finding("wrong sidecar", TOKENIZER_FILE, text))
    return found
