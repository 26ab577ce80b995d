"""The phrases by which a text states a driving decision: the vocabulary of the intent parser.

Role: decision → regular expressions over lower-case manoeuvre clauses; a named group `side` captures left or
right. Where phrases of two decisions overlap, the longer match wins ("slow down to yield" is a yield).
Covers the Alpamayo-R1 paper's Table 1 (arXiv 2511.00088) in common words, and every manoeuvre phrase of
scenes.world.phrasing (tested). How well it reads other wordings: `ar1 reward parser-report`.
"""

from __future__ import annotations

from enum import StrEnum

from rewards.path_phrases import LATERAL
from rewards.road_users import LEAD as _LEAD
from rewards.road_users import SOMEBODY as _SOMEBODY
from scenes.decisions import Longitudinal

__all__ = ["LATERAL", "LONGITUDINAL", "SPEED", "Speed"]


class Speed(StrEnum):
    """What the words say of speed, beyond the decision."""

    STOP = "stop"
    SLOW = "slow"
    KEEP = "keep"
    ACCELERATE = "accelerate"


# "slow vehicle" describes somebody else.
_NO_NOUN = r"(?! (?:moving )?(?:lead|car|vehicle|truck|van|bus|traffic|cyclist|bicycle|tractor|lorry|camper))"
_PACE = r"(?:speed|velocity|pace|rate|tempo)"
_EVEN = r"(?:set|current|steady|constant|same|present|target|desired|unchanged|even|uniform|posted|normal)"
_OPENING = r"(?:gap|opening|slot|space|hole|room|break)"
_LINE = (
    r"(?:the |a |our |its )?(?:\w+ ){0,2}?"
    r"(?:line|bar|light|lights|signal|sign|barrier|gate|rails|crossing|crosswalk|boom)"
)
_THEIR_ACTS = (
    r"(?:pass|cross|go|through|merge|in|out|pull|turn|by|over|walk|clear|enter|proceed|back|join|move)"
)

