"""The completion grammar and the parser that rests on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_grammar import GRAMMAR, VOCABULARY, completion

from policy.completion import drive, parse_completion
from policy.grammar import Phase
from policy.trajectory_tokens import FutureCodec


def parse(ids: np.ndarray, logprobs: list[float] | None = None):
    values = logprobs if logprobs is not None else [-0.5] * len(ids)
    return parse_completion(ids, values, [3] * len(ids), "stop", GRAMMAR, lambda row: " ".join(map(str, row)))


def test_a_whole_completion_parses() -> None:
    result = parse(completion([1, 2, 3], [7, 0, 1, 2]))
    assert result.valid
    assert result.text == "1 2 3"
    assert result.bins is not None
    assert result.bins.tolist() == [7, 0, 1, 2]
    assert result.forced.tolist() == [False] * 4 + [True] + [False] * 4 + [True]


def test_phases_force_the_end_of_reasoning_at_the_budget() -> None:
    ids = completion([1] * 6)
    phases = GRAMMAR.phases(ids)
    assert phases[6] == Phase.FORCED
    assert GRAMMAR.phases(completion([1] * 5))[5] == Phase.TEXT


def test_only_the_text_is_learned_from_where_the_expert_drove() -> None:
    own = parse(completion([1, 2, 3], [7, 0, 1, 2]))
    driven = replace(own, expert_actions=np.array([[-1.0, 0.01], [0.5, 0.0]], np.float32))
    assert own.learned.tolist() == [True] * 4 + [False] + [True] * 4 + [False]
    assert driven.learned.tolist() == [True] * 4 + [False] * 6
    assert (own.trajectory_from, driven.trajectory_from) == ("discrete", "expert")
    codec = FutureCodec(bins=8)
    trajectory = drive(driven, codec, speed=5.0)
    assert trajectory is not None
    assert np.array_equal(trajectory.actions, driven.expert_actions.astype(float))
    assert not np.allclose(trajectory.states, drive(own, codec, speed=5.0).states)
    invalid = parse(np.array([1, 2]))
    assert invalid.trajectory_from is None
    assert invalid.learned.tolist() == [True, True]


def test_where_the_expert_drives_a_completion_ends_where_it_begins() -> None:
    grammar = replace(GRAMMAR, trajectory=False)
    ids = completion([1, 2, 3], [7, 0, 1, 2])
    text = ids[:5]
    assert text[-1] == grammar.last == VOCABULARY.traj_start
    assert GRAMMAR.last == VOCABULARY.traj_end
    assert len(completion([1] * GRAMMAR.max_text)) == GRAMMAR.max_tokens
    assert grammar.max_tokens == GRAMMAR.max_text + 2
    found = parse_completion(text, [-0.5] * 5, [3] * 5, "stop", grammar, str)
    assert (found.valid, found.bins) == (True, None)
    assert found.learned.tolist() == [True] * 4 + [False]
    assert drive(found, FutureCodec(bins=8), 5.0) is None
    assert found.trajectory_from is None
    driven = replace(found, expert_actions=np.array([[-1.0, 0.01], [0.5, 0.0]], np.float32))
    assert driven.trajectory_from == "expert"
    assert driven.learned.tolist() == found.learned.tolist()
    assert drive(driven, FutureCodec(bins=8), 5.0) is not None
    assert str(grammar.violation(ids)).startswith("5 tokens after <|traj_future_start|>")
    assert "3 trajectory tokens" in str(GRAMMAR.violation(ids[:-2]))


V = VOCABULARY
MALFORMED = {
    "truncated in reasoning": (np.array([1, 2]), "truncated in its reasoning"),
    "empty text": (completion([]), "empty reasoning"),
    "too much text": (completion([1] * 7), "exceeds the budget"),
    "vision id in text": (completion([1, V.image_pad]), "not text"),
    "chat id in text": (completion([1, V.im_end]), "not text"),
    "trajectory id in text": (completion([1, V.future_start]), "not text"),
    "no trajectory start": (np.array([1, V.cot_end, 2]), "does not follow"),
    "ends after cot_end": (np.array([1, V.cot_end]), "does not follow"),
    "truncated trajectory": (completion([1])[:-2], "3 trajectory tokens instead of 4"),
    "history id": (completion([1], [0, 1, 2, 8]), "outside the future range"),
    "text id in trajectory": (completion([1], [0, 1, 2, -5]), "outside the future range"),
    "one bin too many": (completion([1], [0, 1, 2, 3, 4]), "does not close"),
    "token after the end": (np.append(completion([1]), 1), "does not close"),
    "nothing": (np.array([], int), "truncated in its reasoning"),
}


@pytest.mark.parametrize(("ids", "reason"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_completions_are_invalid_with_a_reason(ids: np.ndarray, reason: str) -> None:
    result = parse(ids)
    assert not result.valid
    assert result.reason is not None
    assert reason in result.reason
    assert result.bins is None
    assert drive(result, FutureCodec(bins=8), 10.0) is None


def test_a_lost_probability_makes_a_completion_invalid() -> None:
    ids = completion([1])
    result = parse(ids, [float("nan"), *[-1.0] * (len(ids) - 1)])
    assert not result.valid
    assert "no finite log-probability" in str(result.reason)


def test_a_forward_only_vehicle_stops_where_the_release_reverses() -> None:
    codec = {"bins": 8, "low": (-7.0, -1.0), "high": (7.0, 1.0)}
    braking = parse(completion([1, 2], [0, 3, 0, 3]))
    release = drive(braking, FutureCodec(**codec), 0.5)
    held = drive(braking, FutureCodec(**codec, forward_only=True), 0.5)
    assert release is not None
    assert held is not None
    np.testing.assert_allclose(release.states[:, 3], [-0.2, -0.9])
    np.testing.assert_allclose(held.states[:, 3], [0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(held.actions[:, 0], [-5.0, 0.0], atol=1e-6)


def test_lengths_that_differ_are_a_bug_of_the_engine() -> None:
    with pytest.raises(ValueError, match="log-probabilities"):
        parse_completion([1, 2], [0.0], [0, 0], "stop", GRAMMAR, str)


@given(st.lists(st.integers(0, VOCABULARY.size - 1), max_size=20))
def test_any_ids_parse_to_valid_bins_or_a_reason(ids: list[int]) -> None:
    result = parse(np.array(ids, int))
    assert result.valid == (result.reason is None) == (result.bins is not None)


def test_ids_line_up_with_the_release() -> None:
    from policy.vocabulary import Vocabulary

    release = Vocabulary(151669, 3000, 1000, (), 151644, 151645, 151652, 151653, 151655)
    assert release.size == 155697
    assert release.future_start == 151669
    assert release.history_start == 154669
    assert release.cot_start == 155677
    assert release.cot_end == 155678
    assert release.traj_start == 155681
    assert release.traj_end == 155683
    assert release.special("<|answer_end|>") == 155696
