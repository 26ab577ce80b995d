"""Symmetric positive definite banded systems, a batch at once, by banded Cholesky.

Role: the solver behind the Tikhonov fit (`scenes.dynamics`). A block of samples is factored and solved while it
is in the cache; within a block every operation runs over the samples side by side.
Invariant: a sample's bits do not depend on the batch it is in.
"""

from __future__ import annotations

import numba
import numpy as np

BLOCK = 64
"""Samples solved together: 65 unknowns of bandwidth 3 take 130 KiB."""


def solve(columns: np.ndarray, rhs: np.ndarray, ridge: float) -> np.ndarray:
    """Solutions [n, B] of (A + ridge I) x = rhs [n, B].

    columns: of A, [n, w+1] shared by all right-hand sides, or [n, w+1, B]; entry [j, k] of A[j+k, j], those beyond
    the last row ignored. Raises numpy.linalg.LinAlgError when a pivot is not positive.
    """
    solution = np.array(rhs, dtype=np.float64, order="C")
    matrix = np.ascontiguousarray(columns, dtype=np.float64)
    shared = matrix.ndim == 2
    bad = _solve(matrix[..., None] if shared else matrix, solution, ridge, shared)
    if bad >= 0:
        raise np.linalg.LinAlgError(f"banded matrix is not positive definite at pivot {bad}")
    return solution


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _solve(columns: np.ndarray, rhs: np.ndarray, ridge: float, shared: bool) -> int:
    """Solve in place of rhs [n, B], columns [n, w+1, B], or [n, w+1, 1] where shared; the first pivot that is not
    positive and finite, or -1."""
    n, wide, samples = columns.shape[0], columns.shape[1], rhs.shape[1]
    factor = np.empty((n, wide, 1 if shared else min(BLOCK, samples)))
    for first in range(0, samples, BLOCK):
        here = min(BLOCK, samples - first)
        if not shared or first == 0:
            used = 1 if shared else here
            factor[:, :, :used] = columns[:, :, first : first + used]
            factor[:, 0, :used] += ridge
            bad = _factor(factor, used)
            if bad >= 0:
                return bad
        for j in range(n):
            for k in range(min(wide, n - j)):
                for b in range(here):
                    c = factor[j, k, 0 if shared else b]
                    if k == 0:
                        rhs[j, first + b] *= c
                    else:
                        rhs[j + k, first + b] -= c * rhs[j, first + b]
        for j in range(n - 1, -1, -1):
            most = min(wide, n - j)
            for b in range(here):
                total = 0.0
                for k in range(1, most):
                    total += factor[j, k, 0 if shared else b] * rhs[j + k, first + b]
                rhs[j, first + b] = (rhs[j, first + b] - total) * factor[j, 0, 0 if shared else b]
    return -1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _factor(columns: np.ndarray, samples: int) -> int:
    """Cholesky factors of the first samples of columns [n, w+1, B] in their place: afterwards [j, k] is
    L[j+k, j], and [j, 0] is 1 / L[j, j]. Returns as `_solve`."""
    n, wide = columns.shape[0], columns.shape[1]
    for j in range(n):
        below = min(wide, n - j) - 1
        for b in range(samples):
            pivot = columns[j, 0, b]
            if not (pivot > 0.0 and pivot < np.inf):
                return j
            columns[j, 0, b] = 1.0 / np.sqrt(pivot)
        for k in range(below):
            for b in range(samples):
                columns[j, 1 + k, b] *= columns[j, 0, b]
        for k in range(below):
            for i in range(k, below):
                for b in range(samples):
                    columns[j + 1 + k, i - k, b] -= columns[j, 1 + i, b] * columns[j, 1 + k, b]
    return -1
