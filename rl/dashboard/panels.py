"""The saved view: which scalars are charted together, and in which order.

Role: a run writes some hundred scalars; this puts the few that matter first and hides none.
Invariant: every scalar of a run is in exactly one panel, but for correlations, which are a matrix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

CORRELATION = "rewards/corr/"


@dataclass(frozen=True)
class Line:
    """One scalar in a panel; low and high are the scalars that bound its band."""

    name: str
    label: str
    low: str | None = None
    high: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.name, self.low, self.high) if name is not None)


@dataclass(frozen=True)
class Panel:
    """kind: "band" (a mean in its percentiles), "lines", "stack" (parts of a whole) or "steps" (stacked
    counts). unit: "", "share" (of 1), "s" or "tokens"."""

    section: str
    title: str
    kind: str
    lines: tuple[Line, ...]
    unit: str = ""
    note: str = ""


_COMPARED = (
    (
        "adv_share",
        "Share of the advantage",
        "stack",
        "share",
        "Which reward steers: its mean |share| over all",
    ),
    ("coverage", "Coverage", "lines", "share", "Rollouts with a score"),
    ("fail_rate", "Failed scores", "lines", "share", "Asked scores that failed: missing, never 0"),
    ("zero_var_frac", "Groups without spread", "lines", "share", "Groups whose values are all alike"),
    ("std", "Spread over rollouts", "lines", "", "Standard deviation over the rollouts of a step"),
    ("latency_s", "Scoring latency", "lines", "s", "Mean over scores that no cache answered"),
    ("cache_hit", "Cache hits", "lines", "share", "Scores that a cache answered"),
)
_SECTIONS = {
    "groups": "Groups",
    "rollouts": "Groups",
    "ledger": "Groups",
    "completions": "Completions",
    "curator": "Curator",
    "off_policy": "Staleness",
    "sampling": "Staleness",
    "perf": "Performance",
    "time": "Performance",
    "rollout": "Performance",
    "server": "Reward servers",
}
_ORDER = (
    "Reward",
    "Rewards compared",
    "Groups",
    "Completions",
    "Learner",
    "Staleness",
    "Curator",
    "Performance",
    "Reward servers",
)
_LEARNER_FIRST = ("loss", "kl", "entropy", "grad_norm", "learning_rate")


def reward_names(names: Iterable[str]) -> list[str]:
    """Names of the rewards that a run asked, as far as its scalars tell."""
    found = (re.fullmatch(r"rewards/(.+)/coverage", name) for name in names)
    return sorted(match.group(1) for match in found if match)


def panels(names: Iterable[str]) -> list[Panel]:
    """The panels that draw these scalars, sections in reading order."""
    known = {name for name in names if not name.startswith(CORRELATION)}
    wanted = [*_reward_panels(known), *_group_panels(), *_completion_panels()]
    chosen: list[Panel] = []
    for panel in wanted:
        lines = tuple(line for line in panel.lines if line.name in known)
        if lines:
            chosen.append(Panel(panel.section, panel.title, panel.kind, lines, panel.unit, panel.note))
            known -= {name for line in lines for name in line.names}
    chosen += [*_durations(known), *_servers(known)]
    known -= {name for panel in chosen for line in panel.lines for name in line.names}
    first = {name: order for order, name in enumerate(_LEARNER_FIRST)}
    for name in sorted(known, key=lambda name: (first.get(name, len(first)), name)):
        chosen.append(_single(name))
    return sorted(chosen, key=lambda panel: _ORDER.index(panel.section))


def _reward_panels(known: set[str]) -> list[Panel]:
    rewards = reward_names(known)
    total = Line("reward", "mean", "reward/p10", "reward/p90")
    unchosen = Line("curator/reward_uniform", "clips drawn uniformly")
    note = "Mean, 10–90 % of the step's rollouts; the curator's other clips are chosen for being hard"
    found = [Panel("Reward", "Total reward", "band", (total, unchosen), "", note)]
    for name in rewards:
        stem = f"rewards/{name}"
        line = Line(f"{stem}/mean", "mean", f"{stem}/p10", f"{stem}/p90")
        found.append(Panel("Reward", name, "band", (line,)))
    medians = [Line("reward/p50", "total"), *(Line(f"rewards/{name}/p50", name) for name in rewards)]
    for key, title, kind, unit, note in _COMPARED:
        lines = tuple(Line(f"rewards/{name}/{key}", name) for name in rewards)
        found.append(Panel("Rewards compared", title, kind, lines, unit, note))
    found.append(Panel("Rewards compared", "Medians", "lines", tuple(medians)))
    return found


def _group_panels() -> list[Panel]:
    fates = tuple(Line(f"groups/{fate}", fate) for fate in ("trained", "dropped", "cancelled"))
    spread = (Line("reward_std", "mean std inside a group"),)
    lost = (
        Line("frac_reward_zero_std", "all totals alike"),
        Line("groups/cancelled_signal", "rewards cancel"),
    )
    why = "No spread, or rewards that pull against each other until little of it is left"
    return [
        Panel("Groups", "Groups by fate", "steps", fates, "", "Every dispatched group ends exactly once"),
        Panel(
            "Groups", "Spread inside groups", "lines", spread, "", "Mean standard deviation: GRPO's signal"
        ),
        Panel("Groups", "Groups without signal", "lines", lost, "share", why),
        Panel("Groups", "Disagreement", "lines", (Line("groups/disagreement", "nats"),)),
        Panel(
            "Groups", "Reward the learner was given", "lines", (Line("reward_trained", "trained rollouts"),)
        ),
    ]


def _completion_panels() -> list[Panel]:
    stem = "completions"
    length = Line(f"{stem}/mean_length", "mean", f"{stem}/p10_length", f"{stem}/p90_length")
    shares = (Line(f"{stem}/validity", "valid"), Line(f"{stem}/clipped_ratio", "cut by length"))
    return [
        Panel("Completions", "Length", "band", (length,), "tokens", "Mean and 10–90 %"),
        Panel("Completions", "Valid and cut", "lines", shares, "share"),
    ]


def _durations(known: set[str]) -> list[Panel]:
    names = sorted(name for name in known if name.startswith(("perf/", "time/")) and name.endswith("_s"))
    seconds = tuple(
        Line(name, name.split("/", 1)[1].removesuffix("_s")) for name in names if "tok_s" not in name
    )
    return [Panel("Performance", "Seconds by phase", "lines", seconds, "s")] if seconds else []


def _servers(known: set[str]) -> list[Panel]:
    """One panel a counter of server/<reward>/<counter>, a line a reward."""
    found: dict[str, list[Line]] = {}
    for name in sorted(known):
        if match := re.fullmatch(r"server/([^/]+)/(.+)", name):
            found.setdefault(match[2], []).append(Line(name, match[1]))
    return [
        Panel("Reward servers", counter.replace("_", " "), "lines", tuple(lines), "", "Since the job's start")
        for counter, lines in found.items()
    ]


def _single(name: str) -> Panel:
    """A scalar nobody placed: its own panel, in the section that its first word names."""
    head = name.split("/", 1)[0]
    return Panel(_SECTIONS.get(head, "Learner"), name, "lines", (Line(name, name.rsplit("/", 1)[-1]),))
