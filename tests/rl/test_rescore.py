"""`ar1 rescore`: nothing changed gives everything back; what changes is found, with the rollouts behind it."""

from __future__ import annotations

import json
import multiprocessing
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from example_run import make_clip
from scored_run import REWARDS, write_scored_run
from typer.testing import CliRunner, Result

from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.server import ServerConfig
from rewards.trajectory import TrajectoryReward
from rl.advantages import Combine
from rl.cli import build
from rl.config import AdvantageConfig
from rl.group_scoring import finish_group
from rl.ledger import LedgerReader, LedgerWriter, part_path
from rl.plain_page import page, table
from rl.rescoring.plan import Changes, make_plan
from rl.rescoring.run import rescore_run
from rl.rescoring.worker import PartRescorer
from rl.rollout import Fate
from rl.run_directory import RunDirectory

CLIPS = [make_clip(number) for number in range(9)]
pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, clip_store: Path) -> RunDirectory:
    """A run of three steps of six groups of eight."""
    return write_scored_run(tmp_path_factory.mktemp("runs") / "scored", CLIPS, clip_store)


def run(*words: object) -> Result:
    return CliRunner().invoke(build(), ["rescore", *map(str, words)])


def report(*words: object) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_nothing_changed_gives_back_every_advantage_to_the_bit(scored: RunDirectory) -> None:
    found = report(scored.path, "--max-sign-flips", 0, "--min-kendall", 1)
    advantages = found["advantages"]
    assert (found["groups"], found["rollouts"], found["steps"]) == (18, 144, [1, 3])
    assert advantages["identical"] == advantages["compared"] == 144 - 3
    assert (advantages["sign_flips"], advantages["lost"], advantages["gained"]) == (0, 0, 0)
    assert found["ranks"]["kendall_mean"] == 1.0
    assert all(check["ok"] for check in found["checks"])
    assert all(not rows for rows in found["worst"].values())


def test_the_same_reward_scored_anew_changes_nothing_and_fills_what_was_missing(scored: RunDirectory) -> None:
    found = report(scored.path, "--reward", "trajectory", "--max-changed", 0, "--max-missing", 0)
    reward = found["rewards"]["trajectory"]
    assert (reward["missing_before"], reward["missing"], reward["changed"]) == (3, 0, 0)
    assert reward["correlation"] == pytest.approx(1.0)
    assert found["scored"]["trajectory"] == {
        "source": "trajectory",
        "options": {"jerk": 0.1},
        "version": TrajectoryReward.version,
    }
    assert found["advantages"]["gained"] == 3


def test_other_weights_and_order_are_what_the_job_would_have_done(scored: RunDirectory) -> None:
    changes = Changes(weights={"reasoning": 2.0}, combine=Combine.NORMALISE_THEN_SUM)
    rescorer = PartRescorer(make_plan(scored.path, changes))
    rewards = tuple(r.model_copy(update={"weight": 2.0}) if r.name == "reasoning" else r for r in REWARDS)
    config = AdvantageConfig(combine=Combine.NORMALISE_THEN_SUM)
    for group in LedgerReader(scored.path).groups(2):
        scores = {
            reward.name: [next(s for s in r.scores if s.reward == reward.name) for r in group.rollouts]
            for reward in rewards
        }
        bare = [replace(r, total=None, advantage=None, fate=Fate.TRAINED) for r in group.rollouts]
        want = finish_group(2, 1, bare, scores, rewards, config)
        assert rescorer.recombine(group, {}).rollouts[0].advantage is not None
        assert [(r.advantage, r.shares) for r in rescorer.recombine(group, {}).rollouts] == [
            (r.advantage, r.shares if r.advantage is not None else {}) for r in want.rollouts
        ]


def test_weights_that_changed_while_the_run_lived_come_from_the_ledger(
    tmp_path: Path, clip_store: Path
) -> None:
    changed = write_scored_run(tmp_path / "changed", CLIPS, clip_store, steps=1, groups=4)
    rewards = tuple(r.model_copy(update={"weight": w}) for r, w in zip(REWARDS, (2.0, 0.0, 0.3), strict=True))
    weights = {reward.name: reward.weight for reward in rewards}
    before = LedgerReader(changed.path).groups(1)
    again = [replace(group, step=2, group_id=f"{group.group_id}-2") for group in before]
    finished = []
    for group in again:
        scores = {
            reward.name: [next(s for s in r.scores if s.reward == reward.name) for r in group.rollouts]
            for reward in rewards
        }
        bare = [
            replace(
                r,
                group_id=group.group_id,
                rollout_id=f"{group.group_id}/{r.index}",
                total=None,
                advantage=None,
                fate=Fate.TRAINED,
            )
            for r in group.rollouts
        ]
        finished.append(finish_group(2, 1, bare, scores, rewards, AdvantageConfig()))
    LedgerWriter(changed.path).append(2, finished)
    part = part_path(changed, 2)
    table = pq.read_table(part)
    unrecorded = table.drop_columns("weights") if "weights" in table.column_names else table
    pq.write_table(unrecorded, part)
    assert report(changed.path, "--steps", 2)["advantages"]["identical"] < 31, (
        "the configuration is not what ran"
    )
    column = pa.array([sorted(weights.items())] * len(table), pa.map_(pa.string(), pa.float64()))
    pq.write_table(unrecorded.append_column("weights", column), part)
    found = report(changed.path, "--steps", 2)["advantages"]
    assert found["identical"] == found["compared"] == 31
    assert report(changed.path)["weights"] == {
        "trajectory": [1.0, 2.0],
        "consistency": [0.0, 0.7],
        "reasoning": 0.3,
    }
    assert "trajectory 1 to 2" in " ".join(run(changed.path).stdout.split())
    other = report(changed.path, "--steps", 2, "--weights", "consistency=0.7")["advantages"]
    assert other["identical"] < 31, "a weight that the caller sets is the one that counts"


