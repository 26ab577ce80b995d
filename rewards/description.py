"""What a reward says of itself: name, version, ranges, needs, batch.

Role: lets a job check a reward before it spends a GPU hour on it, and tells the client what to send.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rewards.score import Reward

DEFAULT_BATCH = 256


class Need(StrEnum):
    """Parts of rollout and clip that a reward reads."""

    TEXT = "text"
    TRAJECTORY = "trajectory"
    AGENTS = "agents"
    MAP = "map"
    IMAGES = "images"
    LABEL = "label"


class Mode(StrEnum):
    """Whether the value of a rollout depends on its siblings."""

    PER_ROLLOUT = "per_rollout"
    PER_GROUP = "per_group"


@dataclass(frozen=True)
class Component:
    """A named part of a score: inclusive range, meaning and unit."""

    name: str
    low: float
    high: float
    doc: str = ""


@dataclass(frozen=True)
class Description:
    """See `reward.proto`, message Description."""

    name: str
    version: str
    low: float
    high: float
    components: tuple[Component, ...] = ()
    needs: tuple[Need, ...] = (Need.TEXT, Need.TRAJECTORY, Need.AGENTS, Need.MAP, Need.LABEL)
    max_batch: int = DEFAULT_BATCH
    mode: Mode = Mode.PER_ROLLOUT
    doc: str = ""


def describe(reward: Reward) -> Description:
    """Collect a reward's required attributes and the optional `components`, `needs`, `max_batch`, `mode`.

    Raises ValueError when the range is empty or the name or version is missing."""
    if not reward.name or not reward.version:
        raise ValueError(f"reward {reward!r} needs a non-empty name and version")
    if not reward.low <= reward.high:
        raise ValueError(f"reward {reward.name!r}: range [{reward.low}, {reward.high}] is empty")
    plain = Description(reward.name, reward.version, reward.low, reward.high)
    return Description(
        name=reward.name,
        version=reward.version,
        low=float(reward.low),
        high=float(reward.high),
        components=tuple(getattr(reward, "components", plain.components)),
        needs=tuple(Need(need) for need in getattr(reward, "needs", plain.needs)),
        max_batch=int(getattr(reward, "max_batch", plain.max_batch)),
        mode=Mode(getattr(reward, "mode", plain.mode)),
        doc=(getattr(reward, "doc", None) or type(reward).__doc__ or "").strip().split("\n\n")[0],
    )
