"""The flow expert as a whole: in-projection, text stack, out-projection; its loss, its samples, its files.

Role: what the `expert` stage trains and what `ar1 drive`, the rollout worker and the benchmarks sample from.
Invariants: tensor names are the release's (`expert.…`, `action_in_proj.…`, `action_out_proj.…`); a row's result
does not depend on the other rows of its batch; sampling depends on the noise alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig

from policy.action_features import ACTION_SIZE, ActionInProjection, action_out_projection
from policy.expert import Expert, SharedPrefix, attention_mask, expert_text_config
from policy.expert_spec import EXPERT_FOLDER, EXPERT_WEIGHTS, ExpertSpec
from policy.flow import Velocity, flow_loss, guided, interpolate, sample, training_times
from policy.flow_options import FlowOptions
from policy.prefix import Prefix


class ExpertModel(nn.Module):
    """Actions from a prefix. spec: the expert's own shape; config: of the backbone whose cache it reads."""

    def __init__(self, spec: ExpertSpec, backbone_config: Any) -> None:
        super().__init__()
        self.spec = spec
        self.expert = Expert(expert_text_config(backbone_config, spec))
        self.action_in_proj = ActionInProjection(spec.features, spec.hidden)
        self.action_out_proj = action_out_projection(spec.hidden)
        self._compiled: Any = None

    def velocity(self, actions: torch.Tensor, time: torch.Tensor, prefix: Prefix) -> torch.Tensor:
        """Predicted velocity [B, N, T, 2] of N noisy normalised trajectories a row; time: [B, N] or 0-dimensional.

        Raises ValueError when the count of waypoints is not the expert's.
        """
        return self._evaluate(actions, time, SharedPrefix(prefix), *self._view(prefix, actions))

    def _view(self, prefix: Prefix, actions: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
        """What stays the same from step to step: attention mask, and rotary positions [B, N T]."""
        _, count, waypoints, _ = actions.shape
        if waypoints != self.spec.waypoints:
            raise ValueError(f"{waypoints} waypoints, but this expert drives {self.spec.waypoints}")
        ahead = torch.arange(waypoints, device=actions.device).repeat(count)
        mask = attention_mask(prefix.visible, count, waypoints)
        return mask, prefix.position[:, None] + ahead[None]

    def _evaluate(
        self,
        actions: torch.Tensor,
        time: torch.Tensor,
        shared: SharedPrefix,
        mask: torch.Tensor | None,
        positions: torch.Tensor,
    ) -> torch.Tensor:
        rows, count, waypoints, _ = actions.shape
        tokens = self.action_in_proj(actions, time.expand(rows, count))
        hidden = self.expert(tokens.flatten(1, 2), shared, mask, positions)
        return self.action_out_proj(hidden).view(rows, count, waypoints, ACTION_SIZE).to(actions.dtype)

    def loss(self, actions: torch.Tensor, prefix: Prefix, draws: int) -> torch.Tensor:
        """Flow-matching loss of actions [B, T, 2] (m/s², 1/m) at `draws` independent times and noises a row.

        Random numbers come from torch's global generator. A share `unconditional_share` of rows sees no prefix.
        """
        data = self.normalise(actions)[:, None].expand(-1, draws, -1, -1)
        time = training_times(torch.rand(data.shape[:2], device=data.device))
        noise = torch.randn(data.shape, device=data.device)
        if self.spec.unconditional_share:
            blind = torch.rand(len(data), device=data.device) < self.spec.unconditional_share
            prefix = prefix.hidden(blind)
        return flow_loss(self.velocity(interpolate(data, noise, time), time, prefix), data, noise)

    @torch.no_grad()
    def sample(self, prefix: Prefix, noise: torch.Tensor, options: FlowOptions) -> torch.Tensor:
        """Actions [B, N, T, 2] (acceleration m/s², curvature 1/m) that the flow carries noise of that shape to.

        Raises ValueError for fewer than one step, and for guidance other than 1 on an expert that never trained
        without its prefix.
        """
        self.spec.check(options)
        velocity = guided(self._follow(prefix, noise), self._follow(prefix.unseen(), noise), options.guidance)
        return self.denormalise(sample(velocity, noise, options.steps, options.method))

    def _follow(self, prefix: Prefix, noise: torch.Tensor) -> Velocity:
        mask, positions = self._view(prefix, noise)
        if not noise.is_cuda:
            shared = SharedPrefix(prefix)
            return lambda x, time: self._evaluate(x, time, shared, mask, positions)
        if self._compiled is None:  # CUDA graphs of one evaluation: the loop replays them step after step
            self._compiled = torch.compile(self._evaluate, mode="reduce-overhead")
        compiled = self._compiled
        # Without kept buffers: a graph replays fixed addresses, and its output is overwritten by the next replay.
        return lambda x, time: compiled(x, time, SharedPrefix(prefix), mask, positions).clone()

    def normalise(self, actions: torch.Tensor) -> torch.Tensor:
        """Actions in m/s² and 1/m → the flow's units."""
        mean, std = (actions.new_tensor(values) for values in (self.spec.mean, self.spec.std))
        return (actions - mean) / std

    def denormalise(self, actions: torch.Tensor) -> torch.Tensor:
        """The flow's units → m/s² and 1/m."""
        mean, std = (actions.new_tensor(values) for values in (self.spec.mean, self.spec.std))
        return actions * std + mean

    def save(self, policy: Path) -> None:
        """Write `expert/` into a policy folder."""
        self.spec.save(policy)
        state = {name: value.contiguous() for name, value in self.state_dict().items()}
        save_file(state, policy / EXPERT_FOLDER / EXPERT_WEIGHTS, metadata={"format": "pt"})

    @classmethod
    def load(cls, policy: Path, dtype: torch.dtype = torch.float32) -> ExpertModel:
        """The expert of a policy folder. Raises FileNotFoundError or ValueError naming the fix; a tensor too few
        or too many is an error (frequencies may be absent: they follow from the spec)."""
        model = cls(ExpertSpec.load(policy), AutoConfig.from_pretrained(policy))
        path = policy / EXPERT_FOLDER / EXPERT_WEIGHTS
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing; train the expert again or copy it from its checkpoint"
            )
        result = model.load_state_dict(load_file(path), strict=False)
        absent = [name for name in result.missing_keys if not name.endswith(".freqs")]
        if absent or result.unexpected_keys:
            raise ValueError(
                f"{path} does not fit {EXPERT_FOLDER}/expert.json: missing {absent[:3]}, "
                f"unknown {result.unexpected_keys[:3]}"
            )
        return model.to(dtype).eval()


def build_expert(policy: Path, spec: ExpertSpec, seed: int) -> ExpertModel:
    """A new expert for the backbone of a policy folder; the same arguments give the same weights.

    Matrices are scaled by their fan-in, output projections of residual blocks halved, as in the embedded backbone;
    the velocity starts at 0.
    """
    model = ExpertModel(spec, AutoConfig.from_pretrained(policy))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() >= 2:
                std = weight[0].numel() ** -0.5 * (
                    0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
                )
                weight.normal_(0.0, std, generator=generator)
            elif name.endswith("bias"):
                weight.zero_()
        model.action_out_proj.weight.zero_()
    return model
