"""`ar1 reward parser-report`, `parse` and `taxonomy` from the shell."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from rl.commands import reward
from scenes.decisions import Lateral, Longitudinal


def run(*words):
    return CliRunner().invoke(reward.app, list(words))


def test_the_report_tells_decisions_axes_tags_and_parts_and_hides_errors_that_nobody_may_tune_on():
    data = json.loads(run("parser-report", "--json").stdout)
    assert data["parser"] == "rules-2"
    assert list(data["parts"]) == ["development", "held-out", "later"]
    for name, part in data["parts"].items():
        assert {*Longitudinal, "none"} == set(part["decisions"]["longitudinal"])
        assert {*Lateral, "none"} == set(part["decisions"]["lateral"])
        assert {"multi-step", "negation", "hedge", "other-agent", "unparsable"} <= set(part["tags"])
        assert ("misses" in part) == (name == "development")
    told = run("parser-report", "--misses").stdout
    assert "precision / recall" in told
    assert "labelled" in told


def test_a_text_is_parsed_aloud():
    told = run("parse", "After the truck passes, slow down; do not stop, then turn left.").stdout
    assert "1. speed_adaptation after 'the truck passes', 2. turn left" in told
    assert "not counted: stop (denied)" in told
    assert "unparsable: the text" not in run("parse", "The light is red.").stdout
    assert "states no driving decision" in run("parse", "The light is red.").stdout
    steps = json.loads(run("parse", "Slow down, then turn left.", "--json").stdout)["steps"]
    assert [(s["longitudinal"], s["lateral"]) for s in steps] == [("speed_adaptation", None), (None, "turn")]


def test_both_taxonomies_are_printed():
    data = json.loads(run("taxonomy", "--json").stdout)
    assert [row["decision"] for row in data["decisions"]] == [*Longitudinal, *Lateral]
    assert data["meta_actions"]["strong_deceleration"]["paper"] == "Strong decelerate"
    told = run("taxonomy").stdout
    assert "lateral_maneuver_abort" in told
    assert "sharp_steer_left" in told


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--parser", "regex"), "package.module:factory"),
        (("--option", "model"), "KEY=VALUE"),
        (("--parser", "no.such:thing"), "No module"),
    ],
)
def test_a_wrong_parser_says_what_is_wrong(words, reason):
    result = run("parse", "Stop.", *words)
    assert result.exit_code == 2
    assert reason in " ".join(result.output.replace("│", " ").split())
