"""The quickstart over several seeds: does GRPO help every time?

    python -m benchmarks.three_seeds --seeds 0 1 2

Runs `ar1 demo` once a seed (SFT and GRPO both from that seed, clips shared; seed 0 is `make demo` itself), prints
one line a seed with the paired differences on the test split, and writes runs/three_seeds.json. A finished seed is
not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

AR1 = Path(sys.executable).parent / "ar1"
SHOWN = ("reward", "reward@greedy", "consistency", "consistency@greedy", "ade", "ade@greedy", "collision")


def run_seed(seed: int, folder: Path) -> dict[str, Any]:
    """Summary of one seed's demo."""
    suffix = f"-s{seed}" if seed else ""
    summary = Path("runs") / f"quickstart{suffix}" / "summary.json"
    if not summary.is_file():
        command = [AR1, "demo", "--folder", folder, "--seed", seed]
        command += ["--sft", f"name=quickstart-sft{suffix}", "--grpo", f"name=quickstart{suffix}"]
        command += ["--grpo", f"policy=runs/quickstart-sft{suffix}/policy"]
        subprocess.run([str(part) for part in command], check=True)
    return dict(json.loads(summary.read_text()))


def verdict(metrics: dict[str, Any]) -> dict[str, Any]:
    """What the quickstart claims of a seed, each as a yes or no with the figures behind it."""
    worse = [
        name
        for name, row in metrics.items()
        if name.startswith("decision/") and "@" not in name and row["paired"][2] < 0
    ]
    return {
        "reward rises": metrics["reward"]["paired"][1] > 0,
        "greedy reward does not fall": metrics["reward@greedy"]["paired"][2] >= 0,
        "consistency rises": metrics["consistency"]["paired"][1] > 0,
        "ADE not worse": metrics["ade"]["paired"][1] <= 0,
        "collision not worse": metrics["collision"]["paired"][1] <= 0,
        "decision classes worse": worse,
    }


def main() -> None:
    """Run what is missing, print and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=Path("configs/quickstart"))
    options = parser.parse_args()
    results = {}
    for seed in options.seeds:
        metrics = run_seed(seed, options.folder)["metrics"]
        paired = {name: metrics[name]["paired"] for name in SHOWN}
        results[seed] = {"paired": paired, "verdict": verdict(metrics)}
        row = "  ".join(f"{k} {v[0]:+.3f} [{v[1]:+.3f}, {v[2]:+.3f}]" for k, v in paired.items())
        print(f"seed {seed}: {row}\n  {results[seed]['verdict']}")
    Path("runs/three_seeds.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
