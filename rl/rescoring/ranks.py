"""How two orders of the same group agree: Kendall's tau-b and Spearman's rho, for many groups at once.

Sources: tau-b, Kendall 1945 (Biometrika 33); rho is Pearson's r of average ranks. Both equal
scipy.stats.kendalltau and spearmanr, which take one group a call (about 0.5 ms; a run has tens of thousands).
"""

from __future__ import annotations

import numpy as np


def rank_agreement(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(tau-b [N], rho [N]) of a, b [N, G], NaN where a rollout is left out.

    Only rollouts that both have count. NaN where fewer than two are left or either side is all ties."""
    both = np.isfinite(a) & np.isfinite(b)
    pairs = both[:, :, None] & both[:, None, :]
    signs_a, signs_b = _signs(a, pairs), _signs(b, pairs)
    with np.errstate(invalid="ignore", divide="ignore"):
        untied_a = (signs_a**2).sum(axis=(1, 2))
        untied_b = (signs_b**2).sum(axis=(1, 2))
        tau = (signs_a * signs_b).sum(axis=(1, 2)) / np.sqrt(untied_a * untied_b)
        # The row sums of signs are twice the centred average ranks, whose correlation is rho.
        ranks_a, ranks_b = signs_a.sum(axis=2), signs_b.sum(axis=2)
        rho = (ranks_a * ranks_b).sum(axis=1) / np.sqrt((ranks_a**2).sum(axis=1) * (ranks_b**2).sum(axis=1))
    return tau, rho


def _signs(values: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """[N, G, G]: 1 where row i's value is above row j's, -1 below, 0 for ties and pairs that do not count."""
    filled = np.nan_to_num(values)
    return np.where(pairs, np.sign(filled[:, :, None] - filled[:, None, :]), 0.0)


def sign_flips(a: np.ndarray, b: np.ndarray, floor: float = 1e-6) -> np.ndarray:
    """Where a and b point opposite ways and neither is smaller than `floor` (rounding of an all-equal group);
    False where either is NaN. Any shape."""
    return ((a > floor) & (b < -floor)) | ((a < -floor) & (b > floor))
