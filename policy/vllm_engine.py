"""vLLM behind the engine interface: the path every rollout takes.

Role: drives one in-process vLLM engine step by step and yields groups as they finish.
Invariants: grammar enforced in every request; processed log-probabilities; prefix cache on and its hits counted;
weights loaded in memory, every cache dropped, version raised only afterwards. After any exception inside a step
the engine is unusable (stale requests stay): the caller must discard the object and make a new one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from policy.engine import EngineError, Request, Sample, Sampling
from policy.grammar import Grammar
from policy.prompt import Prompt, PromptBuilder
from policy.spec import PolicySpec
from policy.tokenizer import TextCodec


@dataclass(frozen=True)
class VllmOptions:
    """Engine settings. threads: OpenMP threads on CPU (must be set: unset, vLLM is several times slower);
    kv_cache_gib: CPU key-value space; block_tokens: cache block, small enough for a prompt to fill one."""

    threads: int = 1
    kv_cache_gib: int = 1
    block_tokens: int = 32
    max_sequences: int = 256
    max_model_len: int = 1024
    dtype: str = "float32"
    gpu_memory_utilization: float = 0.5


def prepare_environment(options: VllmOptions) -> None:
    """Environment vLLM reads at import; call before the first import of vllm in the process."""
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(options.kv_cache_gib)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")


class VllmEngine:
    """One vLLM engine in this process; implements policy.engine.Engine."""

    def __init__(
        self, folder: Path, options: VllmOptions, version: int = 0, grammar: Grammar | None = None
    ) -> None:
        """grammar: of the completions; None is the policy's own."""
        prepare_environment(options)
        self.spec = PolicySpec.load(folder)
        self._prompts = PromptBuilder(self.spec, TextCodec.load(folder))
        self._grammar = grammar or self.spec.grammar()
        self._llm = _start(folder, options)
        self._engine = self._llm.llm_engine
        self._version = version
        self._engine.set_weight_version(str(version))
        self._counts = {
            "generated_tokens": 0.0,
            "generate_s": 0.0,
            "weight_updates": 0.0,
            "weight_update_s": 0.0,
        }

    @property
    def version(self) -> int:
        """Version of the served weights."""
        return self._version

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[str, list[Sample]]]:
        """See policy.engine.Engine. Raises EngineError when vLLM broke: recreate the engine."""
        began = time.perf_counter()
        try:
            for request in requests:
                self._add(request)
            while self._engine.has_unfinished_requests():
                for output in self._engine.step():
                    if output.finished:
                        samples = [self._sample(item) for item in output.outputs]
                        self._counts["generated_tokens"] += sum(len(s.token_ids) for s in samples)
                        yield output.request_id, samples
        except (RuntimeError, ValueError, AssertionError) as error:
            raise EngineError(f"vLLM engine broke: {error}; discard it and start another") from error
        self._counts["generate_s"] += time.perf_counter() - began

    def _add(self, request: Request) -> None:
        prompt = {
            "prompt_token_ids": self._prompts.collapsed(request.prompt.ids),
            "multi_modal_data": {"image": self._prompts.items(request.prompt.images)},
        }
        self._engine.add_request(request.request_id, prompt, self._params(request))

    def _params(self, request: Request) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        from policy.vllm_grammar import grammar_args

        sampling: Sampling = request.sampling
        greedy = sampling.temperature == 0
        return SamplingParams(
            n=request.samples,
            temperature=sampling.temperature,
            top_p=1.0 if greedy else sampling.top_p,
            top_k=0 if greedy else sampling.top_k,
            seed=None if greedy else request.seed,
            max_tokens=self._grammar.max_tokens,
            logprobs=0,
            detokenize=False,
            ignore_eos=True,
            stop_token_ids=[self._grammar.last],
            output_kind=RequestOutputKind.FINAL_ONLY,
            extra_args=grammar_args(self._grammar),
        )

    def _sample(self, output: Any) -> Sample:
        ids = np.asarray(output.token_ids, np.int32)
        logprobs = [row[int(token)].logprob for token, row in zip(ids, output.logprobs, strict=True)]
        versions = np.full(len(ids), -1, np.int32)
        for span in output.weight_versions or ():
            versions[span.start : span.end] = int(span.version)
        if (versions < 0).any():
            raise EngineError("vLLM returned tokens without a weight version")
        return Sample(ids, np.asarray(logprobs, np.float32), versions, output.finish_reason)

    def score(self, prompts: Sequence[Prompt], ids: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See policy.engine.Engine; one prefill a row."""
        from vllm import SamplingParams

        params = SamplingParams(max_tokens=1, prompt_logprobs=0, detokenize=False, temperature=0)
        for index, (prompt, row) in enumerate(zip(prompts, ids, strict=True)):
            request = {
                "prompt_token_ids": [*self._prompts.collapsed(prompt.ids), *[int(token) for token in row]],
                "multi_modal_data": {"image": self._prompts.items(prompt.images)},
            }
            self._engine.add_request(f"score-{index}", request, params)
        result: dict[int, np.ndarray] = {}
        while self._engine.has_unfinished_requests():
            for output in self._engine.step():
                index = int(output.request_id.removeprefix("score-"))
                row = ids[index]
                table = output.prompt_logprobs[-len(row) :]
                scores = [entry[int(token)].logprob for token, entry in zip(row, table, strict=True)]
                result[index] = np.asarray(scores, np.float32)
        return [result[index] for index in range(len(ids))]

    def prompt_ids(self, request: Request) -> list[int]:
        """Prompt ids as vLLM expands them: what `ar1 doctor` compares with the learner's."""
        from dataclasses import replace

        self._add(replace(request, samples=1))
        seen: list[int] = []
        while self._engine.has_unfinished_requests():
            for output in self._engine.step():
                seen = list(output.prompt_token_ids)
        return seen

    def update_weights(self, weights: Mapping[str, np.ndarray], version: int) -> None:
        """See policy.engine.Engine. Raises ValueError when a tensor is not used or the version goes back."""
        import torch

        if version <= self._version:
            raise ValueError(f"weights of version {version} offered, {self._version} is served already")
        began = time.perf_counter()
        tensors = [(name, torch.from_numpy(np.array(value))) for name, value in weights.items()]

        def load(model: Any) -> int:
            return len(model.load_weights(iter(tensors)))

        self._llm.apply_model(load)
        self._llm.reset_prefix_cache()
        self._engine.engine_core.reset_encoder_cache()
        self._version = version
        self._engine.set_weight_version(str(version))
        self._counts["weight_updates"] += 1
        self._counts["weight_update_s"] += time.perf_counter() - began

    def metrics(self) -> dict[str, float]:
        """Counters of this engine, with vLLM's own prefix-cache counters."""
        counts = dict(self._counts)
        for metric in self._llm.get_metrics():
            if metric.name in ("vllm:prefix_cache_queries", "vllm:prefix_cache_hits"):
                counts[metric.name.removeprefix("vllm:")] = float(metric.value)
        return counts

    def close(self) -> None:
        """Shut vLLM down; the object is unusable afterwards."""
        self._engine.engine_core.shutdown()


def _start(folder: Path, options: VllmOptions) -> Any:
    from vllm import LLM, _custom_ops

    from policy.vllm_grammar import GrammarProcessor

    # oneDNN packs a private copy of each weight that an in-memory update does not reach; the tied output head
    # then silently stays stale.
    _custom_ops._supports_onednn = False
    spec = PolicySpec.load(folder)
    overrides: dict[str, Any] = {}
    if spec.vision_tokens.kind != "none":
        from policy.vllm_vision import register

        overrides = {"architectures": [register()]}
    return LLM(
        model=str(folder),
        dtype=options.dtype,
        seed=0,
        max_model_len=options.max_model_len,
        max_num_seqs=options.max_sequences,
        max_num_batched_tokens=8192,
        enable_chunked_prefill=False,
        enable_prefix_caching=True,
        block_size=options.block_tokens,
        gpu_memory_utilization=options.gpu_memory_utilization,
        limit_mm_per_prompt={"image": spec.image_blocks[0], "video": 0},
        hf_overrides=overrides,
        logprobs_mode="processed_logprobs",
        logits_processors=[GrammarProcessor],
        disable_log_stats=False,
        enforce_eager=True,
        generation_config="vllm",
        skip_mm_profiling=True,
    )
