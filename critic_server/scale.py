"""The paper's 0 to 5 scale in two parts, and how they make one grade.

Invariant: causes raise a grade only as far as the behaviour is right, because partial credit for a shared cause
is what policies hack.
Source of the scale: the Alpamayo-R1 paper's reasoning reward (arXiv 2511.00088); the weights below are this
project's, chosen so that right behaviour with wrong causes is the paper's 2 and with the right ones its 5.
"""

from __future__ import annotations

HIGHEST = 5
BEHAVIOUR_SHARE = 0.4


def total(behaviour: float, causes: float) -> float:
    """behaviour · (0.4 + 0.6 · causes / 5), in [0, 5], of two grades in [0, 5]; ValueError outside."""
    if not (0 <= behaviour <= HIGHEST and 0 <= causes <= HIGHEST):
        raise ValueError(f"grades {behaviour} and {causes} must lie in 0 to {HIGHEST}")
    return behaviour * (BEHAVIOUR_SHARE + (1 - BEHAVIOUR_SHARE) * causes / HIGHEST)
