"""Greedy completions of a policy on stored clips by vLLM: decisions right and ADE, as one JSON line.

    python -m benchmarks.greedy_drives --policy FOLDER --store CLIP_STORE [--clips 256]

Decisions are right where both axes are, by the deterministic grader of the critic; ADE is the mean distance to
the expert over 6.4 s, in metres. Trainer libraries stay out of this process: vLLM's start-up cannot cope with some.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from critic_server.rubric import grade
from policy.completion import drive, parse_completion
from policy.engine import Request, Sampling
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from policy.vllm_engine import VllmEngine, VllmOptions
from scenes.store import ClipStore


def figures(policy: Path, store: ClipStore, clips: int, threads: int) -> dict[str, float]:
    """Means over the first `clips` clips. Raises ValueError for a clip without a label."""
    engine, text, spec = (
        VllmEngine(policy, VllmOptions(threads=threads)),
        TextCodec.load(policy),
        PolicySpec.load(policy),
    )
    builder, codec, grammar = PromptBuilder(spec, text), spec.future_codec(), spec.grammar()
    requests = [Request(str(i), builder.build(store[i]), 1, 0, Sampling(0.0)) for i in range(clips)]
    right, errors = [], []
    for name, (sample,) in engine.generate(requests):
        clip = store[int(name)]
        completion = parse_completion(
            sample.token_ids, sample.logprobs, sample.versions, sample.finish_reason, grammar, text.decode
        )
        trajectory = drive(completion, codec, float(clip.ego_history[-1, 3]))
        if trajectory is None or clip.label is None:
            raise ValueError(f"clip {clip.clip_id}: {completion.reason or 'no label'}")
        found = grade(completion.text, clip.label)
        right.append(found.longitudinal and found.lateral)
        gaps = trajectory.states[:, :2] - clip.ego_future[:, :2]
        errors.append(float(np.linalg.norm(gaps, axis=1).mean()))
    engine.close()
    return {"decisions": float(np.mean(right)), "ade_m": float(np.mean(errors))}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    store = ClipStore.open(options.store)
    print(json.dumps(figures(options.policy, store, min(options.clips, len(store)), options.threads)))


if __name__ == "__main__":
    main()
