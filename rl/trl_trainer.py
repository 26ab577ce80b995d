"""TRL's GRPO trainer, imported without vLLM.

TRL imports vLLM wherever it is installed. The learner generates nothing, and that import is half of its start and
some hundred MiB of its memory. Invariant: TRL's own answer on vLLM is in place again after the import.
"""

from __future__ import annotations

from typing import Any

from trl import import_utils


def _import() -> Any:
    asked = import_utils.is_vllm_available
    import_utils.is_vllm_available = lambda min_version=None: False  # noqa: ARG005 - TRL passes it by name
    try:
        from trl import GRPOTrainer

        return GRPOTrainer
    finally:
        import_utils.is_vllm_available = asked


GRPOTrainer = _import()
