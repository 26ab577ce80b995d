"""Which moments of a clip become clips of ours.

Role: every reasoning event that has enough recording around it, else the moments asked for. Invariant: each
moment of a clip is given once or refused with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenes.clip import ChainOfCausation
from scenes.decisions import Direction, Lateral, Longitudinal
from scenes.dynamics import DEFAULT_FIT, FitSettings
from scenes.physical_ai.layout import CLIP_US, EGOMOTION, EGOMOTION_OFFLINE, STEP_US
from scenes.physical_ai.reasoning import Event
from scenes.trajectory import FUTURE_STEPS, HISTORY_STEPS

HISTORY_US = (HISTORY_STEPS - 1) * STEP_US
FUTURE_US = FUTURE_STEPS * STEP_US
EARLIEST_US = HISTORY_STEPS * STEP_US
"""The release's loader wants t0 at 1.6 s at least, one step more than the history reaches back."""
RELEASE_T0_S = 5.1
"""The moment the release's loader takes of every clip when no reasoning is asked for."""

Decisions = tuple[Longitudinal | None, Lateral | None, Direction | None]


@dataclass(frozen=True)
class ReadChoice:
    """What to read of each clip. unlabelled_t0_s: moments read of clips without any reasoning event, s;
    labelled_only: leave such clips out instead; limit_m: largest position error of the motion fit; fit: its
    weights (the release's); egomotion: feature that gives the motion; obstacles_required: refuse clips
    without obstacle tracks instead of reading them without road users; ego_size: length, width, height and
    rear-axle-to-centre offset m of clips without vehicle dimensions (None: such clips are refused)."""

    unlabelled_t0_s: tuple[float, ...] = (RELEASE_T0_S,)
    labelled_only: bool = False
    limit_m: float = 0.5
    fit: FitSettings = DEFAULT_FIT
    egomotion: str = EGOMOTION
    obstacles_required: bool = False
    ego_size: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.limit_m <= 0.0:
            raise ValueError(f"limit_m is {self.limit_m}; it must be above 0")
        if self.egomotion not in (EGOMOTION, EGOMOTION_OFFLINE):
            raise ValueError(f"egomotion {self.egomotion!r} is neither {EGOMOTION} nor {EGOMOTION_OFFLINE}")


@dataclass(frozen=True)
class Moment:
    """One moment to read. t0_us: in the clip's clock; text: its sentence, None without one."""

    t0_us: int
    text: str | None = None

    @property
    def times_us(self) -> np.ndarray:
        """[H+T] times of the history and the future."""
        return self.t0_us + STEP_US * np.arange(-(HISTORY_STEPS - 1), FUTURE_STEPS + 1, dtype=np.int64)

    def id_of(self, clip_id: str) -> str:
        """The id of the clip at this moment."""
        return f"{clip_id}@{self.t0_us}"


def moments_of(events: list[Event] | None, choice: ReadChoice) -> tuple[list[Moment], list[tuple[int, str]]]:
    """Moments to read of a clip, and those that lie too early or too late with the reason."""
    wanted = [Moment(event.t0_us, event.text) for event in events or ()]
    if not wanted and not choice.labelled_only:
        wanted = [Moment(round(t0_s * 1e6)) for t0_s in dict.fromkeys(choice.unlabelled_t0_s)]
    kept: list[Moment] = []
    refused: list[tuple[int, str]] = []
    for moment in wanted:
        if moment.t0_us < EARLIEST_US:
            refused.append((moment.t0_us, f"is before {EARLIEST_US / 1e6:.1f} s: too little history"))
        elif moment.t0_us + FUTURE_US > CLIP_US:
            last = (CLIP_US - FUTURE_US) / 1e6
            refused.append((moment.t0_us, f"is after {last:.1f} s: the future would leave the clip"))
        else:
            kept.append(moment)
    return kept, refused


def label_of(text: str | None, decisions: Decisions) -> ChainOfCausation | None:
    """The label of a sentence; the data set names no causal factors in a closed form."""
    return None if text is None else ChainOfCausation(text, *decisions, factors=())
