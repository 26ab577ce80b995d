"""Strict configuration: YAML and dotted overrides into pydantic models.

Role: the one loader for every command. Invariant: import-light; an unknown key is an error that names the
nearest known key; what is resolved can be written back and read again unchanged.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, ValidationError


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the file, the key and the fix."""


class ConfigModel(BaseModel):
    """Base of configuration sections: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=BaseModel)


def load_config(model: type[M], path: Path | None, overrides: Sequence[str] = ()) -> M:
    """Read a YAML file (None: defaults only), apply dotted overrides, validate.

    An override is "a.b=1"; a list's entry goes by its number or its `name` ("rewards.reasoning.weight=2").
    Raises ConfigError when the file is missing or malformed, a key is unknown or a value does not fit.
    """
    source = str(path) if path else "defaults"
    if path is not None and not path.is_file():
        raise ConfigError(f"no configuration at {path}; the runnable ones are in configs/")
    try:
        base = OmegaConf.load(path) if path else OmegaConf.create({})
        if not OmegaConf.is_dict(base):
            raise ConfigError(f"{source} must hold a mapping of sections")
        for item in overrides:
            _override(base, item)
        data = OmegaConf.to_container(base, resolve=True)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"{source} is not readable YAML: {error}") from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(
            f"{source}: " + "; ".join(explain(model, item) for item in error.errors())
        ) from error


def _override(base: Any, item: str) -> None:
    key, found, text = item.partition("=")
    if not found:
        raise ConfigError(f"override {item!r} is not of the form section.key=value")
    value = OmegaConf.from_dotlist([f"value={text}"])["value"]
    place, parts = base, key.split(".")
    for index, part in enumerate(parts):
        if OmegaConf.is_list(place):
            parts[index] = part = _entry(place, part, item)
            place = place[int(part)]
        else:
            place = place.get(part) if OmegaConf.is_dict(place) else None
    OmegaConf.update(base, ".".join(parts), value)


def _entry(entries: Any, part: str, item: str) -> str:
    """Index, as text, of the list entry that an override's part names."""
    names = [entry.get("name") if OmegaConf.is_dict(entry) else None for entry in entries]
    if part in names:
        return str(names.index(part))
    if part.isdecimal() and int(part) < len(entries):
        return part
    known = [str(name) for name in names if name is not None] or ["none by name"]
    raise ConfigError(
        f"override {item!r}: no entry {part!r} in a list of {len(entries)} (0 to {len(entries) - 1}; "
        f"{', '.join(known)})"
    )


def explain(model: type[BaseModel], error: Any) -> str:
    """One readable sentence for one pydantic error, with the nearest known key for an unknown one."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg']}"
    known = _fields_at(model, error["loc"][:-1])
    near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.0)
    hint = f"did you mean {near[0]!r}?" if near else "this section takes no keys"
    return f"unknown key {where}; {hint}"


def _fields_at(model: type[BaseModel], location: Sequence[Any]) -> list[str]:
    current: Any = model
    for part in location:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
        field = current.model_fields.get(part)
        if field is None:
            continue
        options = [field.annotation, *get_args(field.annotation)]
        nested = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        nested += [
            a for o in options for a in get_args(o) if isinstance(a, type) and issubclass(a, BaseModel)
        ]
        current = nested[0] if nested else None
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def dump_config(config: BaseModel) -> str:
    """YAML of a resolved configuration."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def config_digest(config: BaseModel) -> str:
    """SHA-256 of a resolved configuration."""
    return hashlib.sha256(dump_config(config).encode()).hexdigest()
