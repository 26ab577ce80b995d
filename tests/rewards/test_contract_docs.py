"""docs/reward-contract.md says what is: its bytes decode, its messages parse, its list of checks is complete."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from typer.testing import CliRunner

from rewards.conformance.runner import checks
from rewards.conformance.subject import require_faultless
from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import decode, encode
from rewards.wire.codec import decode_rollout
from rl.commands.reward import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reward-contract.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def hexadecimal(block):
    return bytes.fromhex("".join(line.partition("#")[0] for line in block.splitlines()))


def test_the_worked_example_decodes_to_the_matrix_and_encodes_to_the_same_bytes():
    matrix = np.array([[1.0, -0.5], [0.25, 2.0]], np.float32)
    data, message = map(hexadecimal, blocks("hex"))
    array = pb.Array.FromString(message)
    assert array.data == data
    assert (decode(array) == matrix).all()
    assert encode(matrix).SerializeToString(deterministic=True) == message


def test_the_messages_of_the_page_parse_and_match():
    request, response = blocks("textproto")
    asked = text_format.Parse(request, pb.ScoreRequest())
    answered = text_format.Parse(response, pb.ScoreResponse())
    rollouts = [decode_rollout(message) for message in asked.rollouts]
    assert rollouts[0].actions.tolist() == [[-0.5, 0.0]]
    # One step from 8 m/s at -0.5 m/s2.
    assert rollouts[0].states[0] == pytest.approx([0.7975, 0.0, 0.0, 7.95])
    assert [r.valid for r in rollouts] == [True, False, False]
    assert [r.rollout_id for r in answered.results] == [r.rollout_id for r in rollouts]
    described = pb.Description(low=-1.0, high=0.0)
    described.components.add(name="mean_jerk", low=0.0, high=float("inf"))
    require_faultless(answered.results, described)


def test_every_check_stands_in_the_page_and_every_status_in_its_table():
    rules = {check.name: check.rule for check in checks()}
    assert len(rules) > 30
    assert all(rules.values())
    listed = re.findall(r"^\| `([a-z]+/[a-z0-9-]+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert dict(listed) == rules
    shown = CliRunner().invoke(app, ["check", "--list"])
    assert shown.exit_code == 0
    assert all(name in shown.stdout for name in rules)
    for status in set(pb.Status.keys()) - {"STATUS_UNSPECIFIED"}:
        assert f"| `{status}` |" in PAGE


def test_the_page_counts_the_lines_of_the_foreign_server():
    lines = len((ROOT / "tests" / "rewards" / "foreign" / "server.js").read_text().splitlines())
    assert f"server in {lines} lines of JavaScript" in " ".join(PAGE.split())
