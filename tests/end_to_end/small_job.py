"""A small real job: its files, its processes, and what it left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from sft.config import DataConfig

AR1 = Path(sys.executable).parent / "ar1"


@dataclass(frozen=True)
class Small:
    """Folder with data and policy; `job` writes a configuration file."""

    folder: Path
    data: DataConfig
    policy: Path

    def job(self, name: str, **changes: object) -> Path:
        """YAML of a 3-step job with 4 groups of 4; changes replace top-level sections."""
        content: dict[str, object] = {
            "name": name,
            "runs": str(self.folder / "runs"),
            "policy": str(self.policy),
            "steps": 3,
            "checkpoint_every": 2,
            "data": self.data.model_dump(mode="json"),
            "rollout": {"clips_per_step": 4, "group_size": 4, "threads": 1},
            "learner": {
                "micro_batch": 8,
                "updates_per_step": 2,
                "threads": 1,
                "kl_beta": 0.5,
                "kl_on": "text",
                "schedule": "linear",
            },
            "evaluation": {"samples": 2, "low_samples": 2},
            **changes,
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    def run(self, name: str) -> Path:
        """Run directory of a job."""
        return self.folder / "runs" / name


def last_json(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    """The JSON object that a command printed last."""
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))
