"""What is computed of a clip belongs to that clip, and the memory for it is bounded."""

from __future__ import annotations

import gc
import weakref

from reward_scenes import make_clip, parked_car, rollout

from rewards.clip_cache import ClipCache
from rewards.trajectory import TrajectoryReward
from scenes.clip import Clip


def test_a_clip_is_built_once_while_it_is_held():
    built: list[str] = []

    def build(clip: Clip) -> str:
        built.append(clip.clip_id)
        return clip.clip_id

    cache, clips = ClipCache(build, clips=2), [make_clip(f"c{i}") for i in range(3)]
    assert [cache.get(clip) for clip in (clips[0], clips[1], clips[0])] == ["c0", "c1", "c0"]
    assert built == ["c0", "c1"]
    cache.get(clips[2])
    cache.get(clips[1])
    assert built == ["c0", "c1", "c2", "c1"]


def test_no_more_clips_are_kept_alive_than_said():
    cache = ClipCache(lambda clip: clip.clip_id, clips=4)
    clips = [make_clip(f"c{i}") for i in range(20)]
    watched = [weakref.ref(clip) for clip in clips]
    for clip in clips:
        cache.get(clip)
    del clips, clip
    gc.collect()
    assert sum(ref() is not None for ref in watched) == 4


def test_another_clip_under_the_same_id_is_scored_by_its_own_traffic():
    reward = TrajectoryReward()
    beside = make_clip(agents=parked_car(200.0, 0.0))
    seen = reward.score([rollout()], {"c0": beside})[0].components["min_ttc"]
    met = reward.score([rollout()], {"c0": make_clip(agents=parked_car(60.0, 1.6))})[0].components["min_ttc"]
    assert met < seen
