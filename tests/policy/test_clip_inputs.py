"""What the prefetcher loads for the policy: the arrays that the prompt builder and the processor make."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from small_policy import build

from policy.clip_inputs import ClipInputs, clip_of
from policy.model_inputs import ImageEncoder
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from scenes.cameras import default_rig
from scenes.clip import Clip
from scenes.prefetch import ClipFailedError, Prefetcher
from scenes.store import ClipStore, ClipStoreWriter
from scenes.store.record import pack_clip
from scenes.world import WorldConfig, generate

RIG = default_rig(("front_wide", "front_tele"))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("policy") / "policy")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "store"
    with ClipStoreWriter(path, RIG) as writer:
        for clip in generate(WorldConfig(), 0, 2, RIG):
            writer.append(clip)
    return path


def check(arrays: dict[str, np.ndarray], clip: Clip, policy: Path) -> None:
    prompt = PromptBuilder(PolicySpec.load(policy), TextCodec.load(policy)).build(clip)
    pixels, grid = ImageEncoder(policy)(prompt.images)
    np.testing.assert_array_equal(arrays["prompt_ids"], prompt.ids)
    np.testing.assert_array_equal(arrays["images"], prompt.images)
    np.testing.assert_array_equal(arrays["pixel_values"], pixels.numpy())
    np.testing.assert_array_equal(arrays["image_grid_thw"], grid.numpy())
    assert pack_clip(clip_of(arrays)) == pack_clip(clip)


def test_arrays_are_those_of_the_prompt_and_the_processor(policy: Path, store: Path) -> None:
    load = pickle.loads(pickle.dumps(ClipInputs(policy, store)))
    for clip in ClipStore.open(store):
        check(load(clip.clip_id), clip, policy)
    lean = ClipInputs(policy, store, pixels=False)(ClipStore.open(store).ids[0])
    assert set(lean) == {"prompt_ids", "images", "record"}
    with pytest.raises(KeyError, match="no clip 'nobody'"):
        load("nobody")


@pytest.mark.process
@pytest.mark.slow
def test_they_come_through_shared_memory(policy: Path, store: Path, tmp_path: Path) -> None:
    clips = ClipStore.open(store)
    with Prefetcher(ClipInputs(policy, store), folder=tmp_path) as prefetcher:
        prefetcher.prefetch(clips.ids)
        for clip in clips:
            with prefetcher.get(clip.clip_id, 240.0) as arrays:
                check(dict(arrays), clip, policy)
        with pytest.raises(ClipFailedError, match="clip nobody: KeyError"):
            prefetcher.get("nobody", 240.0)


@pytest.mark.slow
def test_recordings_are_decoded_when_they_are_asked_for(policy: Path, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="videos need PyAV: pip install 'ar1-rl[physical-ai]'")
    from scenes.physical_ai import InputError, PhysicalAI, ReadChoice
    from scenes.physical_ai.miniature import Miniature, write_miniature

    write_miniature(tmp_path / "data", Miniature(clips=1, moments=2, width=96, height=64, frames=1))
    data = PhysicalAI(tmp_path / "data")
    load = ClipInputs(policy, tmp_path / "data", "physical_ai")
    for clip in data.read(rig=RIG):
        check(load(clip.clip_id), clip, policy)
    recording = data.index.clip_ids[0]
    for wrong, words in (("x@5100000", "no clip 'x'"), (f"{recording}@5100000", "no moment at 5100000 us")):
        with pytest.raises(KeyError, match=words):
            load(wrong)
    strict = PhysicalAI(tmp_path / "data", ReadChoice(limit_m=1e-9))
    with pytest.raises(InputError, match=r"cannot be read: refused: .* position error"):
        strict.clip(f"{recording}@3200000")
