"""How fast this device multiplies matrices and copies memory: the two roofs of a roofline, measured.

Invariant: the best of several rounds, since a roof is what the device can do, not what it did while somebody
else was running; the device is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from policy.roofline import Rates

ROUNDS = 7
COPY_MIB = {"cpu": 128, "cuda": 1024}
SIDE = {"cpu": 1024, "cuda": 8192}


def best_seconds(work: Callable[[], object], device: torch.device, rounds: int = ROUNDS) -> float:
    """Shortest of `rounds` timings of work, after one that is not counted."""
    best = float("inf")
    for round_ in range(rounds + 1):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        spent = time.perf_counter() - began
        if round_:
            best = min(best, spent)
    return best


def probe(device: torch.device, dtype: torch.dtype) -> Rates:
    """Matrix rate in that type and copy rate (bytes read plus bytes written) of a device; about a second."""
    side = SIDE[device.type]
    left = torch.randn((side, side), device=device).to(dtype)
    right = torch.randn((side, side), device=device).to(dtype)
    matmul = best_seconds(lambda: left @ right, device)
    source = torch.zeros(COPY_MIB[device.type] * 2**20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy = best_seconds(lambda: target.copy_(source), device)
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    return Rates(name, 2.0 * side**3 / matmul, 2.0 * source.numel() / copy)
