"""Values, components and explanations are those that the rewards gave before they were made fast."""

from __future__ import annotations

import json
import re

import pytest
from recorded_scenes import GROUP, RECORDED, rewards, rollouts, scenes, scored

CLOSE = 1e-6
CLIPS = scenes()
VIEWS = rollouts(CLIPS)
BEFORE = json.loads(RECORDED.read_text())
_NUMBER = re.compile(r"-?\d+\.\d+")


def alike(found, before):
    """Whether [value, components, explanation] say the same; numbers in words are rounded: a last bit may tip."""
    (value, parts, told), (old, old_parts, old_told) = found, before
    numbers, old_numbers = ([float(n) for n in _NUMBER.findall(text)] for text in (told, old_told))
    return (
        (value is None) == (old is None)
        and (value is None or value == pytest.approx(old, abs=CLOSE))
        and parts == pytest.approx(old_parts, rel=CLOSE, abs=CLOSE)
        and _NUMBER.sub("#", told) == _NUMBER.sub("#", old_told)
        and numbers == pytest.approx(old_numbers, abs=0.011)
    )


@pytest.mark.parametrize("name", BEFORE)
def test_scores_are_as_recorded(name):
    found = scored(rewards()[name], VIEWS, CLIPS)
    rows = zip(VIEWS, found, BEFORE[name], strict=True)
    assert [(view.rollout_id, one, other) for view, one, other in rows if not alike(one, other)] == []


@pytest.mark.parametrize("name", BEFORE)
def test_a_rollout_scores_alone_as_among_others(name):
    reward = rewards()[name]
    found = [row for view in VIEWS[::5] for row in scored(reward, [view], CLIPS)]
    together = scored(reward, VIEWS, CLIPS)[::5]
    for one, other in zip(found, together, strict=True):
        assert one[0] == pytest.approx(other[0], abs=1e-12)
        assert one[1] == pytest.approx(other[1], abs=1e-9)


def test_the_recorded_rollouts_meet_every_branch():
    parts = [row[1] for row in BEFORE["every term"] if row[1]]
    for name in ("collision", "short_ttc", "off_road", "reverse"):
        assert sum(row.get(name, 0.0) > 0.0 for row in parts) / len(parts) > 0.02, name
    told = " ".join(row[2] for row in BEFORE["consistency"])
    for word in ("unparsable", "step 1 of 2", "should come before", "stands before the line", "does it"):
        assert word in told, word
    passed = sum(row[0] == 1.0 for row in BEFORE["consistency"])
    assert passed > GROUP / 2
