"""The KL penalty on TRL's loss: where it acts, what it is measured against, and what it leaves free."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_job import Small

from policy.engine import Request, Sampling
from policy.grammar import Grammar, Phase
from policy.prompt import PromptBuilder
from policy.tokenizer import TextCodec
from policy.transformers_engine import TransformersEngine
from rl.config import JobConfig, LearnerConfig, RolloutConfig
from rl.learner import Learner
from rl.training_batch import Row, TrainingBatch
from scenes.store import ClipStore
from sft.data import split_store

pytestmark = [pytest.mark.slow]
CLIPS, GROUP, TEMPERATURE = 2, 2, 1.0


@pytest.fixture(scope="module")
def rows(small: Small) -> list[Row]:
    """Sampled rows, the first of each group with advantage 1, the second with -1."""
    engine = TransformersEngine(small.policy)
    builder = PromptBuilder(engine.spec, TextCodec.load(small.policy))
    store = ClipStore.open(split_store(small.data, "pool"))
    requests = [
        Request(clip, builder.build(store[place]), GROUP, 10 * place, Sampling(TEMPERATURE))
        for place, clip in enumerate(store.ids[:CLIPS])
    ]
    return [
        Row(clip, sample.token_ids, sample.logprobs, np.ones(len(sample.token_ids), bool), 1.0 - 2.0 * place)
        for clip, samples in engine.generate(requests)
        for place, sample in enumerate(samples)
    ]


def moved(
    small: Small, rows: list[Row], scratch: Path, **learner: object
) -> tuple[list[float], dict[Phase, float]]:
    """`kl` after every step, and how far each section's log-probabilities moved in root mean square, nats."""
    config = JobConfig(
        policy=small.policy,
        data=small.data,
        rollout=RolloutConfig(clips_per_step=CLIPS, group_size=GROUP, temperature=TEMPERATURE),
        # The same rollouts are trained on again and again, so they go stale on purpose.
        learner=LearnerConfig.model_validate(
            {"micro_batch": 2, "updates_per_step": 1, "threads": 1, "logp_bound": 1e9, **learner}
        ),
    )
    trained = Learner(config, split_store(small.data, "pool"), scratch)
    clips, ids = [row.clip_id for row in rows], [row.token_ids for row in rows]
    before = trained.score(clips, ids)
    kl = [trained.train(TrainingBatch(step, tuple(rows))).get("kl", 0.0) for step in range(6)]
    after = trained.score(clips, ids)
    trained.close()
    change = np.concatenate(after) - np.concatenate(before)
    phases = np.concatenate([_grammar(small).phases(row.token_ids) for row in rows])
    return kl, {phase: float(np.sqrt((change[phases == phase] ** 2).mean())) for phase in Phase}


def _grammar(small: Small) -> Grammar:
    return TransformersEngine(small.policy).spec.grammar()


def test_a_penalty_on_the_text_holds_the_text_and_nothing_else(
    small: Small, rows: list[Row], tmp_path: Path
) -> None:
    free_kl, free = moved(small, rows, tmp_path / "free")
    text_kl, text = moved(small, rows, tmp_path / "text", kl_beta=20.0, kl_on="text")
    drive_kl, drive = moved(small, rows, tmp_path / "drive", kl_beta=20.0, kl_on="trajectory")
    assert not any(free_kl)
    # The reference is the policy itself before the first update.
    assert text_kl[0] == pytest.approx(0.0, abs=1e-6)
    assert drive_kl[0] == pytest.approx(0.0, abs=1e-6)
    assert min(text_kl[-1], drive_kl[-1]) > 1e-6
    assert text[Phase.TEXT] < 0.5 * free[Phase.TEXT]
    assert drive[Phase.TRAJECTORY] < 0.5 * free[Phase.TRAJECTORY]
    assert text[Phase.TRAJECTORY] > 2 * drive[Phase.TRAJECTORY]
