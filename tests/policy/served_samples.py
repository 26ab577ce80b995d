"""Serves a policy folder by vLLM in this process and writes what it sampled, for test_vision_parity.

python served_samples.py FOLDER WEIGHTS.safetensors OUT.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import small_policy
from safetensors.numpy import load_file

from policy.engine import Request, Sampling
from policy.vllm_engine import VllmEngine, VllmOptions


def main() -> None:
    """Samples at version 0, prompt ids and raw scores, then samples of other weights at version 1."""
    folder, weights, out = (Path(argument) for argument in sys.argv[1:])
    engine = VllmEngine(folder, VllmOptions(threads=1, max_sequences=16))
    prompts = small_policy.prompts(folder, 3)
    requests = [Request(f"{i}", prompt, 2, 10 * i, Sampling(0.8)) for i, prompt in enumerate(prompts)]
    result: dict[str, object] = {"prompt_ids": [engine.prompt_ids(request) for request in requests]}
    for version in (0, 1):
        if version:
            engine.update_weights(load_file(weights), version)
        samples = dict(engine.generate(requests))
        result[f"samples-{version}"] = [
            {"ids": sample.token_ids.tolist(), "logprobs": sample.logprobs.tolist(), "prompt": index}
            for index in range(len(prompts))
            for sample in samples[str(index)]
        ]
    ids = [samples[str(index)][0].token_ids for index in range(len(prompts))]
    result["scores"] = [row.tolist() for row in engine.score(prompts, ids)]
    out.write_text(json.dumps(result))
    engine.close()


if __name__ == "__main__":
    main()
