"""One measurement of `benchmarks.rescore`, in a process that imports what `ar1 rescore` imports and no more.

python -m benchmarks.rescore_once RUN CASE STEPS PROCESSES
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from rl.rescoring.plan import Changes, make_plan
from rl.rescoring.run import rescore_run

CASES = {
    "combined anew": Changes(weights={"reasoning": 0.5}),
    "trajectory": Changes(["trajectory"]),
    "trajectory, consistency": Changes(["trajectory", "consistency"]),
    "all three": Changes(["trajectory", "consistency", "reasoning"]),
}


def measure(path: Path, case: str, steps: int, processes: int) -> dict[str, float]:
    """Rescore the first steps of a run in this process; seconds and peak memory, MiB."""
    began = time.perf_counter()
    report = rescore_run(path, make_plan(path, CASES[case]), (1, steps), processes)
    seconds = time.perf_counter() - began
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "rollouts": report["rollouts"],
        "changed": sum(reward["changed"] for reward in report["rewards"].values()),
        "seconds": seconds,
        "parent": _peak_mib(),
        "process": largest,
    }


def _peak_mib() -> float:
    """Peak resident memory of this process. Not ru_maxrss, which begins with that of the process it came from."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
