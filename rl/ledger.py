"""The ledger: every rollout and every score of a run, appended once a training step.

Role: the source of truth that rollups, dashboard, report, rescoring and resume read.
Invariant: a part `ledger/part-<step>.parquet` is on disk complete or absent, is never rewritten, and no group
is in two parts. Parts beyond a checkpoint are moved to `ledger/discarded-<n>/` on resume, never deleted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from rl.ledger_schema import SCHEMA, groups_of, rows_of
from rl.rollout import Group
from rl.rollup_table import RollupTable
from rl.rollups import step_metrics
from rl.run_directory import RunDirectory, atomic_write, sync_folder

REWARDS_KEY = b"ar1.rewards"
_PART = re.compile(r"part-(\d{8})\.parquet")


def part_path(run: RunDirectory, step: int) -> Path:
    """File of one training step."""
    return run.ledger / f"part-{step:08d}.parquet"


def parts(run_dir: Path | str, up_to_step: int | None = None) -> dict[int, Path]:
    """Files of the ledger by step, ascending."""
    folder = RunDirectory(Path(run_dir)).ledger
    if not folder.is_dir():
        return {}
    found = ((_PART.fullmatch(path.name), path) for path in folder.iterdir())
    steps = {int(match.group(1)): path for match, path in found if match is not None}
    return {step: steps[step] for step in sorted(steps) if up_to_step is None or step <= up_to_step}


class LedgerWriter:
    """The job's end of the ledger; one writer a run.

    `append` writes the part of a step and its rollups. `state_dict` is the ledger offset that a checkpoint
    keeps; `load_state_dict` moves aside what was written after it, so that the resumed run writes those steps
    again.

        writer = LedgerWriter("runs/demo")
        writer.append(1, groups)
        offset = writer.state_dict()
    """

    def __init__(self, run_dir: Path | str) -> None:
        self.run = RunDirectory.create(run_dir)
        self._groups: dict[int, set[str]] = {}
        self._rollouts: dict[int, int] = {}
        for step, path in parts(self.run.path).items():
            table = pq.read_table(path, columns=["group_id", "rollout_id"])
            self._groups[step] = set(table["group_id"].to_pylist())
            self._rollouts[step] = len(table) - table["rollout_id"].null_count
        self._seen: set[str] = set().union(*self._groups.values())
        self._rollups = RollupTable.load(self.run.rollups)
        if self._rollups.steps() != sorted(self._groups):
            # A writer killed between a part and its rollups; the ledger is the truth.
            self._rebuild_rollups()

    def append(self, step: int, groups: Sequence[Group], rewards: Mapping[str, Any] | None = None) -> None:
        """Write every group that ended in `step`: trained, dropped or cancelled.

        rewards: what `rewards_of` gives back, the rewards in force and what was changed for this step (JSON).
        Raises FileExistsError when the step is in the ledger, ValueError when it is not after the last step,
        when a group belongs to another step, was appended before, or contradicts itself.
        """
        path = part_path(self.run, step)
        if path.exists():
            raise FileExistsError(
                f"{path} exists: step {step} is in the ledger; resume with load_state_dict, or name a new run"
            )
        if step <= self.last_step:
            raise ValueError(f"step {step} is not after the ledger's last step {self.last_step}")
        names = [group.group_id for group in groups]
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"step {step} has a group twice: {twice[:3]}")
        if again := self._seen.intersection(names):
            raise ValueError(f"groups {sorted(again)[:3]} are in the ledger already; a group ends once")
        if other := [group.group_id for group in groups if group.step != step]:
            raise ValueError(
                f"groups {other[:3]} carry another step than {step}; set it with replace(group, step={step})"
            )
        ordered = sorted(groups, key=lambda group: group.group_id)
        schema = SCHEMA
        if rewards is not None:
            told = {REWARDS_KEY: json.dumps(rewards, sort_keys=True)}
            schema = SCHEMA.with_metadata({**(SCHEMA.metadata or {}), **told})
        table = pa.Table.from_pylist(rows_of(self.run.name, ordered), schema=schema)
        with atomic_write(path) as file:
            pq.write_table(table, file, compression="zstd")
        self._groups[step] = set(names)
        self._rollouts[step] = sum(len(group.rollouts) for group in groups)
        self._seen.update(names)
        self._rollups.put(step, step_metrics(ordered))
        self._rollups.save(self.run.rollups)

    @property
    def last_step(self) -> int:
        """The newest step in the ledger, 0 when it is empty (steps count from 1)."""
        return max(self._groups, default=0)

    def discard_after(self, step: int) -> list[Path]:
        """Move the parts beyond `step` to a new folder `ledger/discarded-<n>/`; returns them."""
        late = [path for at, path in parts(self.run.path).items() if at > step]
        moved: list[Path] = []
        if late:
            number = 1 + sum(1 for _ in self.run.ledger.glob("discarded-*"))
            folder = self.run.ledger / f"discarded-{number}"
            folder.mkdir()
            moved = [path.rename(folder / path.name) for path in late]
            sync_folder(folder)
            sync_folder(self.run.ledger)
        self._groups = {at: names for at, names in self._groups.items() if at <= step}
        self._rollouts = {at: count for at, count in self._rollouts.items() if at <= step}
        self._seen = set().union(*self._groups.values())
        if self._rollups.discard_after(step):
            self._rollups.save(self.run.rollups)
        return moved

    def state_dict(self) -> dict[str, int]:
        """The ledger offset: last step, and counts by which a resume knows that nothing was lost."""
        return {
            "step": self.last_step,
            "groups": sum(len(names) for names in self._groups.values()),
            "rollouts": sum(self._rollouts.values()),
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go back to an offset. Raises ValueError when the ledger lacks what the offset counted."""
        kept = {at for at in self._groups if at <= state["step"]}
        groups = sum(len(self._groups[at]) for at in kept)
        rollouts = sum(self._rollouts[at] for at in kept)
        if (groups, rollouts) != (state["groups"], state["rollouts"]):
            raise ValueError(
                f"the checkpoint counted {state['groups']} groups, {state['rollouts']} rollouts up to step "
                f"{state['step']}, {self.run.ledger} holds {groups} and {rollouts}; restore its missing "
                "parts (see ledger/discarded-*) or resume from an older checkpoint"
            )
        self.discard_after(state["step"])

    def metrics(self) -> dict[str, float]:
        """Counts so far, for the job's scalars."""
        return {f"ledger/{name}": float(value) for name, value in self.state_dict().items()}

    def _rebuild_rollups(self) -> None:
        self._rollups = RollupTable()
        for step in sorted(self._groups):
            self._rollups.put(step, step_metrics(read_part(part_path(self.run, step))))
        self._rollups.save(self.run.rollups)


