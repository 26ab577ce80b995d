"""The phrases by which a text states a driving decision: the vocabulary of the intent parser.

Role: decision → regular expressions over lower-case manoeuvre clauses; a named group `side` captures left or
right. Where phrases of two decisions overlap, the longer match wins ("slow down to yield" is a yield).
Covers the Alpamayo-R1 paper's Table 1 (arXiv 2511.00088) in common words, and every manoeuvre phrase of
scenes.world.phrasing (tested).
"""

from __future__ import annotations

from enum import StrEnum

from scenes.decisions import Lateral, Longitudinal


class Speed(StrEnum):
    """What the words say of speed, beyond the decision."""

    STOP = "stop"
    SLOW = "slow"
    KEEP = "keep"
    ACCELERATE = "accelerate"


# "slow vehicle" describes somebody else.
_NO_NOUN = r"(?! (?:moving )?(?:lead|car|vehicle|truck|van|bus|traffic|cyclist|bicycle))"
_LEAD = (
    r"(?:(?:slow(?:er|ing)?|lead(?:ing)?|preceding|stopped|braking|red|blue|white|black|slow-moving) )*"
    r"(?:lead(?:er)?|vehicle|car|truck|traffic|van|bus|suv|cyclist|bicycle)"
    r"(?: (?:vehicle|car|truck))?"
)
_SIDE = r"(?:to (?:the|its|my|our) |on the |the )?(?P<side>left|right)"

