"""The phrases by which a text states a lateral decision; see `rewards.decision_phrases`."""

from __future__ import annotations

from scenes.decisions import Lateral

# A word that goes on with the same phrase.
_W = r"(?: (?!(?:and|then|but|or)\b)[\w-]+)"
# The same, of a manoeuvre that is done whole.
_WHOLE = r"(?: (?!(?:and|then|but|or|partly|partially|half|halfway|briefly|slightly)\b)[\w-]+)"
_SIDE = r"(?:to (?:the|its|my|our) |on (?:the|our) |the )?(?P<side>left|right)(?:-hand)?(?: side)?"
_LATER_SIDE = rf"(?:{_W}{{0,7}}? (?P<side>left|right)\b(?:-hand)?)?"
_OUR = r"(?:(?:the|our|my|its|this|own|same) )*"
_MARK = r"(?:line|lines|marking|markings)"
_GO = (
    r"(?:mov|chang|switch|shift|hop|go|slid|step|jump|get|cross|steer|relocat|return|tak|us|enter|cut|com|put"
    r"|pull|swap|tuck|drop|nip|squeez|swing|swerv|transfer|proceed)(?:e|es|ing|s|ting|ning)?"
)
_EDGE = (
    r"(?:shoulder|hard shoulder|bus bay|bay|layby|kerb|curb|verge|roadside|lay-by"
    r"|parking (?:bay|spot|space)|side of the road"
    r"|edge of the road|edge)"
)
_FORK = r"(?:fork|split|branch|division|divide)"
_MOTORWAY = r"(?:motorway|highway|freeway|carriageway|expressway|traffic|flow|stream)"
_STREET = r"(?:street|road|side street|side road|turning|exit|avenue|lane off)"
_CORNER = r"(?:junction|intersection|crossing|crossroads|corner|t-junction|lights|roundabout|side street)"

