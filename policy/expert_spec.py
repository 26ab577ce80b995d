"""What an expert says of itself: `expert/expert.json` inside a policy folder.

Role: the shape of the flow expert and the scale of its actions, in the terms of the release's `expert_cfg`,
`action_in_proj_cfg` and `action_space_cfg`. Invariant: import-light; layers, KV heads and head size are not here,
because they must be the backbone's. Defaults are the release's (config.json of nvidia/Alpamayo-R1-10B).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PositiveInt, ValidationError

from policy.flow_options import FlowOptions
from policy.spec import SpecModel
from scenes.trajectory import FUTURE_STEPS

EXPERT_FOLDER = "expert"
"""Subfolder of a policy folder: vLLM reads every safetensors file beside config.json, so the expert lies below."""
EXPERT_FILE = "expert.json"
EXPERT_WEIGHTS = "model.safetensors"


class FeatureSpec(SpecModel):
    """The in-projection of waypoints: width and layers of its network, and `frequencies` Fourier features (sines
    and cosines together) of each number, from 1 to max_frequency cycles a unit."""

    hidden: PositiveInt = 512
    layers: PositiveInt = 2
    max_frequency: float = Field(100.0, ge=1)
    frequencies: PositiveInt = 20


class ExpertSpec(SpecModel):
    """hidden, feed_forward, heads: the expert's own widths; mean, std: of acceleration m/s² and curvature 1/m,
    which the flow sees normalised; unconditional_share: share of training rows that saw no prefix (0: guidance
    is refused).
    """

    hidden: PositiveInt = 2048
    feed_forward: PositiveInt = 8256
    heads: PositiveInt = 16
    waypoints: PositiveInt = FUTURE_STEPS
    features: FeatureSpec = FeatureSpec()
    mean: tuple[float, float] = (0.02902694707164455, 0.0002692167976330542)
    std: tuple[float, float] = (0.6810426736454882, 0.026148280660833106)
    unconditional_share: float = Field(0.0, ge=0, lt=1)

    def save(self, policy: Path) -> None:
        """Write `expert/expert.json` into a policy folder."""
        folder = policy / EXPERT_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / EXPERT_FILE).write_text(self.model_dump_json(indent=1) + "\n")

    def check(self, options: FlowOptions) -> None:
        """Raise ValueError when this expert cannot be sampled so."""
        if options.guidance != 1.0 and not self.unconditional_share:
            raise ValueError(
                f"guidance {options.guidance:g} needs an expert that was trained without its prefix too; train "
                "with unconditional_share above 0, or leave guidance at 1"
            )

    @classmethod
    def load(cls, policy: Path) -> ExpertSpec:
        """Read it. Raises FileNotFoundError or ValueError naming the folder and the fix."""
        path = policy / EXPERT_FOLDER / EXPERT_FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"{policy} has no flow expert ({EXPERT_FOLDER}/{EXPERT_FILE}); train one with "
                "`ar1 sft --config configs/quickstart/expert.yaml`"
            )
        try:
            return cls.model_validate_json(path.read_text())
        except ValidationError as error:
            raise ValueError(f"{path} does not describe an expert: {error}") from error