def test_a_new_version_of_a_reward_is_found_out_with_its_rollouts(
    scored: RunDirectory, tmp_path: Path
) -> None:
    source = tmp_path / "release.py"
    source.write_text(
        "from rewards.score import Score\n"
        "from rewards.trajectory import TrajectoryReward\n"
        "class Release(TrajectoryReward):\n"
        "    version, high = '2', 2.0\n"
        "    def score(self, rollouts, clips):\n"
        "        found = super().score(rollouts, clips)\n"
        "        return [Score(self.name, s.value + (2.0 if r.rollout_id.endswith('/0') else 0.0),\n"
        "                      explanation='release', version=self.version) for r, s in zip(rollouts, found)]\n"
    )
    page = tmp_path / "page.html"
    words = (scored.path, "--reward", f"trajectory={source}:Release", "-o", "trajectory.jerk=0.1", "--top", 4)
    found = report(*words, "--html", page)
    reward = found["rewards"]["trajectory"]
    assert reward["changed"] == 18, "the first of every group"
    assert reward["mean_shift"] == pytest.approx(2.0 * 18 / reward["pairs"])
    assert found["advantages"]["sign_flips"] > 0
    worst = found["worst"]["trajectory"]
    assert len(worst) == 4
    for row in worst:
        assert row["rollout_id"].endswith("/0")
        assert row["new"] - row["old"] == pytest.approx(2.0)
        assert row["text"]
        assert row["new_explanation"] == "release"
    moved = found["worst"]["advantage"]
    assert [abs(r["new_advantage"] - r["old_advantage"]) for r in moved] == pytest.approx(
        [r["distance"] for r in moved]
    )
    html = page.read_text()
    assert worst[0]["rollout_id"] in html
    assert not re.search(r"(src|href)=|https?://", html), "the page asks nobody for anything"
    broken = run(*words, "--max-changed", 0.1, "--max-sign-flips", 0.9)
    assert broken.exit_code == 3
    assert "BROKEN" in broken.output


def test_a_reward_that_fails_is_missing_with_its_cause(scored: RunDirectory, tmp_path: Path) -> None:
    source = tmp_path / "picky.py"
    source.write_text(
        "def picky(rollouts, clips):\n    return [1.0 / (len(r.rollout_id) - 10) for r in rollouts]\n"
    )
    found = report(scored.path, "--reward", f"picky={source}:picky", "--weights", "picky=1")
    assert found["rewards"]["picky"]["missing"] == 0
    source.write_text(
        "def picky(rollouts, clips):\n    return [1 / int(r.rollout_id[-1]) for r in rollouts]\n"
    )
    found = report(scored.path, "--reward", f"picky={source}:picky", "--weights", "picky=1")
    reward = found["rewards"]["picky"]
    assert (reward["missing"], reward["missing_before"]) == (18, 144)
    assert "ZeroDivisionError" in reward["failures"]["reward_bug"]["example"]
    assert found["advantages"]["lost"] > 0
    limited = run(scored.path, "--reward", f"picky={source}:picky", "--max-missing", 0.1)
    assert limited.exit_code == 3


def test_a_reward_that_hangs_ends_the_command_with_the_part_named(
    scored: RunDirectory, tmp_path: Path
) -> None:
    source = tmp_path / "slow.py"
    source.write_text("import time\ndef slow(rollouts, clips):\n    time.sleep(600)\n")
    result = run(scored.path, "--reward", f"slow={source}:slow", "--deadline", 3)
    assert isinstance(result.exception, TimeoutError)
    assert "rescoring part-00000001.parquet" in str(result.exception)
    assert not multiprocessing.active_children(), "no process outlives the command"


def test_text_of_a_policy_cannot_write_markup() -> None:
    html = page("<b>t", "s", [("h", table([{"text": "<script>alert(1)</script>"}]))])
    assert "<script>" not in html
    assert "<b>t" not in html


def test_a_served_reward_scores_as_the_local_one(scored: RunDirectory, tmp_path: Path) -> None:
    config = ServerConfig((RewardSource("trajectory", options={"jerk": 0.1}),))
    with SupervisedServer(LaunchConfig(config, tmp_path)) as server:
        words = ("--reward", f"trajectory={server.url('trajectory')}", "--max-changed", 0)
        found = report(scored.path, *words)
    assert found["rewards"]["trajectory"]["missing"] == 0
    assert found["scored"]["trajectory"]["version"] == TrajectoryReward.version


def test_steps_are_chosen_and_the_cut_into_tasks_changes_nothing(scored: RunDirectory) -> None:
    plan = make_plan(scored.path, Changes(weights={"consistency": 0.0}))
    whole = rescore_run(scored.path, plan)
    small = rescore_run(scored.path, replace(plan, batch=1), processes=3)
    for key in ("advantages", "ranks", "worst", "by_step"):
        assert _rounded(whole[key]) == _rounded(small[key])
    one = report(scored.path, "--steps", "2:2")
    assert (one["steps"], one["rollouts"]) == ([2, 2], 48)
    assert "no parts of steps 9" in str(run(scored.path, "--steps", "9:").exception)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 9)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def test_a_clip_that_no_store_holds_ends_it_with_the_fix(tmp_path: Path, clip_store: Path) -> None:
    strangers = [make_clip(77)]
    stranger = write_scored_run(tmp_path / "stranger", strangers, clip_store, steps=1, groups=1)
    result = run(stranger.path, "--reward", "trajectory")
    assert isinstance(result.exception, LookupError)
    assert "--clips" in str(result.exception)
