"""Whether a phrase in a clause is what the driver commits to: not denied, not merely possible, not others'.

Role: the screen between the phrases that the intent parser finds and the decisions that it counts.
Invariant: what is screened out has a reason in words, which the reward's explanation shows.
"""

from __future__ import annotations

import re

from rewards.road_users import MANY, PEOPLE, SOMEBODY, THINGS, VEHICLES
from rewards.sentences import REACH_CHARS, is_negated, phrase_before

_HEDGE = re.compile(
    r"\b(?:might|may|could|would|perhaps|maybe|possibly|potentially|probably|consider(?:s|ing)?"
    r"|prepar(?:e|es|ed|ing) (?:to|for)|ready (?:to|for)|cover(?:s|ing)? the|in doubt|thinking (?:of|about)"
    r"|option (?:to|of)|alert (?:to|for)|hover(?:s|ing)? over)\b"
)
_HEDGE_AFTER = re.compile(
    r"^(?: \w+)? (?:may|might|could|would)\b"
    r"|^(?: \w+){0,3}? (?:is|are|would be|may be|might be|could be) (?:an option|possible|conceivable|likely)\b"
    r"|^(?: \w+){0,2} (?:perhaps|maybe|possibly|if needed|if necessary)\b"
)
_HEDGE_REACH = 6
_IMAGINED = re.compile(
    r"^\s*(?:if|unless|in case|should (?!we|i)|had (?!to)|were |in the event|suppose|imagine|assuming|provided)\b"
)
# What follows these holds only under a condition; the phrase before "if" does too.
_CONDITION = re.compile(
    r",?\s*\b(?:and |but )?,?\s*(even if|if|unless|in case|as long as|so long as|provided)\b"
)
_OTHERWISE = re.compile(r"\b(?:otherwise|or else)\b.*")
_ASIDE = re.compile(r",|\b(?:and|but|then)\b")

_AGENT = re.compile(rf"\b(?:(?P<many>{MANY})|(?P<thing>{THINGS})|(?P<one>{VEHICLES}|{PEOPLE}))\b(?!-)")
# "the merging truck"
_DESCRIBES = re.compile(rf"^ (?:{SOMEBODY})\b")
# "motorists are slowing", "until the rain stops": whoever it is, it is not us.
_IS_DOING = re.compile(r"\b(?:is|are|was|were|keeps?|starts?|begins?) (?:\w+ly |now |also |already )?$")
_SUBJECT = re.compile(r"\b(?:the|a|an|that|his|her|its|their) (?:[\w-]+ ){1,2}$")
_EGO = re.compile(r"\b(?:ego|our|my|av|host)\b")
_OURS = re.compile(r"\b(?:we|i|i'm|we're|we'll|i'll|ego|us|let's|av)\b")
_OWN = re.compile(r"\b(?:ego|our|my|own|this|host)(?: \w+)?\s*$")
_AUXILIARY = re.compile(
    r"(?:^|\s)(?:is|are|was|were|will|would|may|might|can|could|has|have|had|does|do|keeps?|starts?|begins?"
    r"|wants? to|tries to|about to|going to|seems to|appears to|needs? to|has to)(?: \w+){0,3}$"
)
_PERMITS = re.compile(
    r"\b(?:let|lets|letting|make|makes|making|have|help|watch|see|want|expect)\b(?: [\w-]+){0,4}? "
    rf"(?:{SOMEBODY}|them|him|her|us|me)(?: [\w-]+){{0,2}} $"
)
_AWAITS = re.compile(r"\b(?:for|allow|allows|allowing|permit|enable|wait|let|leave)\b")
_NO_SUBJECT = re.compile(
    r"\b(?:for|to|behind|from|of|by|with|past|after|around|near|at|before|between|follow|let|pass|give|on|in)\b"
)
_MANY_ACT = re.compile(
    rf"^(?:(?:the|two|three|some|all|other|most|these|those) )*(?:{MANY}) [\w ]+\b(?:and|or) ?$"
)
_OURS_GOES_ON = re.compile(r"\b(?:by|while|for|when|to)\b")


def committed(clause: str) -> str:
    """A clause without what holds only on a condition: "if C, A" and "A if C" leave nothing of A, while
    "A unless C", "A in case C" and "A as long as C" leave A."""
    clause = _OTHERWISE.sub("", clause)
    if _IMAGINED.match(clause):
        return ""
    condition = _CONDITION.search(clause)
    if condition is None:
        return clause
    before = clause[: condition.start()]
    if condition[1] == "if" and not clause[condition.start() :].lstrip().startswith((",", "and", "but")):
        asides = list(_ASIDE.finditer(before))
        before = before[: asides[-1].start()] if asides else ""
    return before


def why_not(clause: str, start: int, end: int) -> str | None:
    """Why the words from start to end are no commitment of ours: "denied", "only possible", "others'"; None
    where they are one."""
    if is_negated(clause, start, end):
        return "denied"
    near = " ".join(phrase_before(clause, start).split()[-_HEDGE_REACH:])
    if _HEDGE.search(near) or _HEDGE_AFTER.search(clause[end : end + REACH_CHARS]):
        return "only possible"
    return "others'" if _is_others(clause, start, end) else None


def _is_others(clause: str, start: int, end: int) -> bool:
    """Whether somebody or something else is the subject of the verb at `start`."""
    before = phrase_before(clause, start)
    verb = clause[start:end].split()[0]
    if verb.endswith("ing") and _DESCRIBES.match(clause[end : end + REACH_CHARS]):
        return True
    if verb.endswith("ing") and _IS_DOING.search(before) and not _OURS.search(before):
        return True
    third = verb.endswith("s") and not verb.endswith("ss")
    permitted = _PERMITS.search(before)
    if permitted:
        return not re.search(r"\b(?:us|me)\b", permitted[0])
    if third and _SUBJECT.search(before) and not _EGO.search(before):
        return True
    agents = list(_AGENT.finditer(before))
    agent = agents[-1] if agents else None
    if agent is None or _OWN.search(before[: agent.start()]) or _OURS.search(before[agent.end() :]):
        # "the van brakes and stops": the verb goes on without a subject of its own.
        return not _OURS.search(before) and _goes_on(
            clause[max(start - 2 * REACH_CHARS, 0) : start - len(before)], third
        )
    between = before[agent.end() :].strip()
    if _AUXILIARY.search(between) or re.search(r"\b(?:that|which|who)\b", between):
        return True
    if third and len(between.split()) <= 4:
        return True
    if between == "to":
        return _AWAITS.search(before[: agent.start()]) is not None
    if agent["thing"]:
        return False
    if verb.endswith("ing"):
        return len(between.split()) <= 3 and not _OURS_GOES_ON.search(between)
    return (
        bool(agent["many"]) and len(between.split()) <= 2 and not _NO_SUBJECT.search(before[: agent.start()])
    )


def _goes_on(earlier: str, third: bool) -> bool:
    """Whether a verb without a subject of its own goes on with what others do: "the van brakes and stops",
    "the cars brake and stop"."""
    if not third:
        return _MANY_ACT.search(earlier) is not None
    agents = [m for m in _AGENT.finditer(earlier) if not _OWN.search(earlier[: m.start()])]
    return bool(agents) and not _OURS.search(earlier)
