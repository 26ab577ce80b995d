"""The release's config.json: read, never assumed.

Role: gives the values that the checkpoint states, and refuses by name what it leaves out. Invariant: a value that
the file lacks comes from the caller's own statement (`stated`) or not at all; the file's text is kept verbatim.
Source of keys: config.json of nvidia/Alpamayo-R1-10B and Alpamayo-1.5-10B. What could not be seen there (the
statistics nested in traj_tokenizer_cfg, the arguments of hist_traj_tokenizer_cfg) has the class defaults of the
release's code at best, listed in CLASS_DEFAULTS and used only when the caller says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policy.release.findings import CheckpointError

CONFIG_FILE = "config.json"
RELEASE_TYPES = {"alpamayo_r1": "AlpamayoR1", "alpamayo1_5": "Alpamayo1_5"}
"""model_type of a release, and its architecture."""
BACKBONE_TYPE = "qwen3_vl"
SPACE = "traj_tokenizer_cfg.action_space_cfg"
HISTORY = "hist_traj_tokenizer_cfg"
CLASS_DEFAULTS: Mapping[str, Any] = {
    f"{SPACE}.accel_mean": 0.0,
    f"{SPACE}.accel_std": 1.0,
    f"{SPACE}.curvature_mean": 0.0,
    f"{SPACE}.curvature_std": 1.0,
    f"{HISTORY}.num_bins": 1000,
    f"{HISTORY}.ego_xyz_min": [-4, -4, -10],
    f"{HISTORY}.ego_xyz_max": [4, 4, 10],
    f"{HISTORY}.predict_yaw": False,
}
_ABSENT = object()


@dataclass(frozen=True)
class ReleaseConfig:
    """text: the file verbatim; raw: its content; stated: dotted keys that the caller states in its place."""

    path: Path
    text: str
    raw: Mapping[str, Any]
    stated: Mapping[str, Any] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        """Whether file or caller gives a value to a dotted key."""
        return self._find(key) is not _ABSENT

    def get(self, key: str, default: Any = None) -> Any:
        """Value of a dotted key, or the default where no one gives one."""
        found = self._find(key)
        return default if found is _ABSENT else found

    def need(self, key: str) -> Any:
        """Value of a dotted key. Raises CheckpointError naming the key and the option that states it."""
        found = self._find(key)
        if found is not _ABSENT:
            return found
        hint = f"state it with --set {key}=VALUE"
        if key in CLASS_DEFAULTS:
            value = json.dumps(CLASS_DEFAULTS[key])
            hint += f", or accept what the release's code would use ({value}) with --class-defaults"
        raise CheckpointError(f"{self.path} does not state {key}; {hint}")

    def number(self, key: str) -> float:
        """A finite number of a needed key. Raises CheckpointError when it is none."""
        value = self.need(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or value - value != 0:
            raise CheckpointError(f"{self.path}: {key} is {value!r}, not a number; correct it there")
        return float(value)

    def whole(self, key: str) -> int:
        """A positive whole number of a needed key. Raises CheckpointError when it is none."""
        value = self.number(key)
        if value != int(value) or value <= 0:
            raise CheckpointError(f"{self.path}: {key} is {value!r}, not a positive whole number; correct it")
        return int(value)

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """That many numbers of a needed key. Raises CheckpointError otherwise."""
        value = self.need(key)
        if not isinstance(value, list | tuple) or len(value) != count:
            raise CheckpointError(
                f"{self.path}: {key} is {value!r}, not a list of {count} numbers; correct it"
            )
        return tuple(float(item) for item in value)

    def _find(self, key: str) -> Any:
        if key in self.stated:
            return self.stated[key]
        return _lookup(self.raw, key)


def _lookup(raw: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(raw, Mapping) or part not in raw:
            return _ABSENT
        raw = raw[part]
    return _ABSENT if raw is None else raw


def read_json(path: Path) -> tuple[str, dict[str, Any]]:
    """Text and content of a JSON file that holds an object. Raises CheckpointError or FileNotFoundError."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; a checkpoint folder holds config.json and safetensors")
    text = path.read_text()
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} is not readable JSON ({error}); fetch it again") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} must hold one JSON object")
    return text, data


def read_release_config(
    path: Path, stated: Mapping[str, Any] | None = None, class_defaults: bool = False
) -> ReleaseConfig:
    """A release's config.json. class_defaults: accept CLASS_DEFAULTS for those keys that the file leaves out.

    Raises CheckpointError when a stated key contradicts the file.
    """
    text, raw = read_json(path)
    given = dict(stated or {})
    for key, value in given.items():
        found = _lookup(raw, key)
        if found is not _ABSENT and found != value:
            raise CheckpointError(
                f"{path} states {key} = {json.dumps(found)}; drop --set {key}=…, or correct the file"
            )
    if class_defaults:
        missing = {key: value for key, value in CLASS_DEFAULTS.items() if _lookup(raw, key) is _ABSENT}
        given = {**missing, **given}
    return ReleaseConfig(path, text, raw, given)
