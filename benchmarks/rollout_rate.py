"""End-to-end rollout rate of a worker against bare vLLM on the same prompts and sampling parameters.

    python -m benchmarks.rollout_rate --config configs/quickstart/grpo.yaml

Worker: from the driver's call to the last parsed group in the driver, prompts built from the clip store, over Ray.
Bare: `LLM.generate` on ready-made prompts, timed inside its own process. Both keep their engine; rounds alternate;
the ratio of medians is printed. One engine is idle while the other runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import ray

from policy.config_file import load_config
from policy.engine import Request, Sampling
from policy.prompt import PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec
from policy.vllm_engine import VllmEngine, VllmOptions
from rl.cluster import CPU_ENVIRONMENT, connect, start_worker
from rl.config import JobConfig
from rl.rollout_worker import Dispatch
from scenes.store import ClipStore
from sft.data import split_store


class BareVllm:
    """vLLM's own `LLM.generate` with the same engine settings, prompts and parameters."""

    def __init__(self, policy: Path, store: Path, options: VllmOptions) -> None:
        self._engine = VllmEngine(policy, options)
        self._prompts = PromptBuilder(PolicySpec.load(policy), TextCodec.load(policy))
        self._store = ClipStore.open(store)

    def run(self, dispatches: list[Dispatch]) -> tuple[float, int]:
        """Seconds in LLM.generate and tokens generated."""
        prompts, parameters = [], []
        for dispatch in dispatches:
            prompt = self._prompts.build(self._store[self._store.index(dispatch.clip_id)])
            request = Request("bare", prompt, dispatch.samples, dispatch.seed, dispatch.sampling)
            prompts.append(
                {
                    "prompt_token_ids": self._prompts.collapsed(prompt.ids),
                    "multi_modal_data": {"image": self._prompts.items(prompt.images)},
                }
            )
            parameters.append(self._engine._params(request))
        began = time.perf_counter()
        outputs = self._engine._llm.generate(prompts, parameters, use_tqdm=False)
        spent = time.perf_counter() - began
        return spent, sum(len(sample.token_ids) for output in outputs for sample in output.outputs)


def dispatches(store: ClipStore, groups: int, size: int, start: int, temperature: float) -> list[Dispatch]:
    """Groups of fresh clips, so that no engine has seen their images."""
    ids = [store.ids[(start + index) % len(store)] for index in range(groups)]
    return [
        Dispatch(f"bench-{start}-{index}", clip, size, 1000 * index, Sampling(temperature))
        for index, clip in enumerate(ids)
    ]


def timed_worker(worker: object, work: list[Dispatch]) -> tuple[float, int]:
    """Seconds until every parsed group is in this process, and tokens."""
    began = time.perf_counter()
    tokens = 0
    for reference in worker.generate.options(num_returns="streaming").remote(work):  # type: ignore[attr-defined]
        _, completions = ray.get(reference, timeout=600)
        tokens += sum(len(completion.token_ids) for completion in completions)
    return time.perf_counter() - began, tokens


def main() -> None:
    """Print per-round rates and the ratio of medians as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/quickstart/grpo.yaml"))
    parser.add_argument("--policy", type=Path, default=None, help="policy folder (default: the job's)")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    overrides = [] if options.policy is None else [f"policy={options.policy}"]
    config = load_config(JobConfig, options.config, overrides)
    store_path = split_store(config.data, "pool").resolve()
    store = ClipStore.open(store_path)
    connect(config.model_copy(update={"rollout": config.rollout.model_copy(update={"actors": 2})}))
    worker = start_worker(config, store_path)
    engine = VllmOptions(threads=config.rollout.threads, max_sequences=config.rollout.max_sequences)
    environment = {**CPU_ENVIRONMENT, "OMP_NUM_THREADS": str(config.rollout.threads)}
    bare = (
        ray.remote(BareVllm)
        .options(num_cpus=config.rollout.threads, runtime_env={"env_vars": environment})
        .remote(config.policy.resolve(), store_path, engine)
    )
    ray.get(worker.ready.remote(), timeout=300)
    rates: dict[str, list[float]] = {"worker": [], "bare": []}
    for number in range(options.rounds + 1):
        groups, size = config.rollout.clips_per_step, config.rollout.group_size
        work = dispatches(store, groups, size, number * groups, config.rollout.temperature)
        seconds, tokens = timed_worker(worker, work)
        bare_seconds, bare_tokens = ray.get(bare.run.remote(work), timeout=600)
        if number:  # the first round warms both engines up
            rates["worker"].append(tokens / seconds)
            rates["bare"].append(bare_tokens / bare_seconds)
            print(
                f"round {number}: worker {tokens / seconds:.0f} tok/s, bare {bare_tokens / bare_seconds:.0f}"
            )
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(json.dumps({**medians, "ratio": medians["worker"] / medians["bare"], "rounds": options.rounds}))


if __name__ == "__main__":
    main()
