"""TRL's GRPO trainer, fed finished batches instead of generating its own.

Role: intake of batches, grammar-aware log-probabilities and the off-policy check; loss, clipping, accumulation,
DeepSpeed, optimiser and checkpoints stay TRL's. Invariants: log-probabilities are of the sampled distribution
(same grammar mask and temperature), without which TRL's stock forward gives ratio 0 and no gradient; forced
tokens carry no loss; the shuffle of a batch depends on seed and step alone.
Rests on TRL 1.16's `_generate_and_score_completions`, `_get_per_token_logps_and_entropies` and
`_compute_loss`; the version is pinned for that reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from policy.grammar import Grammar
from policy.likelihood import masked_log_probs
from rl.trl_trainer import GRPOTrainer

Intake = Callable[[], dict[str, Any]]


class OffPolicyError(RuntimeError):
    """Sampler and learner disagree on the probability of sampled tokens by more than the bound."""


class PushGRPOTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer whose batches come from `intake`, a callable that blocks until one is there."""

    def __init__(
        self,
        *args: Any,
        intake: Intake,
        grammar: Grammar,
        sample_temperature: float,
        logp_bound: float,
        **kw: Any,
    ) -> None:
        super().__init__(*args, **kw)
        self._intake = intake
        self._grammar = grammar
        self._sample_temperature = sample_temperature
        self._logp_bound = logp_bound
        self._inputs: dict[str, Any] = {}

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        del inputs
        batch = self._intake()
        torch.manual_seed(batch.pop("shuffle_seed"))
        if self.beta:
            batch["ref_per_token_logps"] = self._reference(batch)
        return batch

    def _reference(self, batch: dict[str, Any]) -> torch.Tensor:
        rows = self.args.per_device_train_batch_size
        parts = []
        images = batch["pixel_values"].shape[0] // len(batch["phases"])
        with torch.no_grad():
            for start in range(0, len(batch["phases"]), rows):
                part = slice(start, start + rows)
                counts = batch["num_images"][part]
                grid = slice(start * counts[0], (start + len(counts)) * counts[0])
                self._inputs = {"phases": batch["phases"][part]}
                logps, _, _ = self._get_per_token_logps_and_entropies(
                    self.ref_model,
                    torch.cat([batch["prompt_ids"][part], batch["completion_ids"][part]], 1),
                    torch.cat([batch["prompt_mask"][part], batch["completion_mask"][part]], 1),
                    batch["completion_ids"].shape[1],
                    pixel_values=batch["pixel_values"][start * images : (start + len(counts)) * images],
                    image_grid_thw=batch["image_grid_thw"][grid],
                    mm_token_type_ids=batch["mm_token_type_ids"][part],
                )
                parts.append(logps)
        return torch.cat(parts)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **images: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        # Rows are right-padded, so causal attention needs no mask; see policy.model_inputs.
        del attention_mask, batch_size, compute_aux_loss
        wanted = ("pixel_values", "image_grid_thw", "mm_token_type_ids")
        inputs = {name: images[name] for name in wanted if images.get(name) is not None}
        with self.accelerator.autocast():
            logps, entropies = masked_log_probs(
                model,
                {"input_ids": input_ids, **inputs},
                self._inputs["phases"][:, -logits_to_keep:],
                self._grammar,
                self._sample_temperature,
            )
        if torch.is_grad_enabled() and self._unchanged_weights():
            mask = (self._inputs["completion_mask"] * self._inputs["tool_mask"]).bool()
            self.check_on_policy(logps, self._inputs["old_per_token_logps"], mask)
        return logps, entropies if compute_entropy else None, None

    def _unchanged_weights(self) -> bool:
        # Only before a step's first update are the learner's weights the ones that sampled the rollouts.
        return self._step % self.args.steps_per_generation < self.args.gradient_accumulation_steps

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        self._inputs = inputs
        return super()._compute_loss(model, inputs)

    def check_on_policy(self, logps: torch.Tensor, sampled: torch.Tensor, mask: torch.Tensor) -> None:
        """Record the differences [B, L] on tokens in the loss; raises OffPolicyError beyond the bound."""
        difference = (logps.detach() - sampled).abs()[mask]
        if not difference.numel():
            return
        worst = float(difference.max())
        self._metrics["train"]["sampling/sampling_logp_difference/mean"].append(float(difference.mean()))
        self._metrics["train"]["sampling/sampling_logp_difference/max"].append(worst)
        if not worst <= self._logp_bound:
            raise OffPolicyError(
                f"sampler and learner log-probabilities differ by {worst:.2e} nats, bound {self._logp_bound:.0e}: "
                "the served weights are stale or the engine masks differently; run `ar1 doctor`"
            )