LONGITUDINAL: dict[Longitudinal, tuple[str, ...]] = {
    Longitudinal.SET_SPEED_TRACKING: (
        r"(?:hold|keep|maintain|continue at|drive at|cruise at|resume|track)(?:ing|s)?"
        r"(?: (?:the|its|my|our|a))?(?: (?:set|current|steady|constant|same|present|target|desired))? "
        r"(?:speed|velocity|pace)",
        r"cruis(?:e|ing)",
    ),
    Longitudinal.LEAD_FOLLOWING: (
        rf"follow(?:ing|s)? (?:behind )?(?:the |a |an )?{_LEAD}",
        rf"(?:keep|hold|maintain|increase)(?:ing|s)? (?:a |the |my )?(?:safe |more |enough |following )*"
        rf"(?:distance|gap|headway)(?: (?:to|from|behind|with) (?:the |a |an )?{_LEAD})?",
        rf"match(?:ing|es)? (?:the )?speed (?:of|with|to) (?:the |a |an )?{_LEAD}",
        rf"(?:stay|stop|slow(?: down)?|brake|remain)(?:ing|s)? (?:safely )?behind (?:the |a |an )?{_LEAD}",
        r"(?:slow(?:ing)?(?: down)?|brak(?:e|ing)) for (?:the |a |an )?(?:slower |stopped |braking )*"
        r"(?:lead(?:ing)?|preceding)(?: (?:vehicle|car|truck))?",
    ),
    Longitudinal.SPEED_ADAPTATION: (
        r"(?:adapt|adjust)(?:ing|s)? (?:the |its |my )?speed",
        rf"(?:slow(?:s|ing)?(?: down)?{_NO_NOUN}|decelerat(?:e|es|ing)|brak(?:e|es|ing)|eas(?:e|es|ing) off"
        r"|(?:reduc|decreas|lower)(?:e|es|ing)? (?:the |its |my )?speed)",
    ),
    Longitudinal.GAP_SEARCHING: (
        r"(?:find|search|look|seek|wait|creat|open|mak)(?:e|es|ing|s)?(?: for)? "
        r"(?:a |an |the |to fit into a )*gap",
        r"fit(?:ting|s)? into (?:a |the )gap",
    ),
    Longitudinal.PASSING_ACCELERATION: (
        r"(?:accelerat(?:e|es|ing)|speed(?:s|ing)? up|gain(?:s|ing)? speed"
        r"|increas(?:e|es|ing) (?:the )?speed)"
        r"(?: (?:to|and|for) (?:pass|overtake|get past|go past|passing|overtaking))?",
        r"overtak(?:e|es|ing)",
        r"pass(?:es|ing)? (?:the |a )?(?:slow|slower|lead|car|vehicle|truck)",
    ),
    Longitudinal.YIELD: (
        r"yield(?:s|ing)?",
        r"giv(?:e|es|ing) way",
        r"let(?:s|ting)? (?:\w+ ){1,4}?(?:pass|cross|go|through)(?: first)?",
        r"(?:stop|wait|brake|slow down)(?:s|ping|ing)? for (?:the |a |an )?(?:\w+ ){0,2}?"
        r"(?:pedestrian|person|cyclist|cross(?:ing)? traffic|crossing (?:car|vehicle))s?",
        r"giv(?:e|es|ing) (?:\w+ ){0,3}?(?:priority|right of way)",
    ),
    Longitudinal.STOP_STATIC: (
        r"(?:full |complete )?stop(?:s|ping)?",
        r"(?:to a )?standstill",
        r"halt(?:s|ing)?",
    ),
}
LATERAL: dict[Lateral, tuple[str, ...]] = {
    Lateral.LANE_KEEPING: (
        r"(?:keep|hold|maintain)(?:ing|s)? (?:to |in )?(?:the |my |its |this |our )?(?:current )?"
        r"(?:lane|course)(?! change)",
        r"(?:stay|remain|keep|continu)(?:e|es|ing|s)?(?: \w+)? (?:in|within) "
        r"(?:the |my |its |this |our )?(?:current )?lane",
        r"(?:go|drive|continue|proceed)(?:es|s|ing)? straight",
    ),
    Lateral.MERGE_SPLIT: (
        rf"merg(?:e|es|ing)(?: into(?: the)?)?(?: {_SIDE})?(?: lane)?",
        rf"join(?:s|ing)? the lane {_SIDE}(?: by merging)?",
    ),
    Lateral.OUT_OF_LANE_NUDGE: (
        rf"(?:nudg|mov|swing|shift|steer|veer)(?:e|es|ing|s)? (?:slightly |a little )?{_SIDE}"
        r"(?: \w+){0,2}? (?:over|across|out of|beyond) the (?:lane |centre |center )*(?:line|lane)",
        rf"(?:swing|nudg|mov)(?:e|es|ing|s)? (?:out of|over|across) the (?:lane |centre )*(?:line|lane)"
        rf"(?: {_SIDE})?",
    ),
    Lateral.IN_LANE_NUDGE: (
        rf"(?:nudg|mov|shift|steer|veer)(?:e|es|ing|s)? (?:slightly |a little )?{_SIDE}"
        r"(?: \w+){0,2}? (?:within|inside|in) (?:the |my |its )?(?:same )?lane",
        rf"(?:nudg|shift)(?:e|es|ing|s)? (?:slightly |a little )?{_SIDE}",
        r"nudg(?:e|es|ing)",
    ),
    Lateral.LANE_CHANGE: (
        r"(?:chang|switch|mov)(?:e|es|ing)? (?:in)?to (?:the )?"
        r"(?P<side>left|right|next|adjacent)(?: \w+)? lane",
        rf"(?:chang|switch)(?:e|es|ing)? lanes?(?: {_SIDE})?",
        rf"lane change(?: {_SIDE})?",
        r"(?P<side>left|right) lane change",
    ),
    Lateral.PULL_OVER: (
        rf"pull(?:s|ing)? (?:over|aside)(?: {_SIDE})?",
        rf"mov(?:e|es|ing) (?:over )?{_SIDE} (?:side|edge) of the road",
        r"park(?:s|ing)? (?:at|on|by) the (?:(?P<side>left|right) )?(?:side|edge|kerb|curb|shoulder)",
    ),
    Lateral.TURN: (
        rf"turn(?:s|ing)? {_SIDE}(?: at the (?:junction|intersection|crossing))?",
        r"(?:mak|tak)(?:e|es|ing) (?:a |the )?(?P<side>left|right)(?: turn)?",
        r"(?P<side>left|right) turn",
    ),
    Lateral.ABORT: (
        r"(?:abort|cancel|abandon|giv(?:e|es|ing) up|break(?:s|ing)? off|call(?:s|ing)? off|stop(?:s|ping)?)"
        r"(?:s|ing|ling)? (?:the |a |this )?(?:lane |left lane |right lane )?"
        r"(?:change|merge|nudge|manoeuvre|maneuver)"
        rf"(?:(?: and)? (?:steer|return|go|come|move)(?:s|ing)?(?: back)? {_SIDE})?",
        r"(?:steer|return|go|come|move)(?:s|ing)? back (?:to (?:the )?)?(?P<side>left|right)",
    ),
}
SPEED: dict[Speed, tuple[str, ...]] = {
    Speed.STOP: (r"stop(?:s|ping)?(?! sign)", r"standstill", r"halt(?:s|ing)?", r"wait(?:s|ing)?"),
    Speed.SLOW: (
        rf"slow(?:s|ing)?(?: down)?{_NO_NOUN}",
        r"decelerat(?:e|es|ing)",
        rf"brak(?:e|es|ing){_NO_NOUN}",
        r"eas(?:e|es|ing) off",
        r"(?:reduc|decreas|lower)(?:e|es|ing)? (?:the |its |my )?speed",
        r"drop(?:s|ping)? back",
    ),
    Speed.KEEP: (LONGITUDINAL[Longitudinal.SET_SPEED_TRACKING][0], r"cruis(?:e|ing)"),
    Speed.ACCELERATE: (
        r"accelerat(?:e|es|ing)",
        r"speed(?:s|ing)? up",
        r"gain(?:s|ing)? speed",
        r"increas(?:e|es|ing) (?:the )?speed",
    ),
}
