"""The flow expert at the release's size on the device at hand: random weights, a random cache, Euler steps timed.

    python -m benchmarks.expert_release_size --samples 1 --steps 5

36 layers, hidden 2048, 16 query and 8 KV heads of 128, bfloat16, a cache of 3,046 tokens (prompt and 40 of
text): 2.3 G parameters, 4.6 GB, and 0.45 GB of cache. Prints the device's name, the median of the rounds in ms,
and the roofline by rates measured in the same run. Without a GPU it runs on the CPU, slowly; --layers cuts it
down there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
from tqdm import trange
from transformers import Qwen3VLTextConfig

from policy.device_probe import probe
from policy.expert_model import ExpertModel
from policy.expert_spec import ExpertSpec
from policy.flow_options import FlowOptions, Integrator
from policy.prefix import Prefix
from policy.roofline import TextShape, release_shape, roofline_row


def build(layers: int, device: torch.device) -> ExpertModel:
    """An expert with fresh weights on the device."""
    text = release_shape().text
    config = Qwen3VLTextConfig(
        vocab_size=text.vocabulary,
        hidden_size=text.hidden,
        intermediate_size=text.feed_forward,
        num_hidden_layers=layers,
        num_attention_heads=text.heads,
        num_key_value_heads=text.kv_heads,
        head_dim=text.head_size,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 5_000_000.0,
            "mrope_section": [24, 20, 20],
            "mrope_interleaved": True,
        },
    )
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        try:
            return ExpertModel(ExpertSpec(), config).eval()
        finally:
            torch.set_default_dtype(torch.float32)


def random_prefix(text: TextShape, layers: int, tokens: int, rows: int, device: torch.device) -> Prefix:
    """A cache of one prompt for `rows` texts."""
    shape = (rows, text.kv_heads, tokens, text.head_size)
    pairs = [torch.randn((2, *shape), device=device, dtype=torch.bfloat16) for _ in range(layers)]
    visible = torch.ones((rows, tokens), dtype=torch.bool, device=device)
    position = torch.full((rows,), tokens, device=device)
    return Prefix(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs), visible, position)


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--samples", type=int, default=1, help="trajectories of one text, which share its cache"
    )
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--prefix", type=int, default=3046, help="tokens of prompt and text")
    parser.add_argument("--layers", type=int, default=36)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=5)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    shape = release_shape()
    model = build(options.layers, device)
    prefix = random_prefix(shape.text, options.layers, options.prefix, 1, device)
    noise = torch.randn((1, options.samples, model.spec.waypoints, 2), device=device)
    spent = []
    for _ in trange(options.warm_up + options.rounds, unit="round"):
        began = time.perf_counter()
        model.sample(prefix, noise, FlowOptions(options.steps, Integrator.EULER))
        if device.type == "cuda":
            torch.cuda.synchronize()
        spent.append(1e3 * (time.perf_counter() - began))
    spent = spent[options.warm_up :]
    stack = TextShape(2048, 8256, options.layers, 16, 8, 128)
    tokens = options.samples * model.spec.waypoints
    cost = stack.run(tokens, options.prefix + tokens, element=2).times(options.steps)
    rates = probe(device, torch.bfloat16)
    print(
        json.dumps(
            {
                "device": rates.name,
                "layers": options.layers,
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
                "samples": options.samples,
                "steps": options.steps,
                "prefix": options.prefix,
                "ms": statistics.median(spent),
                "tflops": rates.flops / 1e12,
                "gbytes_s": rates.bytes / 1e9,
                **roofline_row(cost, rates),
            }
        )
    )


if __name__ == "__main__":
    main()
