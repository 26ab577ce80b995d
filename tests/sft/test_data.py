"""Worlds of the splits."""

from __future__ import annotations

import itertools

from sft.config import SPLITS, DataConfig
from sft.data import world_seed


def test_no_two_splits_or_rounds_share_a_world() -> None:
    seeds = [
        world_seed(DataConfig(seed=seed, test_round=turn), split)
        for seed, turn, split in itertools.product(range(40), range(4), SPLITS)
        if split == "test" or turn == 0
    ]
    assert len(set(seeds)) == len(seeds)


def test_a_new_round_leaves_every_other_split_as_it_was() -> None:
    for split in SPLITS[:-1]:
        assert world_seed(DataConfig(), split) == world_seed(DataConfig(test_round=3), split)
