"""The ledger keeps what it is given, once, and can prove it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from example_run import make_clip, make_group, make_step
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from policy.completion import Completion
from rewards.score import Score, Status
from rl.ledger import LedgerReader, LedgerWriter, part_path, parts, read_part
from rl.ledger_proof import account, check_accounting, content_digest
from rl.ledger_schema import SCHEMA, groups_of, rows_of
from rl.rollout import Fate, Group, Rollout
from rl.rollup_table import RollupTable
from scenes.trajectory import Trajectory

CLIPS = [make_clip(number) for number in range(4)]


def same(a: object, b: object) -> bool:
    """Equality of nested records, arrays bit for bit with dtype."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(same(getattr(a, f), getattr(b, f)) for f in a.__dataclass_fields__)
    return a == b


def write(path: Path, steps: range, seed: int = 0) -> LedgerWriter:
    writer = LedgerWriter(path)
    for step in steps:
        writer.append(step, make_step(step, CLIPS, groups=12, seed=seed))
    return writer


def rollups(run: Path) -> dict[str, dict[int, float]]:
    series = RollupTable.load(run / "rollups.parquet").series()
    return {
        name: dict(zip(steps.tolist(), values.tolist(), strict=True))
        for name, (steps, values) in series.items()
    }


def test_groups_come_back_bit_for_bit(tmp_path: Path) -> None:
    groups = make_step(1, CLIPS, groups=12)
    LedgerWriter(tmp_path / "run").append(1, groups)
    reader = LedgerReader(tmp_path / "run")
    assert same(tuple(reader.groups(1)), tuple(groups))
    assert same(reader.group(1, groups[5].group_id), groups[5])
    assert same(tuple(reader), tuple(groups))


names = st.text(st.characters(codec="utf-8"), max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def rollouts(draw: st.DrawFn, index: int) -> Rollout:
    length = draw(st.integers(0, 6))
    valid = draw(st.booleans())
    scores = tuple(
        Score(
            name,
            draw(finite),
            components=draw(st.dictionaries(names, finite, max_size=3)),
            explanation=draw(names),
        )
        if draw(st.booleans())
        else Score(name, None, draw(st.sampled_from([s for s in Status if s is not Status.OK])))
        for name in draw(st.lists(names, unique=True, max_size=3))
    )
    scored = [score.reward for score in scores if score.value is not None]
    return Rollout(
        rollout_id=f"g/{index}",
        group_id="g",
        index=index,
        clip_id="clip",
        seed=draw(st.integers(-(2**63), 2**63 - 1)),
        completion=Completion(
            token_ids=draw(hnp.arrays(np.int32, length)),
            logprobs=draw(hnp.arrays(np.float32, length)),
            versions=draw(hnp.arrays(np.int32, length)),
            forced=draw(hnp.arrays(np.bool_, length)),
            finish_reason=draw(names),
            text=draw(names),
            bins=draw(hnp.arrays(np.int32, 4)) if valid else None,
            valid=valid,
            reason=None if valid else draw(names),
            expert_actions=draw(st.none() | hnp.arrays(np.float32, (3, 2))) if valid else None,
        ),
        trajectory=Trajectory(draw(hnp.arrays(np.float64, (2, 2))), draw(hnp.arrays(np.float64, (2, 4))))
        if valid
        else None,
        scores=scores,
        total=draw(st.none() | finite),
        advantage=draw(st.none() | finite),
        shares={name: draw(finite) for name in scored},
        fate=draw(st.sampled_from(Fate)),
        fate_reason=draw(st.none() | names),
    )


@st.composite
def groups(draw: st.DrawFn) -> Group:
    count = draw(st.integers(0, 3))
    return Group(
        group_id="g",
        step=1,
        clip_id="clip",
        version=draw(st.integers(0, 2**40)),
        rollouts=tuple(draw(rollouts(index)) for index in range(count)),
        fate=draw(st.sampled_from(Fate)),
        fate_reason=draw(st.none() | names),
        disagreement=draw(st.none() | finite),
    )


@settings(max_examples=60, deadline=None)
@given(group=groups())
def test_any_group_survives_its_row_form(group: Group) -> None:
    import pyarrow as pa

    table = pa.Table.from_pylist(rows_of("run", [group]), schema=SCHEMA)
    (back,) = groups_of(table.to_pylist())
    assert same(back, group)


def test_a_step_is_written_once(tmp_path: Path) -> None:
    writer = write(tmp_path / "run", range(1, 3))
    with pytest.raises(FileExistsError, match="step 2 is in the ledger"):
        writer.append(2, make_step(2, CLIPS))
    with pytest.raises(FileExistsError, match="resume with load_state_dict"):
        LedgerWriter(tmp_path / "run").append(2, make_step(2, CLIPS))


def test_a_group_is_written_once(tmp_path: Path) -> None:
    writer = write(tmp_path / "run", range(1, 2))
    again = [replace(group, step=2) for group in make_step(1, CLIPS)[:1]]
    with pytest.raises(ValueError, match="are in the ledger already"):
        writer.append(2, again)
    with pytest.raises(ValueError, match="has a group twice"):
        writer.append(2, make_step(2, CLIPS)[:1] * 2)
    assert not part_path(writer.run, 2).exists()


def test_groups_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path / "run")
    group = make_group(1, 0, CLIPS[0])
    with pytest.raises(ValueError, match="carry another step than 2"):
        writer.append(2, [group])
    lost = replace(group, rollouts=(replace(group.rollouts[0], clip_id="other"),))
    with pytest.raises(ValueError, match="build it with its group's ids"):
        writer.append(1, [lost])
    shares = replace(group, rollouts=(replace(group.rollouts[0], shares={"nobody": 1.0}),))
    with pytest.raises(ValueError, match="nobody"):
        writer.append(1, [shares])
    twice = replace(group, rollouts=(group.rollouts[0], group.rollouts[0]))
    with pytest.raises(ValueError, match="indices repeat"):
        writer.append(1, [twice])


