"""The quickstart over several seeds: does GRPO help every time?

    python -m benchmarks.three_seeds --seeds 0 1 2

Runs `ar1 demo` once a seed (SFT and GRPO both from that seed, clips shared; seed 0 is `make demo` itself), prints
the verdicts on the test split, and writes runs/three_seeds.json and, as tables, runs/three_seeds.md. A finished
seed is not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

AR1 = Path(sys.executable).parent / "ar1"
NAMES = ("reward", "reasoning", "consistency", "trajectory", "ade", "min_ade", "collision", "validity")
DECODINGS = ("", "@t0.4", "@greedy")
SHOWN = tuple(name + decoding for name in NAMES for decoding in DECODINGS)


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
    """What the quickstart claims of a seed, each as a yes or no with the figures behind it; what must not get worse
    must not in any decoding."""

    def paired(name: str) -> tuple[float, float]:
        return metrics[name]["paired"][1], metrics[name]["paired"][2]

    return {
        "reward rises": paired("reward")[0] > 0,
        "greedy reward does not fall": paired("reward@greedy")[1] >= 0,
        "consistency rises": paired("consistency")[0] > 0,
        "ADE not worse": all(paired("ade" + decoding)[0] <= 0 for decoding in DECODINGS),
        "collision not worse": all(paired("collision" + decoding)[0] <= 0 for decoding in DECODINGS),
        "decision classes worse": [n for n in metrics if n.startswith("decision/") and paired(n)[1] < 0],
    }


def _cell(row: dict[str, Any]) -> str:
    before, after, (mean, low, high) = row["before"][0], row["after"][0], row["paired"]
    return f"{before:.3f} → {after:.3f} ({mean:+.3f} [{low:+.3f}, {high:+.3f}])"


def tables(metrics: dict[int, dict[str, Any]]) -> str:
    """Markdown: one row a metric or decision class, one column a seed; before → after (paired, 95 %)."""
    seeds = sorted(metrics)
    classes = sorted({n for m in metrics.values() for n in m if n.startswith("decision/") and "@" not in n})
    recorded = sorted({n for m in metrics.values() for n in m if n.startswith("recorded/")})
    lines = []
    for title, names in (("metric", SHOWN), ("decision right", classes), ("recorded traffic", recorded)):
        lines += ["", f"| {title} | " + " | ".join(f"seed {seed}" for seed in seeds) + " |"]
        lines.append("|---" * (len(seeds) + 1) + "|")
        for name in names:
            cells = [_cell(metrics[seed][name]) if name in metrics[seed] else "–" for seed in seeds]
            lines.append(f"| {name.removeprefix('decision/')} | " + " | ".join(cells) + " |")
    return "\n".join(lines[1:]) + "\n"


def main() -> None:
    """Run what is missing, print and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=Path("configs/quickstart"))
    options = parser.parse_args()
    metrics = {seed: run_seed(seed, options.folder)["metrics"] for seed in options.seeds}
    verdicts = {seed: verdict(of_seed) for seed, of_seed in metrics.items()}
    for seed, told in verdicts.items():
        print(f"seed {seed}: {told}")
    Path("runs/three_seeds.json").write_text(
        json.dumps({"metrics": metrics, "verdicts": verdicts}, indent=1) + "\n"
    )
    Path("runs/three_seeds.md").write_text(tables(metrics))


if __name__ == "__main__":
    main()
