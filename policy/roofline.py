"""What a stage must at least cost: operations and bytes counted from the shapes, and the time a device needs for
them.

Role: the yardstick beside every measured latency. A stage takes no less than its multiply-adds at the device's
matrix rate, nor its bytes at the device's copy rate; the larger of both is the roofline (Williams, Waterman and
Patterson, CACM 52(4), 2009). Invariant: pure arithmetic on shapes; two operations a multiply-add; weights are
read once a pass, keys and values once a token that attends to them; activations, norms and sampling are left
out, so the true minimum is a little higher. Checked against torch's own counter in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rates:
    """A device: matrix operations a second, and bytes a second that it reads or writes."""

    name: str
    flops: float
    bytes: float


@dataclass(frozen=True)
class Cost:
    """Operations and bytes moved."""

    flops: float
    bytes: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)

    def times(self, count: float) -> Cost:
        """The same work `count` times."""
        return Cost(self.flops * count, self.bytes * count)

    def seconds(self, rates: Rates) -> float:
        """Roofline time."""
        return max(self.flops / rates.flops, self.bytes / rates.bytes)

    def bound(self, rates: Rates) -> str:
        """What binds it: "compute" or "memory"."""
        return "compute" if self.flops / rates.flops >= self.bytes / rates.bytes else "memory"


@dataclass(frozen=True)
class TextShape:
    """A decoder stack: widths, layers, heads; vocabulary 0 for one without embedding and head (the expert)."""

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int = 0

    @property
    def layer_weights(self) -> int:
        """Matrix entries of one layer: queries, keys, values, output, and three of the gated feed-forward."""
        attention = 2 * self.hidden * self.heads * self.head_size
        return (
            attention + 2 * self.hidden * self.kv_heads * self.head_size + 3 * self.hidden * self.feed_forward
        )

    @property
    def kv_entries(self) -> int:
        """Cache entries of one token: keys and values of every layer."""
        return 2 * self.layers * self.kv_heads * self.head_size

    def run(self, tokens: int, attended: float, element: int, *, head_tokens: int = 0, rows: int = 1) -> Cost:
        """One pass of `rows` rows of `tokens` tokens, each of which attends to `attended` others on average.

        element: bytes of a number; head_tokens: positions a row whose logits are computed. Weights are read once
        for all rows, the cache of each row once and its new entries written.
        """
        attention = 4.0 * self.layers * self.heads * self.head_size * attended
        per_token = 2.0 * self.layers * self.layer_weights + attention
        head = self.hidden * self.vocabulary if head_tokens else 0
        flops = rows * (tokens * per_token + head_tokens * 2.0 * head)
        cached = rows * self.kv_entries * (attended + tokens)
        return Cost(flops, element * (self.layers * self.layer_weights + head + cached))


@dataclass(frozen=True)
class VisionShape:
    """A vision tower. mergers: how often merge² patches become one token (the last, and one a DeepStack level)."""

    hidden: int
    feed_forward: int
    layers: int
    patch_values: int
    merge: int
    mergers: int
    out: int

    def run(self, images: int, patches: int, element: int) -> Cost:
        """All images of one prompt, `patches` patches each, attending within their image."""
        joined = self.hidden * self.merge**2
        merger = joined * joined + joined * self.out
        layer = 4 * self.hidden**2 + 2 * self.hidden * self.feed_forward
        tokens = images * patches
        weights = self.patch_values * self.hidden + self.layers * layer + self.mergers * merger
        flops = 2.0 * tokens * (self.patch_values * self.hidden + self.layers * layer)
        flops += 4.0 * self.layers * tokens * patches * self.hidden
        flops += 2.0 * self.mergers * (tokens // self.merge**2) * merger
        return Cost(flops, element * (weights + tokens * self.patch_values))


@dataclass(frozen=True)
class PolicyShape:
    """Everything that decides what a drive costs. feature_weights: matrix entries of the in- and out-projection."""

    vision: VisionShape
    text: TextShape
    expert: TextShape
    feature_weights: int
    images: int
    patches: int
    prompt: int
    waypoints: int
    element: int

    def stages(self, rows: int, text_tokens: int, evaluations: int) -> dict[str, Cost]:
        """Cost of each stage for `rows` samples of one clip; the prompt's is paid once.

        Decoding reads every weight once a token whatever the rows; the flow's tokens attend to the prompt, the
        text and their own trajectory, in every evaluation of the expert.
        """
        prefix = self.prompt + text_tokens
        flow = self.expert.run(self.waypoints, prefix + self.waypoints, self.element, rows=rows)
        features = Cost(
            2.0 * rows * self.waypoints * self.feature_weights, float(self.element * self.feature_weights)
        )
        return {
            "vision": self.vision.run(self.images, self.patches, self.element),
            "prefill": self.text.run(self.prompt, (self.prompt + 1) / 2, self.element, head_tokens=1),
            "text": self._decode(rows, self.prompt, text_tokens),
            "flow": (flow + features).times(evaluations),
            "discrete": self._decode(rows, prefix, 2 * self.waypoints + 1),
        }

    def _decode(self, rows: int, before: int, tokens: int) -> Cost:
        attended = before + (tokens + 1) / 2
        return self.text.run(1, attended, self.element, head_tokens=1, rows=rows).times(tokens)


def roofline_row(cost: Cost, rates: Rates) -> dict[str, Any]:
    """Roofline of one stage as plain data: ms, what binds it, GFLOP and MB."""
    return {
        "roofline_ms": cost.seconds(rates) * 1e3,
        "bound": cost.bound(rates),
        "gflop": cost.flops / 1e9,
        "mbytes": cost.bytes / 1e6,
    }


def release_shape() -> PolicyShape:
    """Alpamayo-R1-10B in bfloat16: Qwen3-VL-8B (its public configuration), the release's expert, 16 images of
    320 x 576 and a prompt of about 3,006 tokens."""
    text = TextShape(4096, 12288, 36, 32, 8, 128, vocabulary=155_697)
    expert = TextShape(2048, 8256, 36, 16, 8, 128)
    vision = VisionShape(1152, 4304, 27, patch_values=1536, merge=2, mergers=4, out=4096)
    features = 60 * 512 + 512 * 512 + 512 * 2048 + 2 * 2048
    return PolicyShape(vision, text, expert, features, 16, 720, 3006, 64, element=2)