LONGITUDINAL: dict[Longitudinal, tuple[str, ...]] = {
    Longitudinal.SET_SPEED_TRACKING: (
        r"(?:hold|keep|maintain|continue at|drive at|cruise at|resume|track|preserve|retain|sustain|stick to)"
        rf"(?:ing|s)?(?: (?:the|its|my|our|a|an|this))?(?: {_EVEN})? {_PACE}",
        r"cruis(?:e|es|ing)(?: control)?",
        r"(?:carry|carries|go|goes|drive|roll|head|press|simply go|just go)(?:ing|s)? on(?! (?:and|to) )"
        rf"(?: (?:as before|as normal|(?:at|with) (?:the |an |a |this |our )?(?:{_EVEN} )?(?:{_PACE}|limit)))?",
        r"keep(?:s|ing)? (?:going|rolling|driving|moving)(?! (?:left|right|over))",
        r"(?:proceed|continue|drive|travel|run|go|roll|coast|sail)(?:s|ing)?"
        r"(?: (?!and\b|then\b|but\b)[\w-]+){0,6}? (?:at|with) "
        rf"(?:the |an |a |this |our )?(?:{_EVEN} )?(?:{_PACE}|limit)",
        r"(?:proceed|continue|drive|carry on)(?:s|ing)? (?:as (?:normal|before|usual)|normally|unchanged)",
        r"(?:stick|keep|hold|stay|remain|settle)(?:s|ing)?(?: steady)? (?:to|at) "
        r"(?:the )?(?:\w+ )?(?:limit|\d+|twenty|thirty|forty|fifty|sixty|eighty)(?: km/h| mph)?",
        rf"at (?:an? |the )?(?:unchanged|same) {_PACE}",
        rf"without chang(?:e|ing) (?:of |in |the |our )?{_PACE}",
        rf"(?:no|without(?: a| any)?) changes? (?:in|of|to) (?:the )?{_PACE}",
        rf"leave (?:the|our|my) (?:throttle|{_PACE}) (?:where it is|as it is|alone)",
        r"(?:get |go |come )?back (?:up )?to (?:the )?(?:\w+ )?(?:limit|speed)",
        r"(?:set|drive|move) off again(?: at the limit)?",
        r"hold(?:s|ing)? (?:it )?steady|(?:hold|keep|stay)(?:s|ing)? (?:at )?\d+(?: km/h| mph)?",
        r"neither (?:faster|slower) nor (?:slower|faster)",
    ),
    Longitudinal.LEAD_FOLLOWING: (
        rf"(?:follow|trail|shadow|tail)(?:ing|s)? (?:behind )?(?:the |a |an )?{_LEAD}",
        r"(?:keep|hold|maintain|increase|extend|leave|open up)(?:ing|s)? "
        r"(?:a |the |my |our |your )?(?:safe |more |enough |following |larger |wider |longer )*"
        rf"(?:distance|gap|headway)(?: (?:to|from|behind|with) (?:the |a |an )?{_LEAD})?",
        rf"(?:match|adopt)(?:ing|es|s)? (?:the )?{_PACE} (?:of|with|to) (?:the |a |an )?{_LEAD}",
        r"(?:stay|stop|slow(?: down)?|brake|remain|tuck in|fall in(?: line)?|stick|hang(?: back)?|sit|go(?: along)?"
        r"|keep(?: station)?|settle|drive|queue|line up|get in line)(?:ing|s)?(?: safely| well| close)? behind "
        rf"(?:the |a |an |its )?{_LEAD}",
        r"(?:stay|sit|hang back|tuck in|fall in|settle(?: in)?|remain|keep|stick|drop in|pull in|queue|travel"
        r"|drive)(?:s|ing)?(?: well| close| safely)? behind (?:the|a|an|that|this) "
        r"(?!stop|line|white|barrier|crosswalk|light|limit|gate)[\w-]+",
        r"(?:stay|keep|remain|hang)(?:s|ing)? (?:\w+ ){0,3}?back from (?:the|a|an|that|this) [\w-]+",
        r"(?:leav|giv|keep|allow)(?:e|es|ing|s)? (?:\w+ ){1,3}?(?:seconds|car lengths|metres) "
        r"(?:to|from|behind|between)",
        rf"(?:in the queue|in line|in convoy) behind (?:the |a |an )?{_LEAD}",
        r"(?:slow(?:ing)?(?: down)?|brak(?:e|ing)) for (?:the |a |an )?(?:slower |stopped |braking )*"
        r"(?:lead(?:ing)?|preceding)(?: (?:vehicle|car|truck))?",
        rf"(?:leave|give|allow)(?:s|ing)? (?:the |a |an )?(?:{_LEAD} )?(?:\w+ )*?(?:more |some |plenty of |extra )"
        r"(?:\w+ ){0,2}?(?:room|space|distance|cushion)(?: (?:to|for|from) "
        rf"(?:the |a |an )?{_LEAD})?",
        rf"keep(?:s|ing)? pace with (?:the |a |an )?{_LEAD}",
        rf"(?:back off|hang back|drop back|keep back|stay back) (?:from|behind) (?:(?:the |a |an )?{_LEAD}|it\b)",
        r"(?:let|allow)(?:s|ing)? the (?:distance|gap|headway) (?:to|from) (?:[\w-]+ ){1,4}?(?:grow|open|widen)",
    ),
    Longitudinal.SPEED_ADAPTATION: (
        rf"(?:adapt|adjust|moderate)(?:ing|s)? (?:the |its |my |our )?{_PACE}",
        rf"(?:slow(?:s|ing)?(?: down)?{_NO_NOUN}|decelerat(?:e|es|ing)|brak(?:e|es|ing)|eas(?:e|es|ing) off"
        r"|(?:reduc|decreas|lower)(?:e|es|ing)? (?:the |its |my |our )?speed)",
        rf"(?:reduc|decreas|lower|cut|trim|shed|los|scrub|bleed|dial|drop|tak|knock|shav|wip)(?:e|es|ing|s)?"
        rf"(?: off| back| away)?(?: (?:the|our|my|some|a little|a bit of|a lot of|more))* {_PACE}(?: off)?",
        rf"(?:bring|take|get)(?:s|ing)? (?:the |our )?(?:{_PACE}|car|it|us) down(?! to (?:zero|a (?:halt|stop)))",
        r"(?:knock|take|shave|wipe|scrub|bleed|trim|drop)(?:s|ing)? (?:off )?(?:\w+ ){0,2}?"
        r"(?:km/h|mph|kilomet(?:re|er)s|miles)(?: (?:per|an) hour)?(?: off)?",
        rf"(?:keep|hold|wind|scale|bring|pull|turn)(?:s|ing)? (?:the |our )?{_PACE} "
        r"(?:low|down|back|moderate)",
        r"(?:creep|inch)(?:es|s|ing)? (?:forward|along|over|past|through)",
        r"(?:get|come|stay)(?:s|ting|ing)? off the (?:gas|accelerator|throttle)",
        rf"(?:set|choose|pick)(?:s|ing)? (?:a )?(?:lower|reduced|slower|gentler) {_PACE}",
        r"(?:go|drive|travel|roll)(?:es|s|ing)?(?: \w+)? (?:slower|slowly|more slowly)",
        r"(?:take|lift|ease)(?:s|ing)? (?:the |my |our |your )?foot off|lift(?:s|ing)? off|throttl(?:e|ing) back",
        r"(?:tap|dab|touch|squeeze)(?:s|ing)? the brakes?",
        r"(?:drop|come down|go down|slow) to "
        r"(?:\d+|ten|twenty|thirty|forty|fifty|sixty|a crawl|walking (?:pace|speed))",
        r"coast(?:s|ing)? down|crawl(?:s|ing)?",
    ),
    Longitudinal.GAP_SEARCHING: (
        r"(?:find|search|look|seek|wait|creat|open|mak)(?:e|es|ing|s)?(?: for)? "
        r"(?:a |an |the |to fit into a )*gap",
        r"fit(?:ting|s)? into (?:a |the )gap",
        r"(?:find|search|look|seek|wait|hunt|aim|scan|watch|try to find|line up)(?:es|s|ing)?"
        r"(?: for| with| to find)?"
        rf" (?:a |an |the |some )*(?:[\w-]+ )?{_OPENING}(?: (?:in|on|between|behind|beside|among|within) .*)?",
        r"(?:creat|open|mak)(?:e|es|ing|s)?(?: up)? (?:a |an |some )?(?:room|space|opening) "
        r"(?:beside|next to|between|alongside).*",
        r"(?:space|gap|room|opening) opens (?:up )?(?:beside|next to|between|ahead of)(?: us)?",
        rf"(?:drop|slot|slip|fit|squeeze|time)(?:s|ping|ting|ing)?(?: (?:our|the) speed to \w+)?(?: in)?to "
        rf"(?:a |the |an )?{_OPENING}.*",
        r"(?:find|look for|seek)(?:s|ing)? (?:a |some )?(?:place|spot) (?:to|in|between).*",
        r"slot(?:s|ting)? in (?:after|behind|between) .*",
    ),
    Longitudinal.PASSING_ACCELERATION: (
        r"(?:accelerat(?:e|es|ing)|speed(?:s|ing)? up|(?:gain|pick(?:s|ing)? up|gather|build)(?:s|ing)?(?: up)? "
        r"(?:speed|pace)|increas(?:e|es|ing) (?:the |our )?speed)"
        r"(?: (?:to|and|for) (?:pass|overtake|get past|get by|go past|go by|passing|overtaking))?",
        r"overtak(?:e|es|ing)",
        r"pass(?:es|ing)? (?:the |a )?(?:slow|slower|lead|car|vehicle|truck)",
        rf"pass(?:es|ing)? (?:the |a )?{_LEAD}",
        r"pass(?:es|ing)? (?:the|a|an|that|this) (?!parked|stopped|stationary|junction|crossing|school|play|sign"
        r"|works|road|light|exit|kerb|curb|village|bend|broken)[\w-]+",
        r"(?:get|go|move|pull|push|surge|power|sweep|squeeze|drive|nip)(?:s|ting|ing)?(?: on)? "
        rf"(?:past|ahead of|by) (?:the |a |an )?{_LEAD}",
        r"(?:get|go|move|pull|push|surge|power|sweep|squeeze|drive|nip|dart)(?:s|ting|ing)?(?: on)? "
        r"(?:past|ahead of|by) (?:the|a|an|that|this) (?!junction|crossing|school|play|sign|works|road|light|exit"
        r"|kerb|curb|village|bend|pedestrian|child)[\w-]+",
        r"floor(?:s|ing)? it",
        r"(?:put(?:ting)?|press|floor|push) (?:the |our )?(?:foot|accelerator|throttle|gas)(?: down)?",
        r"step(?:s|ping)? on (?:it|the gas)|(?:open|hit)(?:s|ing)? the (?:throttle|gas)|add(?:s|ing)? power",
        rf"leav(?:e|es|ing) (?:the |a )?{_LEAD} behind",
        r"(?:go|drive)(?:es|s|ing)? faster",
    ),
    Longitudinal.YIELD: (
        r"yield(?:s|ing)?",
        r"giv(?:e|es|ing) way",
        r"let(?:s|ting)? (?:[\w-]+ ){1,4}?(?:pass|cross|go|through)(?: first)?",
        rf"(?:let|lets|letting|allow|allows|allowing|leave) (?!us\b|me\b|the (?:distance|gap|speed))"
        rf"(?:[\w-]+ ){{1,8}}?(?:to )?{_THEIR_ACTS}(?: first)?",
        r"(?:stop|wait|brake|slow down|pause|hold|halt)(?:s|ping|ing)? for (?:the |a |an )?(?:\w+ ){0,2}?"
        r"(?:pedestrian|person|cyclist|cross(?:ing)? traffic|crossing (?:car|vehicle))s?",
        rf"(?:wait|pause|hold|halt)(?:s|ing)?(?: on)? (?:for|until|till) (?:the |a |an |any )?"
        rf"(?:[\w-]+ ){{0,2}}?{_SOMEBODY}(?! (?:stop|sign|lane|light)\b)(?! \w+ sign)",
        r"(?:brake|slow(?: down)?|wait|stop|hold|pause|hold back|stay back)(?: \w+){0,2} so (?:that )?"
        rf"(?:[\w-]+ ){{1,5}}?(?:can|could|may) (?:get|{_THEIR_ACTS})",
        r"(?:hold|stay|hang|keep|stand) back(?: (?:for|so|until|while|to let).*)?",
        r"giv(?:e|es|ing) (?:\w+ ){0,3}?(?:priority|right of way|precedence)",
        r"(?:grant|conced|ced|respect|honour|leav)(?:e|es|ing|s)? (?:the )?(?:[\w-]+ ){0,6}?"
        r"(?:priority|right of way|precedence)",
        r"(?:defer|ced|conced)(?:e|es|ring|ing|s)? to",
        r"(?:goes|go) first",
    ),
    Longitudinal.STOP_STATIC: (
        r"(?:full |complete )?stop(?:s|ping)?(?! (?:sign|line|bar|light)\b)",
        r"(?:to a )?standstill",
        r"halt(?:s|ing)?",
        r"(?:com(?:e|es|ing)|bring(?:s|ing)?)(?: [\w-]+){0,2}? to (?:rest|a halt|a stop|a standstill)",
        rf"(?:hold|wait|pull up|draw up|queue|stay put|stand|rest|remain)(?:s|ing)? "
        rf"(?:at|behind|before|short of|in front of) {_LINE}",
        r"(?:remain|stay|stand|end up|keep|sit)(?:s|ing)?(?: \w+)? "
        r"(?:at rest|still|stationary|put (?:at|behind|before))",
        r"(?:pull|draw)(?:s|ing)? up (?:short of|before|at|in front of) (?:the|a|an) [\w-]+",
        r"stand(?:s|ing)? still|freez(?:e|es|ing)",
        r"(?:down to|to) zero",
        r"hold(?:s|ing)? the brakes?",
        r"keep(?:s|ing)? the (?:wheels|car) still",
    ),
}
SPEED: dict[Speed, tuple[str, ...]] = {
    Speed.STOP: (
        r"stop(?:s|ping)?(?! sign)",
        r"standstill",
        r"halt(?:s|ing)?",
        r"wait(?:s|ing)?",
        r"to (?:rest|zero)",
        r"at rest",
    ),
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
        r"(?:gain|gather|pick(?:s|ing)? up)(?:s|ing)? (?:speed|pace)",
        r"increas(?:e|es|ing) (?:the )?speed",
    ),
}