def rewards_of(path: Path | str) -> dict[str, Any]:
    """The rewards in force in a part ("rewards", "revision") and the changes that came with it ("changes"); empty
    where the part does not say."""
    told = (pq.read_schema(path).metadata or {}).get(REWARDS_KEY)
    return {} if told is None else dict(json.loads(told))


def read_part(path: Path) -> list[Group]:
    """All groups of one part. Raises ValueError naming a file that is not a readable part."""
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"{path} is not a readable ledger part ({error}); restore it from a copy, or move it away and "
            "resume from a checkpoint before its step"
        ) from error
    return groups_of(table.to_pylist())


class LedgerReader:
    """Anybody's end of the ledger: DuckDB in this process over the parts that exist now, read-only.

        reader = LedgerReader("runs/demo")
        reader.query("SELECT step, avg(total) AS reward FROM ledger GROUP BY step ORDER BY step")

    The view `ledger` has the columns of `rl.ledger_schema.SCHEMA`, one row a rollout. Filter on
    `rollout_id IS NOT NULL` to leave out groups that ended without one.
    """

    def __init__(self, run_dir: Path | str) -> None:
        self.run = RunDirectory.existing(run_dir)
        self._duckdb = duckdb.connect(
            ":memory:",
            config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
        )

    def steps(self) -> list[int]:
        """Steps in the ledger, ascending."""
        return list(parts(self.run.path))

    def query(self, sql: str, parameters: Sequence[Any] = (), steps: Sequence[int] | None = None) -> pa.Table:
        """Answer a SELECT over the view `ledger`, limited to the parts of `steps` when given. Raises
        LookupError when there are no such parts, duckdb.Error for a query that is wrong."""
        known = parts(self.run.path)
        wanted = list(known) if steps is None else [step for step in steps if step in known]
        if not wanted:
            asked = "" if steps is None else f" for steps {list(steps)[:5]}"
            raise LookupError(f"{self.run.ledger} has no parts{asked}; wait for the run's first step")
        cursor = self._duckdb.cursor()
        try:
            files = [str(known[step]) for step in wanted]
            # By name: parts of a run begun before a column existed do not have it.
            cursor.read_parquet(files, union_by_name=True).create_view("ledger")  # type: ignore[arg-type]
            return cursor.sql(sql, params=list(parameters)).to_arrow_table()
        finally:
            cursor.close()

    def groups(self, step: int) -> list[Group]:
        """All groups of a step. Raises LookupError when the step is not in the ledger."""
        path = part_path(self.run, step)
        if not path.is_file():
            raise LookupError(f"step {step} is not in {self.run.ledger}")
        return read_part(path)

    def group(self, step: int, group_id: str) -> Group:
        """One group. Raises LookupError when it is not in that step's part."""
        path = part_path(self.run, step)
        if path.is_file():
            table = pq.read_table(path, filters=[("group_id", "=", group_id)])
            if len(table):
                return groups_of(table.to_pylist())[0]
        raise LookupError(f"group {group_id!r} is not in step {step} of {self.run.ledger}")

    def __iter__(self) -> Iterator[Group]:
        for path in parts(self.run.path).values():
            yield from read_part(path)
