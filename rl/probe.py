"""The fixed probe of a weight sync: a clip's own label and motion as token ids.

Invariant: depends on the clip store and the policy's spec alone, so that every sync of a run, resumed or not, is
checked on the same ids.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from rl.weight_sync import Probe
from scenes.store import ClipStore

CLIPS = 2


def make_probe(store: ClipStore, policy: Path) -> Probe:
    """Completions of the store's first clips, spelt out by the policy's codecs."""
    spec, text = PolicySpec.load(policy), TextCodec.load(policy)
    vocabulary, codec = spec.vocabulary_ids(), spec.future_codec()
    clip_ids, rows = [], []
    for index in range(min(CLIPS, len(store))):
        clip = store[index]
        words = (
            text.encode(clip.label.text)[: spec.max_text] if clip.label else text.encode("hold the set speed")
        )
        bins = codec.encode(clip.actions) + vocabulary.future_start
        rows.append(
            np.concatenate(
                [words, [vocabulary.cot_end, vocabulary.traj_start], bins, [vocabulary.traj_end]]
            ).astype(np.int32)
        )
        clip_ids.append(clip.clip_id)
    return Probe(tuple(clip_ids), tuple(rows))
