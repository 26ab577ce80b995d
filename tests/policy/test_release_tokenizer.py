"""Ids of rebuilt tokenizers against the release's table."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from policy.release.findings import CheckpointError
from policy.release.sample import build_sample
from policy.release.tokenizer import QWEN_ADDED, base_tokenizer, rebuild_tokenizer, stand_in
from policy.release.vocabulary import special_names
from policy.vocabulary import RELEASE_SPECIALS

RELEASE_IDS = {
    "<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645, "<|vision_start|>": 151652,
    "<|vision_end|>": 151653, "<|image_pad|>": 151655, "<|video_pad|>": 151656, "</think>": 151668,
    "<i0>": 151669, "<i2999>": 154668, "<i3000>": 154669, "<i3999>": 155668,
    "<|prompt_start|>": 155669, "<|prompt_end|>": 155670, "<|image_start|>": 155671, "<|image_pre_tkn|>": 155672,
    "<|image_end|>": 155673, "<|traj_history_start|>": 155674, "<|traj_history_pre_tkn|>": 155675,
    "<|traj_history_end|>": 155676, "<|cot_start|>": 155677, "<|cot_end|>": 155678,
    "<|meta_action_start|>": 155679, "<|meta_action_end|>": 155680, "<|traj_future_start|>": 155681,
    "<|traj_future_pre_tkn|>": 155682, "<|traj_future_end|>": 155683, "<|traj_history|>": 155684,
    "<|traj_future|>": 155685, "<|vectorized_wm|>": 155686, "<|vectorized_wm_start|>": 155687,
    "<|vectorized_wm_end|>": 155688, "<|vectorized_wm_pre_tkn|>": 155689, "<|route_start|>": 155690,
    "<|route_pad|>": 155691, "<|route_end|>": 155692, "<|question_start|>": 155693, "<|question_end|>": 155694,
    "<|answer_start|>": 155695, "<|answer_end|>": 155696,
}  # fmt: skip
"""The release's table, written out."""


def test_the_stand_in_gives_every_token_the_release_id() -> None:
    tokenizer, vocabulary, is_stand_in = rebuild_tokenizer(None, 151669, 3000, 1000, RELEASE_SPECIALS)
    assert is_stand_in
    assert {name: tokenizer.token_to_id(name) for name in RELEASE_IDS} == RELEASE_IDS
    assert vocabulary.size == tokenizer.get_vocab_size(with_added_tokens=True) == 155697
    assert vocabulary.text_banned == tuple(range(151643, 151669))
    assert vocabulary.traj_start == 155681
    ids = tokenizer.encode("<|im_start|>é a!<i7>", add_special_tokens=False).ids
    assert ids == [151644, 127, 102, 220, 64, 0, 151676], "Qwen's own ids of single bytes"
    assert tokenizer.decode(ids) == "é a!<i7>"


def test_1_5_has_the_same_ids_under_its_own_names() -> None:
    tokenizer, _, _ = rebuild_tokenizer(None, 151669, 3000, 1000, special_names("alpamayo1_5"))
    assert tokenizer.token_to_id("<|_padding_0|>") == 155672
    assert tokenizer.token_to_id("<|_padding_8|>") == 155689
    assert tokenizer.token_to_id("<|traj_future_start|>") == 155681
    assert tokenizer.token_to_id("<|meta_action_start|>") is None


def test_an_embedded_base_carries_the_tokens_behind_its_own_entries(tmp_path: Path) -> None:
    base = build_sample(tmp_path).base
    size = Tokenizer.from_file(str(base / "tokenizer.json")).get_vocab_size(with_added_tokens=True)
    tokenizer, vocabulary, is_stand_in = rebuild_tokenizer(base, size, 3000, 1000, RELEASE_SPECIALS)
    assert not is_stand_in
    assert tokenizer.token_to_id("<i0>") == vocabulary.future_start == size
    for name in RELEASE_SPECIALS:
        assert tokenizer.token_to_id(name) - size == RELEASE_IDS[name] - 151669


def test_a_base_of_another_size_is_refused(tmp_path: Path) -> None:
    base = build_sample(tmp_path).base
    with pytest.raises(CheckpointError, match="the first trajectory token is 151669"):
        base_tokenizer(base, 151669)
    with pytest.raises(CheckpointError, match="--base"):
        base_tokenizer(tmp_path, 5000)


def test_a_base_that_has_the_tokens_already_is_refused(tmp_path: Path) -> None:
    tokenizer = stand_in()
    tokenizer.add_tokens(["<i0>", "<i1>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="got id"):
        rebuild_tokenizer(tmp_path, 151671, 3000, 1000, RELEASE_SPECIALS)


def test_qwen_has_26_added_tokens() -> None:
    assert len(QWEN_ADDED) == len(set(QWEN_ADDED)) == 26
