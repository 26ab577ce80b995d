"""Exact coverage: every tensor that is due is there, every tensor that is there is due.

Role: compares names, shapes and dtypes of headers with what is expected. Invariant: no tensor escapes, each is
matched, missing, unknown or wrong, and an unknown one close to a missing one is called misnamed.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from policy.release.findings import Finding
from policy.release.safetensors_header import StoredTensor
from policy.release.tensors import Expected

CLOSE = 0.85
"""Similarity (difflib's ratio) from which an unknown name is taken for a slip of a missing one."""
SUGGESTIONS = 20
"""Names looked up at most: with whole prefixes amiss, comparing all with all would take minutes."""
VOCABULARY_ROWS = ("embed_tokens.weight", "lm_head.weight")


def coverage(expected: Mapping[str, Expected], stored: Mapping[str, StoredTensor]) -> list[Finding]:
    """Findings for every tensor that does not match, missing ones first."""
    missing = [name for name, due in expected.items() if due.required and name not in stored]
    unknown = [name for name in stored if name not in expected]
    slips = _slips(missing[:SUGGESTIONS], expected, unknown, stored)
    found = [_missing(name, slips.get(name)) for name in missing]
    rest = [name for name in unknown if name not in slips.values()]
    found += [_unknown(name, expected, index < SUGGESTIONS) for index, name in enumerate(rest)]
    for name, due in expected.items():
        if name in stored:
            found += _mismatch(name, due, stored[name])
    return found


def _slips(
    missing: list[str],
    expected: Mapping[str, Expected],
    unknown: list[str],
    stored: Mapping[str, StoredTensor],
) -> dict[str, str]:
    """Missing name → the unknown name of the same shape that it most resembles."""
    slips: dict[str, str] = {}
    for name in missing:
        alike = [other for other in unknown if stored[other].shape == expected[name].shape]
        free = [other for other in alike if other not in slips.values()]
        near = difflib.get_close_matches(name, free, n=1, cutoff=CLOSE)
        slips |= {name: near[0]} if near else {}
    return slips


def _missing(name: str, slip: str | None) -> Finding:
    if slip is None:
        return Finding("missing tensor", name, "absent; loaders would leave it at random values")
    return Finding("misnamed tensor", name, f"absent, but {slip} is there with its shape: rename it")


def _unknown(name: str, expected: Mapping[str, Expected], suggest: bool) -> Finding:
    near = difflib.get_close_matches(name, list(expected), n=1, cutoff=0.0) if suggest else []
    hint = f" (nearest name: {near[0]})" if near else ""
    return Finding("unused tensor", name, f"the configuration has no place for it{hint}")


def _mismatch(name: str, due: Expected, tensor: StoredTensor) -> list[Finding]:
    found = []
    if tensor.shape != due.shape:
        kind, text = "wrong shape", f"{list(tensor.shape)} where {list(due.shape)} is due"
        rows = name.endswith(VOCABULARY_ROWS) and tensor.shape[1:] == due.shape[1:]
        if rows and tensor.shape[0] > due.shape[0]:
            extra = tensor.shape[0] - due.shape[0]
            kind = "padded vocabulary"
            text = f"{extra} rows beyond the vocabulary of {due.shape[0]}; --trim-padding drops them"
        elif rows:
            kind, text = "short vocabulary", f"{tensor.shape[0]} rows for a vocabulary of {due.shape[0]}"
        found.append(Finding(kind, name, text))
    if tensor.dtype not in due.dtypes:
        text = f"{tensor.dtype} where the configuration says {' or '.join(due.dtypes)}; --cast converts"
        found.append(Finding("wrong dtype", name, text))
    return found


def padded_rows(name: str, due: Expected, tensor: StoredTensor) -> int | None:
    """Rows to keep of an embedding or head with padding rows; None when there is nothing to trim."""
    rows = name.endswith(VOCABULARY_ROWS) and tensor.shape[1:] == due.shape[1:]
    return due.shape[0] if rows and tensor.shape[0] > due.shape[0] else None