def test_resume_gives_the_ledger_of_an_uninterrupted_run(tmp_path: Path) -> None:
    write(tmp_path / "whole", range(1, 6))
    writer = write(tmp_path / "cut", range(1, 4))
    checkpoint = writer.state_dict()
    writer.append(4, make_step(4, CLIPS, seed=9))  # beyond the checkpoint: what a killed job left

    resumed = LedgerWriter(tmp_path / "cut")
    resumed.load_state_dict(checkpoint)
    assert resumed.last_step == 3
    assert [p.parent.name for p in (tmp_path / "cut/ledger").glob("*/part-*")] == ["discarded-1"]
    for step in (4, 5):
        resumed.append(step, make_step(step, CLIPS))
    assert content_digest(tmp_path / "cut") == content_digest(tmp_path / "whole")
    assert resumed.state_dict() == LedgerWriter(tmp_path / "whole").state_dict()
    assert rollups(tmp_path / "cut") == rollups(tmp_path / "whole")


def test_resume_refuses_a_ledger_that_lost_a_part(tmp_path: Path) -> None:
    writer = write(tmp_path / "run", range(1, 4))
    offset = writer.state_dict()
    part_path(writer.run, 2).unlink()
    with pytest.raises(ValueError, match="restore its missing parts"):
        LedgerWriter(tmp_path / "run").load_state_dict(offset)


def with_first_score(group: Group, **changes: object) -> Group:
    first = group.rollouts[0]
    scores = (replace(first.scores[0], **changes), *first.scores[1:])  # type: ignore[arg-type]
    return replace(group, rollouts=(replace(first, scores=scores), *group.rollouts[1:]))


@pytest.mark.parametrize(
    ("change", "equal"),
    [
        ({"latency_s": 9.0, "attempts": 4, "cached": True}, True),
        ({"value": 0.123}, False),
        ({"explanation": "other"}, False),
        ({"version": "2"}, False),
        ({"components": {"new": 1.0}}, False),
    ],
)
def test_digest_is_of_content_not_of_timing(tmp_path: Path, change: dict[str, object], equal: bool) -> None:
    base = make_step(1, CLIPS, groups=3)
    LedgerWriter(tmp_path / "a").append(1, base)
    LedgerWriter(tmp_path / "b").append(1, [base[0], base[1], with_first_score(base[2], **change)])
    assert (content_digest(tmp_path / "a") == content_digest(tmp_path / "b")) is equal


def test_digest_sees_each_content_field_and_no_order_of_arrival(tmp_path: Path) -> None:
    base = make_step(1, CLIPS, groups=4)
    LedgerWriter(tmp_path / "a").append(1, base)
    reference = content_digest(tmp_path / "a")
    LedgerWriter(tmp_path / "b").append(1, base[::-1])
    assert content_digest(tmp_path / "b") == reference
    first = base[0].rollouts[0]
    ids = first.completion.token_ids.copy()
    ids[3] += 1
    logprobs = first.completion.logprobs.copy()
    logprobs[0] = np.nextafter(logprobs[0], np.float32(0))
    changed = [
        replace(first, completion=replace(first.completion, token_ids=ids)),
        replace(first, completion=replace(first.completion, logprobs=logprobs)),
        replace(first, completion=replace(first.completion, text="x")),
        replace(first, total=None),
        replace(first, seed=first.seed + 1),
        replace(first, fate=Fate.CANCELLED),
        replace(first, trajectory=None),
    ]
    digests = set()
    for number, rollout in enumerate(changed):
        run = tmp_path / f"c{number}"
        LedgerWriter(run).append(1, [replace(base[0], rollouts=(rollout, *base[0].rollouts[1:])), *base[1:]])
        digests.add(content_digest(run))
    assert len(digests - {reference}) == len(changed)


