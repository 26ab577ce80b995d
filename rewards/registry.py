"""From the name in a YAML file to a reward object.

Names, in order of preference: shipped name ("trajectory"), import path ("pkg.mod:attr") or file
("path/to/file.py:attr"), entry point (group `ar1.rewards`). "grpc://host:port/name" is somebody else's
server: see `rewards.client`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rewards.adapters import style
from rewards.redaction import redact
from rewards.score import Reward
from rewards.secret_files import refuse_secrets

ENTRY_POINTS = "ar1.rewards"
REMOTE = "grpc://"
# By path, resolved when asked for: the reasoning critic stands on a floor above this one.
SHIPPED = {
    "trajectory": "rewards.trajectory:TrajectoryReward",
    "consistency": "rewards.consistency:ConsistencyReward",
    "reasoning": "critic_server.reasoning:ReasoningReward",
}


@dataclass(frozen=True)
class RewardSource:
    """target: a name as above; name: what to call it instead of its own name; options: keyword arguments of
    its class or factory. Options stand in configurations and on command lines: SecretError for a secret among
    them, instead of the name of its file or environment variable."""

    target: str
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_secrets(self.options, f"reward {self.name or redact(self.target)}")


def is_remote(target: str) -> bool:
    """Whether the target is a server that somebody else runs."""
    return target.startswith(REMOTE)


def resolve(source: RewardSource) -> Reward:
    """The reward that a source names.

    Raises LookupError for an unknown name, ImportError or AttributeError for a path that does not lead to
    anything, TypeError when what it leads to is no reward."""
    if is_remote(source.target):
        raise LookupError(f"{source.target} is a remote reward: score it through rewards.client.RewardClient")
    found = _load(source.target)
    reward = _build(found, source)
    if source.name is not None:
        reward.name = source.name
    return reward


def known() -> dict[str, str]:
    """Every name that `resolve` knows without a path, with where it leads."""
    points = importlib.metadata.entry_points(group=ENTRY_POINTS)
    return {**{point.name: point.value for point in points}, **SHIPPED}


def _load(target: str) -> Any:
    if target in SHIPPED:
        return _import(SHIPPED[target])
    if ":" in target:
        return _import(target)
    names = known()
    if target in names:
        return _import(names[target])
    near = get_close_matches(target, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(names))}"
    raise LookupError(f"no reward is called {target!r}{hint} (or give an import path, 'package.module:name')")


def _import(path: str) -> Any:
    module_name, _, attribute = path.rpartition(":")
    if module_name.endswith(".py"):
        file = Path(module_name)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise ImportError(f"no Python file at {module_name!r}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(module_name)
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def _build(found: Any, source: RewardSource) -> Reward:
    options = dict(source.options)
    built: Any
    if inspect.isclass(found):
        built = found(**options)
    elif hasattr(found, "score"):
        built = found
        if options:
            raise TypeError(f"{source.target} is an object: it takes no options {sorted(options)}")
    elif callable(found):
        adapter = style(found)
        built = found(**options) if adapter is None else adapter(found, **options)
    else:
        raise TypeError(f"{source.target} is a {type(found).__name__}, neither a reward nor a function")
    if not callable(getattr(built, "score", None)):
        raise TypeError(
            f"{source.target} gave a {type(built).__name__} without score(rollouts, clips); a reward "
            "function takes (rollouts, clips) or TRL's (prompts, completions, **columns)"
        )
    return built
