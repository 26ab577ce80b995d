"""Planted hacks are found with their rollouts, each by its sign alone; a healthy run raises none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_run import make_clip, make_step, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from typer.testing import CliRunner

from rl.auditing.audit import audit, audit_report
from rl.auditing.columns import AuditColumns, columns_of, read_columns
from rl.auditing.finding import Severity
from rl.auditing.page import audit_page
from rl.auditing.reward_signs import group_spread
from rl.auditing.text_signs import most_common, shared_across_clips, twins_in_group, within_group_correlation
from rl.auditing.trend import trend, windows
from rl.commands.reward import app
from rl.ledger import LedgerReader

CLIPS = [make_clip(number) for number in range(9)]
STEPS, GROUPS, SIZE = 40, 12, 8


def plain(seed: int = 0) -> AuditColumns:
    """A run in which every reward gets a little better and nothing is odd."""
    rng = np.random.default_rng(seed)
    count = STEPS * GROUPS * SIZE
    step = np.repeat(np.arange(1, STEPS + 1), GROUPS * SIZE)
    group = np.repeat(np.arange(STEPS * GROUPS), SIZE)
    skill = 0.3 + 0.4 * progress(step) + rng.normal(0, 0.25, count)
    values = {
        "consistency": (skill + rng.normal(0, 0.2, count) > 0.5).astype(float),
        "reasoning": np.clip(np.round(5 * (skill + rng.normal(0, 0.15, count))), 0, 5) / 5,
        "trajectory": -np.abs(1.2 - skill + rng.normal(0, 0.1, count)),
    }
    texts = [f"sentence {number} about the road" for number in range(400)]
    return AuditColumns(
        step=step,
        group=group,
        words=rng.integers(9, 18, count),
        text=rng.integers(0, 400, count),
        clip=group % 50,
        total=sum(values.values()),
        acceleration=rng.normal(-0.3, 0.6, count),
        final_speed=np.abs(rng.normal(6, 3, count)),
        end=rng.normal(40, 12, count),
        values=values,
        texts=texts,
        clips=[f"clip-{number}" for number in range(50)],
        ids=[f"s{s:05d}-g{g:03d}/{n}" for n, (s, g) in enumerate(zip(step, group, strict=True))],
    )


def progress(step: np.ndarray) -> np.ndarray:
    return (step - 1) / (STEPS - 1)


def judge_talked_into_grades(c: AuditColumns) -> AuditColumns:
    rng = np.random.default_rng(9)
    fooled = rng.random(len(c)) < 0.95 * progress(c.step)
    values = dict(c.values)
    values["reasoning"] = np.where(fooled, 1.0, c.values["reasoning"])
    values["consistency"] = np.where(fooled, 0.0, c.values["consistency"])
    return replace(c, values=values)


def one_reward_bought_with_another(c: AuditColumns) -> AuditColumns:
    return replace(c, values={**c.values, "trajectory": c.values["trajectory"] - 0.9 * progress(c.step)})


def longer_and_paid(c: AuditColumns) -> AuditColumns:
    rng = np.random.default_rng(3)
    words = (c.words * (1 + progress(c.step))).astype(int) + rng.integers(0, 12, len(c))
    return replace(c, words=words, total=c.total + 0.2 * words)


def shorter_for_nothing(c: AuditColumns) -> AuditColumns:
    return replace(c, words=(c.words * (1 - 0.5 * progress(c.step))).astype(int))


def one_sentence_for_all(c: AuditColumns) -> AuditColumns:
    rng = np.random.default_rng(4)
    return replace(c, text=np.where(rng.random(len(c)) < 0.8 * progress(c.step), 7, c.text))


def siblings_say_the_same(c: AuditColumns) -> AuditColumns:
    rng = np.random.default_rng(5)
    own = 400 + c.group
    texts = [*c.texts, *(f"group {number}" for number in range(STEPS * GROUPS))]
    return replace(c, text=np.where(rng.random(len(c)) < 0.97 * progress(c.step), own, c.text), texts=texts)


def always_full_marks(c: AuditColumns) -> AuditColumns:
    rng = np.random.default_rng(6)
    full = rng.random(len(c)) < 1.1 * progress(c.step)
    return replace(c, values={**c.values, "reasoning": np.where(full, 1.0, c.values["reasoning"])})


def scores_without_spread(c: AuditColumns) -> AuditColumns:
    centre = -0.5
    shrunk = centre + (c.values["trajectory"] - centre) * (1 - 0.97 * progress(c.step))
    return replace(c, values={**c.values, "trajectory": shrunk})


def braking_ever_harder(c: AuditColumns) -> AuditColumns:
    return replace(c, acceleration=c.acceleration - 1.2 * progress(c.step))


def standing_ever_more(c: AuditColumns) -> AuditColumns:
    rng = np.random.default_rng(7)
    stands = rng.random(len(c)) < 0.6 * progress(c.step)
    return replace(c, final_speed=np.where(stands, 0.0, c.final_speed))


def one_drive_for_all(c: AuditColumns) -> AuditColumns:
    return replace(c, end=40 + (c.end - 40) * (1 - 0.96 * progress(c.step)))


PLANTED = [
    (judge_talked_into_grades, "diverging rewards", Severity.ALERT),
    (judge_talked_into_grades, "judge against rule", Severity.ALERT),
    (one_reward_bought_with_another, "diverging rewards", Severity.WARNING),
    (longer_and_paid, "length drift", Severity.ALERT),
    (shorter_for_nothing, "length drift", Severity.WARNING),
    (one_sentence_for_all, "duplicate texts", Severity.ALERT),
    (siblings_say_the_same, "duplicate texts", Severity.NOTICE),
    (always_full_marks, "saturating scores", Severity.WARNING),
    (scores_without_spread, "saturating scores", Severity.WARNING),
    (braking_ever_harder, "action collapse", Severity.WARNING),
    (standing_ever_more, "action collapse", Severity.WARNING),
    (one_drive_for_all, "action collapse", Severity.WARNING),
]


@pytest.mark.parametrize("seed", range(5))
def test_a_run_that_simply_learns_raises_nothing(seed: int) -> None:
    assert audit(plain(seed)) == []


@pytest.mark.parametrize("seed", range(2))
def test_the_example_run_raises_nothing(seed: int) -> None:
    columns = columns_of(g for step in range(1, 21) for g in make_step(step, CLIPS, 6, 20, seed))
    assert set(columns.values) == {"comfort", "consistency", "reasoning", "trajectory"}
    assert audit(columns) == []


@pytest.mark.parametrize(("plant", "sign", "severity"), PLANTED)
def test_a_planted_hack_is_found_with_its_rollouts(
    plant: Callable[[AuditColumns], AuditColumns], sign: str, severity: Severity
) -> None:
    columns = plant(plain())
    found = [finding for finding in audit(columns) if finding.sign == sign]
    assert severity in {finding.severity for finding in found}
    late = {columns.ids[row] for row in np.flatnonzero(windows(columns.step)[1])}
    for finding in found:
        assert finding.evidence
        assert 0 < len(finding.rollouts) <= 5
        assert {witness.rollout_id for witness in finding.rollouts} <= late
        assert all(witness.text in columns.texts for witness in finding.rollouts)


@pytest.mark.parametrize(
    "plant", [plant for plant, _, _ in PLANTED if plant not in (judge_talked_into_grades, longer_and_paid)]
)
def test_a_planted_hack_sets_off_its_own_sign_alone(plant: Callable[[AuditColumns], AuditColumns]) -> None:
    expected = {sign for planted, sign, _ in PLANTED if planted is plant}
    found = {finding.sign for finding in audit(plant(plain()))}
    assert found == expected


def test_witnesses_show_the_hack() -> None:
    columns = judge_talked_into_grades(plain())
    (finding,) = [f for f in audit(columns) if f.sign == "judge against rule"]
    for witness in finding.rollouts:
        assert witness.values["reasoning"] == 1.0
        assert witness.values["consistency"] == 0.0
    (repeated,) = {
        f.rollouts[0].text for f in audit(one_sentence_for_all(plain())) if f.sign == "duplicate texts"
    }
    assert repeated == "sentence 7 about the road"


def test_a_judge_that_always_contradicts_the_rule_is_worth_a_notice() -> None:
    columns = plain()
    flipped = replace(columns, values={**columns.values, "consistency": 1 - columns.values["consistency"]})
    found = [f for f in audit(flipped) if f.sign == "judge against rule"]
    assert [f.severity for f in found] in ([Severity.NOTICE], [Severity.ALERT])


def test_missing_scores_and_invalid_completions_leave_the_verdict() -> None:
    columns = plain()
    rng = np.random.default_rng(8)
    holes = rng.random(len(columns)) < 0.3
    holed = replace(
        columns,
        values={name: np.where(holes, np.nan, v) for name, v in columns.values.items()},
        total=np.where(holes, np.nan, columns.total),
        acceleration=np.where(holes, np.nan, columns.acceleration),
    )
    assert audit(holed) == []
    never = replace(columns, values={**columns.values, "lost": np.full(len(columns), np.nan)})
    assert audit(never) == []


def test_a_trend_needs_ten_steps_and_bears_outliers() -> None:
    step = np.arange(20)
    values = 0.1 * step + np.where(step == 5, 50.0, 0.0)
    found = trend(step, values)
    assert found is not None
    assert found.slope == pytest.approx(0.1 * 19, rel=0.1)
    assert trend(step[:9], values[:9]) is None
    assert trend(step, np.full(20, np.nan)) is None
    flat = trend(step, np.random.default_rng(0).normal(size=20))
    assert flat is not None
    assert flat.low < 0 < flat.high


def test_many_steps_are_pooled() -> None:
    step = np.repeat(np.arange(5000), 3)
    found = trend(step, step / 5000.0)
    assert found is not None
    assert found.slope == pytest.approx(1.0, abs=0.02)


@settings(deadline=None, max_examples=30)
@given(arrays(int, 40, elements=st.integers(0, 3)), arrays(int, 40, elements=st.integers(0, 2)))
def test_shares_of_texts_count_what_a_loop_counts(text: np.ndarray, step: np.ndarray) -> None:
    step = np.sort(step)
    group = np.arange(40) // 4
    columns = replace(
        plain(),
        step=step,
        group=group,
        clip=group % 3,
        text=text,
        ids=["x"] * 40,
    )
    rows = range(40)
    across = [
        any(step[i] == step[j] and text[i] == text[j] and group[i] % 3 != group[j] % 3 for j in rows)
        for i in rows
    ]
    twins = [any(i != j and group[i] == group[j] and text[i] == text[j] for j in rows) for i in rows]
    assert shared_across_clips(columns).tolist() == [float(x) for x in across]
    assert twins_in_group(columns).tolist() == [float(x) for x in twins]
    for at in set(step.tolist()):
        counts = np.bincount(text[step == at])
        assert most_common(columns)[step == at].sum() == counts.max()


def test_spread_and_correlation_are_inside_groups() -> None:
    columns = plain()
    values = columns.group * 100.0 + np.arange(len(columns)) % 2
    step, spread = group_spread(columns, values)
    assert len(step) == STEPS * GROUPS
    np.testing.assert_allclose(spread, 0.5)
    other = -columns.group * 7.0 + np.arange(len(columns)) % 2
    everyone = np.ones(len(columns), bool)
    assert within_group_correlation(values, other, columns.group, everyone) == pytest.approx(1.0)
    assert within_group_correlation(np.ones(len(columns)), other, columns.group, everyone) is None


def test_columns_are_what_the_ledger_holds(runs_dir: Path) -> None:
    columns = read_columns(runs_dir / "demo")
    rollouts = [r for group in LedgerReader(runs_dir / "demo") for r in group.rollouts]
    assert list(columns.ids) == [r.rollout_id for r in rollouts]
    for row in range(0, len(rollouts), 37):
        rollout = rollouts[row]
        assert columns.texts[columns.text[row]] == rollout.completion.text
        assert columns.clips[columns.clip[row]] == rollout.clip_id
        for score in rollout.scores:
            value = columns.values[score.reward][row]
            assert np.isnan(value) if score.value is None else value == score.value
        if rollout.trajectory is not None:
            assert columns.final_speed[row] == rollout.trajectory.states[-1, 3]
    assert set(read_columns(runs_dir / "demo", (2, 3)).step) == {2, 3}
    with pytest.raises(LookupError, match="no parts"):
        read_columns(runs_dir / "demo", (90, None))


def test_the_command_says_what_it_found_and_fails_where_asked(tmp_path: Path) -> None:
    run = write_run(tmp_path / "short", CLIPS, steps=4, groups=1)
    short = CliRunner().invoke(app, ["audit", str(run.path), "--fail-on", "alert"])
    assert "a trend needs 10" in short.output
    assert short.exit_code == 3, "a run that cannot be judged is not clean"
    longer = write_run(tmp_path / "longer", CLIPS, steps=10, groups=2)
    page = tmp_path / "audit.html"
    result = CliRunner().invoke(
        app, ["audit", str(longer.path), "--json", "--html", str(page), "--judge", "comfort"]
    )
    report = json.loads(result.stdout)
    assert report["not_judged"] is None
    assert report["rollouts"] == 10 * 2 * 8
    assert len(report["curves"]["reasoning"]) == 10
    assert not re.search(r"(src|href)=|https?://", page.read_text())
    nobody = CliRunner().invoke(app, ["audit", str(longer.path), "--rule", "nobody"])
    assert "not looked at: judge against rule" in nobody.output


def test_the_page_shows_findings_and_escapes_texts() -> None:
    columns = one_sentence_for_all(plain())
    texts = [*columns.texts]
    texts[7] = "<script>alert('x')</script>"
    html = audit_page(audit_report("demo", replace(columns, texts=texts)))
    assert "duplicate texts" in html
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
