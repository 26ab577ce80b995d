"""The manifest of a clip store: format, version, rig, and the size and checksum of every file.

Invariant: a manifest is written last, so a folder that has one was finished.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scenes.cameras import CameraRig

FORMAT, VERSION = "ar1-clip-store", 1
FILES = ("frames.bin", "records.bin", "offsets.npy", "ids.npy")


class StoreError(ValueError):
    """A store that cannot be read or written; the message names the fix."""


def write_manifest(folder: Path, rig: CameraRig, shards: list[dict[str, Any]]) -> None:
    """Write manifest.json into a store's folder."""
    body = {"rig": asdict(rig), "shards": shards}
    checksum = zlib.crc32(json.dumps(body, sort_keys=True).encode())
    text = json.dumps({"format": FORMAT, "version": VERSION, "crc32": checksum, **body}, indent=1)
    with (folder / "manifest.json").open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a store. Raises StoreError when it is missing, damaged or of another version."""
    file_path = path / "manifest.json"
    if not file_path.is_file():
        raise StoreError(
            f"{path} holds no manifest.json: not a clip store, or one that was not finished; build it"
        )
    try:
        manifest = json.loads(file_path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{file_path} is damaged ({error}); delete {path} and rebuild it") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreError(f"{file_path} is not the manifest of a clip store")
    if manifest.get("version") != VERSION:
        found = manifest.get("version")
        raise StoreError(f"{path} has store version {found}, this code reads {VERSION}; rebuild the store")
    body = {key: manifest.get(key) for key in ("rig", "shards")}
    if zlib.crc32(json.dumps(body, sort_keys=True).encode()) != manifest.get("crc32"):
        raise StoreError(f"{file_path} was altered (checksum differs); delete {path} and rebuild it")
    return manifest


def checksum_of(path: Path) -> int:
    """CRC-32 of a file."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            value = zlib.crc32(chunk, value)
    return value