LATERAL: dict[Lateral, tuple[str, ...]] = {
    Lateral.LANE_KEEPING: (
        r"(?:keep|hold|maintain)(?:ing|s)? (?:to |in )?(?:the |my |its |this |our )?(?:current )?"
        r"(?:lane|course)(?! change)",
        r"(?:stay|remain|keep|continu)(?:e|es|ing|s)?(?: \w+)? (?:in|within) "
        r"(?:the |my |its |this |our )?(?:current )?lane(?! mark)",
        r"(?:go|drive|continue|proceed)(?:es|s|ing)? straight(?: (?:on|ahead|through))?",
        r"straight (?:on|ahead)",
        r"(?:stay|remain|keep)(?:ing|s)? (?:in|on) the (?P<side>left|right)(?:-hand)?(?: lane| side)?",
        r"(?:continue|stay|remain|keep)(?:ing|s)? (?:on|to) (?:our|the|this) (?:\w+ )?(?:course|path)",
        r"stick(?:s|ing)? to (?:the |my |our |this )(?:current |own )?lane",
        r"(?:track|follow|hold|keep to)(?:s|ing)? (?:the )?(?:centre|center|middle)(?: line)?"
        r"(?: of (?:the |our |my )?lane)?",
        rf"(?:stay|remain|keep)(?:s|ing)?(?: \w+)? (?:between|within|inside) (?:the )?(?:lane )?{_MARK}",
        r"(?:go|come|move|get|drift|return|back)(?: \w+)? (?:in)?to "
        r"(?:the (?:middle|centre|center) of )?(?:the lane(?: centre| center)?(?! on| to)|our lane|ours)",
        r"(?:no|without) (?:lateral|sideways) (?:move|movement|motion)",
    ),
    Lateral.MERGE_SPLIT: (
        rf"merg(?:e|es|ing)(?: into(?: the)?)?(?: {_SIDE})?(?: lane)?",
        rf"(?:a )?merge{_LATER_SIDE}",
        rf"join(?:s|ing)? the lane {_SIDE}(?: by merging)?",
        rf"join(?:s|ing)? the {_MOTORWAY}{_LATER_SIDE}",
        r"(?:filter|slip|blend|zip|feed|slot|ease)(?:s|ping|ing)? in(?:to)?(?: the)?"
        rf"(?: {_MOTORWAY}| [\w-]+ {_MOTORWAY})?{_LATER_SIDE}",
        rf"tak(?:e|es|ing) the (?:[\w-]+ )?(?:ramp|off-ramp|slip road){_LATER_SIDE}",
        rf"tak(?:e|es|ing) the (?P<side>left|right)(?:-hand)? (?:{_FORK}|ramp|off-ramp|slip road|exit)",
        rf"(?:bear|keep|go|stay|veer)(?:s|ing)? {_SIDE} (?:at|where) (?:the )?(?:[\w-]+ )?(?:{_FORK}|road divides)",
        rf"(?:split|peel|fork|branch)(?:s|ting|ing)? off{_LATER_SIDE}",
        rf"exit(?:s|ing)? {_SIDE}",
        rf"(?:leav|exit)(?:e|es|ing)? the {_MOTORWAY}{_LATER_SIDE}",
    ),
    Lateral.OUT_OF_LANE_NUDGE: (
        rf"(?:nudg|mov|swing|shift|steer|veer)(?:e|es|ing|s)? (?:slightly |a little )?{_SIDE}"
        r"(?: \w+){0,2}? (?:over|across|out of|beyond) the (?:lane |centre |center )*(?:line|lane)",
        rf"(?:swing|nudg|mov)(?:e|es|ing|s)?(?: out)? (?:out of|over|across) the (?:lane |centre )*(?:line|lane)"
        rf"(?: {_SIDE})?",
        rf"(?:cross|straddl)(?:e|es|ing)? (?:over )?the (?:[\w-]+ )?(?P<side>left|right) (?:lane )?{_MARK}",
        rf"(?:cross|straddl)(?:e|es|ing)? (?:over )?the (?:centre |center |lane |dashed |solid |middle )*"
        rf"{_MARK}{_LATER_SIDE}",
        r"(?:borrow|us)(?:e|es|ing|s)? (?:a )?(?:part|some|half|bit|piece) of "
        r"the (?P<side>left|right)(?:-hand)? lane",
        rf"(?:borrow|us)(?:e|es|ing|s)? (?:a )?(?:part|some|half|bit|piece) of the [\w-]+ lane{_LATER_SIDE}",
        rf"(?:over|beyond|across) the (?P<side>left|right) (?:lane )?{_MARK}",
        rf"(?P<side>left|right) (?:over|beyond|across) the (?:lane |centre |center )?{_MARK}",
        rf"encroach(?:es|ing)? (?:on|into|onto){_W}{{0,3}}? lane{_LATER_SIDE}",
        r"(?:partly|partially|half|briefly) (?:out of|outside|into|over) "
        rf"(?:the |our )?(?:[\w-]+ )?lane{_LATER_SIDE}",
        r"(?:partly|partially|half|halfway|briefly) (?:into|over|onto) the (?P<side>left|right)(?:-hand)? lane",
        r"(?:dip|poke|lean)(?:s|ping|ing)? (?:in)?to the (?P<side>left|right)(?:-hand)? lane",
        rf"wheels (?:over|across|beyond) the (?:[\w-]+ )?{_MARK}{_LATER_SIDE}",
    ),
    Lateral.IN_LANE_NUDGE: (
        rf"(?:nudg|mov|shift|steer|veer)(?:e|es|ing|s)? (?:slightly |a little )?{_SIDE}"
        r"(?: \w+){0,2}? (?:within|inside|in) (?:the |my |its )?(?:same )?lane",
        rf"(?:nudg|shift)(?:e|es|ing|s)? (?:slightly |a little )?{_SIDE}",
        r"nudg(?:e|es|ing)",
        r"(?:hug|favou?r)(?:s|ging|ing)? (?:the|its|our) (?P<side>left|right)(?:-hand)?"
        r"(?: (?:edge|side|half|part))?"
        rf"(?: of {_OUR}lane)?",
        r"(?:bias|edge|edg|drift|offset|lean|creep|squeez|sit|inch|eas|shad|keep|position|mov|shift|steer|veer"
        rf"|nudg|stay|go|slid|tend|head|com|run|rid)(?:e|es|ing|s|ting)?{_W}{{0,6}}?"
        rf" (?P<side>left|right)(?:-hand)?{_W}{{0,4}}?(?:,? but (?:stay|remain|keep)(?:ing)?(?: \w+)?)?"
        r" (?:within|inside|in|of|leaving) "
        rf"{_OUR}lane",
    ),
    Lateral.LANE_CHANGE: (
        r"(?:chang|switch|mov)(?:e|es|ing)? (?:in)?to (?:the )?"
        r"(?P<side>left|right|next|adjacent)(?: \w+)? lane",
        rf"(?:chang|switch)(?:e|es|ing)? lanes?(?: {_SIDE})?",
        rf"lane change(?: {_SIDE})?",
        r"(?P<side>left|right) lane change",
        rf"{_GO}{_WHOLE}{{0,3}}? (?:in|into|to|onto) (?:the |our |my )(?:[\w-]+ )?(?P<side>left|right)(?:-hand)? "
        rf"lane(?! {_MARK})",
        rf"(?:tak|us|enter|get in)(?:e|es|ing|s)? the (?P<side>left|right)(?:-hand)? lane(?! {_MARK})",
        rf"{_GO}{_W}{{0,4}}? (?:the )?(?:[\w-]+ )?lane (?:on|to) (?:the |our |its )?(?P<side>left|right)"
        r"(?:-hand(?: side)?)?",
        r"(?:one|a) lane (?:over )?(?:to the |to our )?(?P<side>left|right)",
        r"(?:over|across) (?:by )?(?:one|a) lane(?: to the (?P<side>left|right))?",
    ),
    Lateral.PULL_OVER: (
        rf"pull(?:s|ing)? (?:over|aside|in)(?: {_SIDE})?",
        rf"mov(?:e|es|ing) (?:over )?{_SIDE} (?:side|edge) of the road",
        r"park(?:s|ing)? (?:at|on|by) the (?:(?P<side>left|right) )?(?:side|edge|kerb|curb|shoulder)",
        rf"(?:head|mak|steer|go|get|draw|pull|mov|driv|turn|us|park|stop|com)(?:e|es|ing|s|ting)?{_W}{{0,2}}? "
        r"(?:to|onto|for|into|on|at|in) the (?P<side>left|right)(?:-hand)? "
        rf"{_EDGE}",
        rf"(?:head|mak|steer|go|get|draw|pull|mov|driv|turn|us|park)(?:e|es|ing|s|ting)?{_W}{{0,3}}? the "
        rf"{_EDGE}{_LATER_SIDE}",
    ),
    Lateral.TURN: (
        rf"turn(?:s|ing)? {_SIDE}(?: at the (?:junction|intersection|crossing))?",
        r"(?:mak|tak|hang|do)(?:e|es|ing|s)? (?:a |the )?(?P<side>left|right)(?: turn)?"
        r"(?=$|[,:]| (?:turn|at|here|into|onto|and|then|now|after|before|in|as|for)\b)",
        r"(?P<side>left|right) turn",
        rf"(?:go|head|swing|steer|cut|veer|bear|drive|leave)(?:es|s|ing)?{_W}{{0,3}}? (?:to the )?"
        rf"(?P<side>left|right){_W}{{0,3}}? (?:at|into) (?:the |a )?(?:[\w-]+ )?{_CORNER}",
        rf"tak(?:e|es|ing) the (?:next |first |second |third )+{_STREET}{_LATER_SIDE}",
        rf"(?:round|navigat|negotiat|tak)(?:e|es|ing|s)? the corner{_LATER_SIDE}",
        rf"(?:^|, ?)(?P<side>left|right) (?:at|into) (?:the )?(?:[\w-]+ )?{_CORNER}",
        rf"(?:enter|into)(?:s|ing)? (?:the )?side (?:road|street){_LATER_SIDE}",
        r"(?P<side>left|right)-hander",
    ),
    Lateral.ABORT: (
        r"(?:abort|cancel|abandon|giv(?:e|es|ing) up|break(?:s|ing)? off|call(?:s|ing)? off|stop(?:s|ping)?)"
        r"(?:s|ing|ling)? (?:the |a |this )?(?:lane |left lane |right lane )?"
        r"(?:change|merge|nudge|manoeuvre|maneuver)"
        rf"(?:(?: and)? (?:steer|return|go|come|move)(?:s|ing)?(?: back)? {_SIDE})?",
        r"(?:steer|return|go|come|move)(?:s|ing)? back (?:to (?:the )?)?(?P<side>left|right)",
        r"(?:abort|cancel|abandon|drop|scrap|quit|undo|revers|reverse|bail out of|give up|call off|stop)"
        r"(?:e|es|ing|s|ping)? (?:the |this |our |that )?(?:[\w-]+ )*?"
        r"(?:change|merge|move|moving over|manoeuvre|maneuver|overtake|it)\b"
        r"(?: (?:to|into|on) (?:the )?(?:left|right)(?:-hand)?(?: lane)?)?",
        r"(?:abort|cancel|call|scrap)(?:s|ing)? it(?: off)?",
        r"(?:steer|return|go|come|move|slide|settle|fall|tuck|get|drop|swing|drift|retreat)(?:s|ting|ing)? back"
        rf"{_W}{{0,3}}? (?P<side>left|right)(?:-hand)?(?: lane)?",
        r"back (?:to|on|in) the (?P<side>left|right)(?:-hand)?(?: lane)?",
        r"retreat(?:s|ing)?(?: to the (?P<side>left|right))?",
    ),
}
