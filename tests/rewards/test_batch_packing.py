"""A batch unpacked together is its rollouts one by one; a table packed together is its scores one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_scenes import actions, invalid, rollout

from rewards.score import RolloutView, Score, Status
from rewards.score_table import ScoreTable
from rewards.wire import reward_pb2 as pb
from rewards.wire.arrays import WireError
from rewards.wire.codec import EXPLANATION_CHARS, decode_rollout, encode_rollout, encode_score
from rewards.wire.results import as_cached, packed_scores
from rewards.wire.rollouts import decode_rollouts


def spoiled() -> list[pb.Rollout]:
    """Good rollouts among those with every kind of fault."""
    messages = [encode_rollout(rollout(i, drive=actions(0.1 * i)[: 64 - i])) for i in range(4)]
    messages += [encode_rollout(invalid(4)), *(encode_rollout(rollout(i)) for i in range(5, 16))]
    messages[5].states.data = messages[5].states.data[:-8] + np.float64(math.nan).tobytes()
    messages[6].actions.data = np.float64(math.inf).tobytes() + messages[6].actions.data[8:]
    messages[7].actions.dtype = 99  # type: ignore[assignment]
    messages[8].states.shape[1] = 3
    messages[9].ClearField("states")
    messages[10].valid = False
    messages[11].rollout_id = ""
    messages[12].clip_id = "x" * 257
    messages[13].text = "é" * (2**15 + 1)
    messages[14].actions.shape.append(1)
    narrow = np.frombuffer(messages[15].states.data).astype("<f4")
    messages[15].states.data = narrow.tobytes()
    messages[15].states.dtype = pb.FLOAT32
    return messages


def alone(message: pb.Rollout) -> RolloutView | str:
    try:
        return decode_rollout(message)
    except WireError as error:
        return str(error)


def test_a_batch_is_unpacked_as_its_rollouts_one_by_one():
    messages = spoiled()
    refusals = set()
    for message, found in zip(messages, decode_rollouts(messages), strict=True):
        due = alone(message)
        if isinstance(due, str):
            assert isinstance(found, WireError)
            assert str(found) == due
            refusals.add(due)
            continue
        assert isinstance(found, RolloutView)
        for name in due.__dataclass_fields__:
            one, other = getattr(found, name), getattr(due, name)
            assert np.array_equal(one, other) if isinstance(other, np.ndarray) else one == other
    assert len(refusals) >= 8


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], ScoreTable]:
    """A table with missing scores, absent and infinite components, and explanations of any length."""
    rows = draw(st.integers(1, 6))
    names = tuple(draw(st.lists(TEXTS.filter(bool), max_size=4, unique=True)))
    parts = draw(
        st.lists(
            st.one_of(NUMBERS, st.just(math.nan)), min_size=rows * len(names), max_size=rows * len(names)
        )
    )
    missing = draw(st.dictionaries(st.integers(0, rows - 1), st.sampled_from([Status.DATA, Status.DEADLINE])))
    values = np.array([math.nan if row in missing else draw(NUMBERS) for row in range(rows)])
    told = [draw(st.sampled_from(["", "short", "é" * 70, "x" * 5000])) + draw(TEXTS) for _ in range(rows)]
    numbers = np.array(parts, dtype=float).reshape(rows, len(names))
    if names and draw(st.booleans()):
        numbers[0, 0] = math.inf
    ids = [draw(TEXTS.filter(bool)) for _ in range(rows)]
    return ids, ScoreTable(
        "r", "1", values, names, numbers, told, missing, draw(st.sampled_from([0.0, 0.25]))
    )


@settings(max_examples=300, deadline=None)
@given(tables())
def test_a_table_is_packed_as_its_scores_one_by_one(case):
    ids, table = case
    found = packed_scores(ids, table)
    alone = packed_scores(ids, list(table))
    for (status, data), (status_alone, data_alone), score in zip(found, alone, table, strict=True):
        result = pb.Result.FromString(data)
        assert result == pb.Result.FromString(data_alone) == encode_score(result.rollout_id, score)
        assert status == status_alone == result.status
        assert len(result.explanation) <= EXPLANATION_CHARS
        again = pb.Result.FromString(as_cached(data))
        assert again.cached
        again.cached = False
        assert again == result


def test_a_table_is_a_sequence_of_scores():
    parts = np.array([[1.0, math.nan], [2.0, 3.0], [0.0, 0.0]])
    table = ScoreTable(
        "r", "7", np.array([0.5, -1.0, math.nan]), ("a", "b"), parts, ["x", "y", "z"], {2: Status.DATA}
    )
    assert list(table) == [table[0], table[1], table[-1]] == table[:]
    assert table[0] == Score("r", 0.5, components={"a": 1.0}, explanation="x", version="7")
    assert table[1].components == {"a": 2.0, "b": 3.0}
    assert (table[2].value, table[2].status, table[2].components) == (None, Status.DATA, {})
    with pytest.raises(IndexError):
        table[3]


def test_a_value_and_a_status_that_contradict_each_other_are_refused():
    for values, missing in (([math.nan], {}), ([0.0], {0: Status.DATA}), ([math.inf], {})):
        with pytest.raises(ValueError, match="contradict"):
            ScoreTable("r", "1", np.array(values), (), np.zeros((1, 0)), [""], missing)
