"""Flow trajectories for texts that another engine wrote.

Role: where vLLM generated the text its cache is out of reach, so the finished texts are run through the backbone
once more: the prompt once a group, then all texts of the group in one pass, then the flow. Invariants: only ids
up to and including <|traj_future_start|> are seen; each row's noise is its rollout's seed; the backbone has the
weights of the version that was pushed last, the expert those of its folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from policy.backbone import load_backbone
from policy.expert_model import ExpertModel
from policy.flow import seeded_noise
from policy.flow_options import FlowOptions
from policy.lockstep import repeat
from policy.model_inputs import ImageEncoder, Padded, backbone_inputs, pad_rows
from policy.prefix import prefill, prefix_of
from policy.prompt import Prompt
from policy.spec import PolicySpec


class ExpertDriver:
    """One policy folder's expert on a backbone of its own. Raises FileNotFoundError when the folder has no
    expert."""

    def __init__(self, folder: Path, options: FlowOptions, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._expert = ExpertModel.load(folder).to(self._device)
        self._backbone = load_backbone(folder).eval().to(self._device)
        self._images = ImageEncoder(folder)
        self._vocabulary = PolicySpec.load(folder).vocabulary_ids()
        self._options = options
        self._counts = {"expert_trajectories": 0.0, "expert_prefill_tokens": 0.0}

    @torch.no_grad()
    def actions(self, prompt: Prompt, completions: Sequence[np.ndarray], seeds: Sequence[int]) -> np.ndarray:
        """Actions [R, T, 2] float32 (m/s², 1/m), one trajectory a completion.

        completions: [R] id rows of one prompt; seeds: of each row's noise. Raises ValueError for a completion
        without <|traj_future_start|>: an invalid one has nothing to drive.
        """
        texts = [self._text(ids) for ids in completions]
        empty = Padded(torch.zeros((1, 0), dtype=torch.long), torch.zeros((1, 0), dtype=torch.bool))
        inputs = backbone_inputs([prompt], empty, self._images, self._vocabulary.image_pad)
        cache, deltas = prefill(
            self._backbone, {name: value.to(self._device) for name, value in inputs.items()}
        )
        rows = pad_rows(texts, fill=self._vocabulary.traj_end)
        self._backbone.model(
            input_ids=rows.ids.to(self._device), past_key_values=repeat(cache, len(texts)), use_cache=True
        )
        ends = torch.tensor([len(prompt.ids) + len(text) for text in texts], device=self._device)
        prefix = prefix_of(cache, ends, deltas)
        waypoints = self._expert.spec.waypoints
        noise = torch.cat([seeded_noise(1, 1, waypoints, seed) for seed in seeds]).to(self._device)
        self._counts["expert_trajectories"] += len(texts)
        self._counts["expert_prefill_tokens"] += len(prompt.ids) + rows.ids.numel()
        return self._expert.sample(prefix, noise, self._options)[:, 0].float().cpu().numpy()

    def _text(self, ids: np.ndarray) -> np.ndarray:
        found = np.flatnonzero(np.asarray(ids) == self._vocabulary.traj_start)
        if not found.size:
            raise ValueError(
                "a completion without <|traj_future_start|> cannot be driven; pass valid ones only"
            )
        return np.asarray(ids)[: found[0] + 1]

    def update_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Load the backbone's tensors (Hugging Face names, float32). Raises ValueError on an unknown one."""
        state = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
        result = self._backbone.load_state_dict(state, strict=False)
        if result.unexpected_keys:
            raise ValueError(f"the expert's backbone has no tensors {result.unexpected_keys[:3]}")

    def metrics(self) -> dict[str, float]:
        """Trajectories driven and tokens run through the backbone for them."""
        return dict(self._counts)
