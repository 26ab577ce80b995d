"""The labelled sentences and what the report makes of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rewards.intent import DEFAULT_LATERAL, DEFAULT_LONGITUDINAL, DIRECTIONAL, from_steps
from rewards.intent_parser import Parse, RuleParser
from rewards.labelled_intents import LATER_FILE, LabelledText, Part, load, read
from rewards.parser_report import as_json, report
from scenes.decisions import Direction, Lateral, Longitudinal

HARD = {"negation", "hedge", "other-agent", "conditional", "question"}


def test_the_set_is_large_varied_and_consistent_in_itself():
    texts = load()
    assert len(texts) >= 400
    assert len({labelled.text for labelled in texts}) == len(texts)
    assert sum("paraphrase" in labelled.tags for labelled in texts) >= 120
    assert sum(bool(labelled.tags & HARD) for labelled in texts) >= 60
    assert sum("unparsable" in labelled.tags for labelled in texts) >= 30
    for labelled in texts:
        longitudinal, lateral, direction = labelled.decisions
        assert ("unparsable" in labelled.tags) == (longitudinal is None) == (lateral is None), labelled
        assert direction is None or lateral in DIRECTIONAL, labelled
        assert ("multi-step" in labelled.tags) == (len(labelled.steps) > 1), labelled
        if labelled.steps:
            first = next((s for s in labelled.steps if s[1]), (None, DEFAULT_LATERAL, None))
            pace = next((s[0] for s in labelled.steps if s[0]), DEFAULT_LONGITUDINAL)
            assert labelled.decisions == (pace, first[1], first[2]), labelled


def test_every_decision_is_in_every_part():
    for part in Part:
        chosen = [labelled.decisions for labelled in load() if labelled.part is part]
        assert {d[0] for d in chosen} == {*Longitudinal, None}
        assert {d[1] for d in chosen} == {*Lateral, None}


def test_the_half_of_a_sentence_depends_on_its_text_alone():
    texts = {labelled.text: labelled.part for labelled in load() if not labelled.later}
    assert texts["Slow down for the bend, then turn left."] is Part.DEVELOPMENT
    halves = [list(texts.values()).count(part) for part in (Part.DEVELOPMENT, Part.HELD_OUT)]
    assert min(halves) > 0.45 * len(texts)
    assert {labelled.part for labelled in read(LATER_FILE, later=True)} == {Part.LATER}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "Expecting"),
        (
            '{"text": "a", "longitudinal": "fly", "lateral": null, "direction": null, "steps": [], "tags": []}',
            "fly",
        ),
        ('{"text": "a", "longitudinal": null, "lateral": null, "direction": null, "steps": []}', "tags"),
        (
            '{"text": "a", "longitudinal": null, "lateral": null, "direction": null, "steps": [], "tags": ["odd"]}',
            "odd",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, reason):
    path = tmp_path / "set.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=rf"set\.jsonl:1: .*{reason}"):
        read(path)


class Always:
    """A parser that reads every text alike."""

    version = "always"

    def parse(self, texts):
        rules = RuleParser().parse(["Turn left and yield."])[0]
        return [Parse(rules.intent) for _ in texts]


def labelled(text, *decisions, steps=(), tags=()):
    return LabelledText(text, decisions, steps, frozenset(tags), later=True)


def test_precision_recall_and_shares_by_hand():
    turn = (Longitudinal.YIELD, Lateral.TURN, Direction.LEFT)
    texts = [
        labelled("a", *turn),
        labelled("b", Longitudinal.YIELD, Lateral.LANE_KEEPING, None, tags={"hedge"}),
        labelled("c", None, None, None, tags={"hedge", "unparsable"}),
        labelled(
            "d", *turn, steps=((Longitudinal.YIELD, None, None), (None, *turn[1:])), tags={"multi-step"}
        ),
    ]
    found = report(texts, Always(), Part.LATER)
    pace, path, side = (
        found.decisions["longitudinal"],
        found.decisions["lateral"],
        found.decisions["direction"],
    )
    assert (pace["yield"].precision, pace["yield"].recall) == (0.75, 1.0)
    assert (path["turn"].precision, path["turn"].recall) == (0.5, 1.0)
    assert (path["lane_keeping"].precision, path["lane_keeping"].recall) == (None, 0.0)
    assert (side["left"].right, side["left"].said, side["left"].meant) == (2, 4, 2)
    assert found.tags["all"] == (1, 4)
    assert found.tags["plain"] == (1, 1)
    assert found.tags["hedge"] == (0, 2)
    assert found.tags["multi-step"] == (0, 1)
    assert [miss.text for miss in found.misses] == ["b", "c", "d"]
    assert report(texts, Always(), Part.DEVELOPMENT).sentences == 0
    assert json.loads(json.dumps(as_json(found)))["tags"]["read"] == {
        "right": 1,
        "sentences": 4,
        "share": 0.25,
    }


def test_the_rules_read_as_much_as_the_docs_say():
    """Floors a little under the figures in docs/rewards-consistency.md: a change that reads less must say so."""
    floors = {Part.DEVELOPMENT: 0.97, Part.HELD_OUT: 0.87, Part.LATER: 0.77}
    for part, floor in floors.items():
        right, count = report(load(), RuleParser(), part).tags["all"]
        assert right >= floor * count, part


def test_what_is_read_is_seldom_wrong():
    for part in Part:
        right, count = report(load(), RuleParser(), part).tags["read"]
        assert right >= 0.87 * count, part


def test_an_intent_from_steps_states_the_first_decision_of_each_axis():
    whole = RuleParser().parse(["Slow down, then turn left, then accelerate."])[0].intent
    plain = [replace(step, speed=None) for step in whole.steps]
    assert from_steps(plain, whole.matched) == replace(whole, steps=tuple(plain), speed=None)
    assert not from_steps([], ()).parsed
