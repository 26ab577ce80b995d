"""Imperfect demonstrations: deterministic, within their configured rates, never reversing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenes.cameras import default_rig
from scenes.dynamics import integrate
from scenes.imperfection import ImperfectionConfig, autoregressive, demonstrate
from scenes.world import WorldConfig, generate
from scenes.world.phrasing import LATERAL_PHRASES, LONGITUDINAL_PHRASES


@pytest.fixture(scope="module")
def clips():
    return list(generate(WorldConfig(seed=5), 0, 22, default_rig(("front_wide", "front_tele"))))


def test_demonstration_depends_on_seed_and_clip_only(clips):
    config = ImperfectionConfig()
    first = [demonstrate(clip, config, 1) for clip in clips]
    again = [demonstrate(clip, config, 1) for clip in reversed(clips)][::-1]
    for a, b in zip(first, again, strict=True):
        assert a.text == b.text
        assert np.array_equal(a.actions, b.actions)
    other = [demonstrate(clip, config, 2) for clip in clips]
    assert any(a.text != b.text for a, b in zip(first, other, strict=True))


def test_noise_has_its_deviation_and_correlation():
    rng = np.random.default_rng(0)
    noise = np.stack([autoregressive(64, 0.97, 0.3, rng) for _ in range(4000)])
    assert noise.std(axis=0) == pytest.approx(np.full(64, 0.3), rel=0.06)
    assert np.corrcoef(noise[:, 20], noise[:, 21])[0, 1] == pytest.approx(0.97, abs=0.01)


def test_wrong_sentences_come_at_their_share_and_claim_another_decision(clips):
    config = ImperfectionConfig()
    made = [(clip, demonstrate(clip, config, seed)) for clip in clips for seed in range(100)]
    share = np.mean([demo.text_is_wrong for _, demo in made])
    assert share == pytest.approx(0.15, abs=0.025)
    for clip, demo in made:
        mine = [p.format(direction=clip.label.direction) for p in LATERAL_PHRASES[clip.label.lateral]]
        speed = LONGITUDINAL_PHRASES[clip.label.longitudinal]
        head = demo.text.lower()
        says_mine = any(head.startswith(p) for p in mine) and any(f" {p} " in head for p in speed)
        if demo.text_is_wrong:
            assert not says_mine
    texts = {demonstrate(clips[0], replace(config, wrong_share=0.0), seed).text for seed in range(60)}
    assert len(texts) > 10


def test_noisy_motion_is_near_the_expert_and_never_reverses(clips):
    config = ImperfectionConfig()
    errors = []
    for clip in clips:
        for seed in range(10):
            states = integrate(demonstrate(clip, config, seed).actions, clip.ego_history[-1, 3])
            assert states[:, 3].min() >= 0.0
            errors.append(np.linalg.norm(states[:, :2] - clip.ego_future[:, :2], axis=1).mean())
    assert 0.4 < np.mean(errors) < 3.0


def test_silent_configuration_returns_the_expert(clips):
    config = ImperfectionConfig(accel_sigma=0.0, kappa_sigma=0.0, wrong_share=0.0)
    for clip in clips:
        demo = demonstrate(clip, config, 0)
        assert np.allclose(demo.actions, clip.actions, atol=1e-9)
        assert not demo.text_is_wrong


def test_bad_settings_and_unlabelled_clips_are_refused(clips):
    with pytest.raises(ValueError, match="label"):
        demonstrate(replace(clips[0], label=None), ImperfectionConfig(), 0)
    with pytest.raises(ValueError, match="stationary"):
        ImperfectionConfig(accel_coefficient=1.0)
    with pytest.raises(ValueError, match="wrong_share"):
        ImperfectionConfig(wrong_share=1.5)
