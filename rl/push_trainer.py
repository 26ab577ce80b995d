"""TRL's GRPO trainer, fed finished batches instead of generating its own.

Role: intake of batches, grammar-aware log-probabilities and the off-policy check; loss, clipping, accumulation,
DeepSpeed, optimiser and checkpoints stay TRL's. Invariants: log-probabilities are of the sampled distribution
(same grammar mask and temperature), without which TRL's stock forward gives ratio 0 and no gradient; forced
tokens carry no loss; the shuffle of a batch depends on seed and step alone; the reference of a KL penalty is the
policy the job started from, also after a resume.
Rests on TRL 1.16's `_generate_and_score_completions`, `_get_per_token_logps_and_entropies` and
`_compute_loss`; the version is pinned for that reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from policy.grammar import Grammar
from policy.likelihood import masked_log_probs
from rl.reference import Reference
from rl.trl_trainer import GRPOTrainer

IMAGE_INPUTS = ("pixel_values", "image_grid_thw", "mm_token_type_ids")
Intake = Callable[[], dict[str, Any]]


class OffPolicyError(RuntimeError):
    """Sampler and learner disagree on the probability of sampled tokens by more than the bound."""


class PushGRPOTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer whose batches come from `intake`, a callable that blocks until one is there."""

    beta: float

    def __init__(
        self,
        *args: Any,
        intake: Intake,
        grammar: Grammar,
        sample_temperature: float,
        logp_bound: float,
        reference: Reference | None = None,
        **kw: Any,
    ) -> None:
        super().__init__(*args, **kw)
        if self.beta:
            raise ValueError("GRPOConfig.beta must be 0: TRL would load a reference that knows no grammar")
        if reference is not None:
            self.beta = reference.beta
            self.ref_model = self.accelerator.prepare_model(reference.model, evaluation_mode=True)
        held = [int(phase) for phase in reference.phases] if reference is not None else []
        self._kl_phases = torch.tensor(held, device=self.accelerator.device)
        self._intake = intake
        self._grammar = grammar
        self._sample_temperature = sample_temperature
        self._logp_bound = logp_bound
        self._inputs: dict[str, Any] = {}

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        del inputs
        device = self.accelerator.device
        batch = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in self._intake().items()}
        torch.manual_seed(batch.pop("shuffle_seed"))
        if self.beta:
            batch["ref_per_token_logps"] = self._reference(batch)
        return batch

    def _reference(self, batch: dict[str, Any]) -> torch.Tensor:
        """The reference's log-probabilities [B, L] of the sampled ids where it acts, a micro-batch at once."""
        count, rows = len(batch["phases"]), self.args.per_device_train_batch_size
        acts = torch.isin(batch["phases"], self._kl_phases).any(0).nonzero()
        width = int(acts.max()) + 1 if len(acts) else 1  # what comes later cannot matter to a causal model
        prompt = batch["prompt_ids"].shape[1]
        whole = {
            **batch,
            "input_ids": torch.cat([batch["prompt_ids"], batch["completion_ids"][:, :width]], 1),
        }
        whole["mm_token_type_ids"] = batch["mm_token_type_ids"][:, : prompt + width]
        each = {name: len(whole[name]) // count for name in ("input_ids", *IMAGE_INPUTS)}  # rows a rollout
        logps = torch.zeros(batch["phases"].shape, device=self.accelerator.device)
        with torch.no_grad():
            for start in range(0, count, rows):
                part = {n: whole[n][start * k : (start + rows) * k] for n, k in each.items()}
                phases = batch["phases"][start : start + rows, :width]
                logps[start : start + rows, :width], _ = self._log_probs(self.ref_model, part, phases)
        return logps

    def _log_probs(
        self, model: Any, inputs: dict[str, Any], phases: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with self.accelerator.autocast():
            return masked_log_probs(model, inputs, phases, self._grammar, self._sample_temperature)

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
        inputs = {name: images[name] for name in IMAGE_INPUTS if images.get(name) is not None}
        phases = self._inputs["phases"][:, -logits_to_keep:]
        logps, entropies = self._log_probs(model, {"input_ids": input_ids, **inputs}, phases)
        if self.beta:
            self._free_of_kl(phases, logps.detach())
        if torch.is_grad_enabled() and self._unchanged_weights():
            mask = (self._inputs["completion_mask"] * self._inputs["tool_mask"]).bool()
            self.check_on_policy(logps, self._inputs["old_per_token_logps"], mask)
        return logps, entropies if compute_entropy else None, None

    def _free_of_kl(self, phases: torch.Tensor, logps: torch.Tensor) -> None:
        # Where the reference says what the policy says, TRL's estimator and its gradient are exactly 0.
        acts = torch.isin(phases, self._kl_phases)
        self._inputs["ref_per_token_logps"] = self._inputs["ref_per_token_logps"].where(acts, logps)

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