def test_digest_up_to_a_step_is_that_of_the_shorter_run(tmp_path: Path) -> None:
    write(tmp_path / "long", range(1, 5))
    write(tmp_path / "short", range(1, 3))
    assert content_digest(tmp_path / "long", up_to_step=2) == content_digest(tmp_path / "short")
    assert content_digest(tmp_path / "long") != content_digest(tmp_path / "short")


def test_every_dispatched_group_is_accounted_for(tmp_path: Path) -> None:
    writer = write(tmp_path / "run", range(1, 3))
    empty = Group("g-cancelled", 3, CLIPS[0].clip_id, 2, (), Fate.CANCELLED, "job stopped")
    writer.append(3, [empty])
    dispatched = [g.group_id for step in (1, 2) for g in make_step(step, CLIPS)] + ["g-cancelled"]
    found = check_accounting(tmp_path / "run", dispatched)
    assert found.groups == 25
    assert found.rollouts == 2 * 12 * 8
    assert found.fates == {"cancelled": 1, "dropped": 2, "trained": 22}
    assert found.reasons == {"cancelled: job stopped": 1, "dropped: stale": 2}
    assert same(LedgerReader(tmp_path / "run").groups(3)[0], empty)
    with pytest.raises(ValueError, match="1 lost \\(g-lost\\)"):
        check_accounting(tmp_path / "run", [*dispatched, "g-lost"])
    with pytest.raises(ValueError, match="1 never dispatched"):
        check_accounting(tmp_path / "run", dispatched[:-1])


def test_a_group_in_two_parts_is_found(tmp_path: Path) -> None:
    writer = write(tmp_path / "run", range(1, 2))
    table = pq.read_table(part_path(writer.run, 1))
    pq.write_table(table, part_path(writer.run, 2))
    assert len(account(tmp_path / "run").twice) == 12
    with pytest.raises(ValueError, match="12 counted twice"):
        check_accounting(tmp_path / "run", [g.group_id for g in make_step(1, CLIPS)])


def test_a_killed_writer_leaves_nothing_that_a_reader_sees(tmp_path: Path) -> None:
    writer = write(tmp_path / "run", range(1, 3))
    whole = part_path(writer.run, 2).read_bytes()
    (writer.run.ledger / ".part-00000003.parquet.77.tmp").write_bytes(whole[:100])
    assert LedgerReader(tmp_path / "run").steps() == [1, 2]
    damaged = writer.run.ledger / "part-00000004.parquet"
    damaged.write_bytes(whole[:100])
    with pytest.raises(ValueError, match="not a readable ledger part"):
        read_part(damaged)


def test_rollups_lost_between_part_and_table_are_rebuilt(tmp_path: Path) -> None:
    writer = write(tmp_path / "run", range(1, 3))
    before = rollups(writer.run.path)
    table = RollupTable.load(writer.run.rollups)
    table.discard_after(1)
    table.save(writer.run.rollups)
    LedgerWriter(tmp_path / "run")
    assert len(before["reward"]) == 2
    assert rollups(writer.run.path) == before


def test_queries_read_only_the_parts_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "run", range(1, 4))
    reader = LedgerReader(tmp_path / "run")
    counts = reader.query("SELECT step, count(*) AS n FROM ledger GROUP BY step ORDER BY step").to_pylist()
    assert counts == [{"step": step, "n": 96} for step in (1, 2, 3)]
    (one,) = reader.query("SELECT min(step) AS low, max(step) AS high FROM ledger", steps=[2]).to_pylist()
    assert one == {"low": 2, "high": 2}
    (mean,) = reader.query(
        "SELECT avg(s.value) AS mean FROM (SELECT unnest(scores) AS s FROM ledger) WHERE s.reward = ?",
        ["reasoning"],
    ).to_pylist()
    values = [s.value for g in reader for r in g.rollouts for s in r.scores if s.reward == "reasoning"]
    assert mean["mean"] == pytest.approx(np.mean([v for v in values if v is not None]))
    with pytest.raises(LookupError, match="has no parts for steps"):
        reader.query("SELECT 1 FROM ledger", steps=[99])
    with pytest.raises(LookupError, match="not in step 1"):
        reader.group(1, "nobody")
    assert list(parts(tmp_path / "run", up_to_step=2)) == [1, 2]


def test_a_run_begun_before_a_column_existed_goes_on(tmp_path: Path) -> None:
    writer = write(tmp_path / "run", range(1, 3))
    old = part_path(writer.run, 1)
    pq.write_table(pq.read_table(old).drop_columns(["trajectory_from", "expert_actions"]), old)
    reader = LedgerReader(tmp_path / "run")
    for steps in (None, [1, 2], [2, 1]):
        told = reader.query(
            "SELECT step, count(*) AS n, count(trajectory_from) AS known FROM ledger WHERE valid GROUP BY step "
            "ORDER BY step",
            steps=steps,
        )
        old_step, new_step = told.to_pylist()
        assert old_step["n"]
        assert old_step["known"] == 0
        assert new_step["known"] == new_step["n"] > 0
    assert [group.step for group in reader] == [1] * 12 + [2] * 12
