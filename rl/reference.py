"""What the policy is held near to while rewards pull it: the reference of the KL penalty.

Role: a frozen copy of the policy a job starts from, the strength of the pull, and the sections it acts on.
Invariant: never trained, and the same after a resume. Holding the text alone leaves driving free to improve while
what is said keeps the distribution of the supervised policy: where two decisions cannot be told apart in the
images, the rewards pay for always saying the more frequent one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policy.backbone import load_backbone
from policy.grammar import Phase
from rl.config import JobConfig

PHASES = {
    "all": (Phase.TEXT, Phase.TRAJECTORY),
    "text": (Phase.TEXT,),
    "trajectory": (Phase.TRAJECTORY,),
}


@dataclass(frozen=True)
class Reference:
    """model: frozen backbone; beta: weight of the KL estimate (nats a token) in the loss; phases: where it acts."""

    model: Any
    beta: float
    phases: tuple[Phase, ...]


def load_reference(config: JobConfig, dtype: Any) -> Reference | None:
    """The reference a job asks for, None where `learner.kl_beta` is 0."""
    learner = config.learner
    if not learner.kl_beta:
        return None
    model = load_backbone(config.policy, dtype).eval().requires_grad_(False)
    return Reference(model, learner.kl_beta, PHASES[learner.kl_on])
