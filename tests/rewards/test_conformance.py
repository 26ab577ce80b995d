"""The conformance kit: our servers keep the contract, and each wrong server is caught by the check for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import wrong_servers
from reward_certificates import Authority
from right_servers import Right, Siblings, serving
from typer.testing import CliRunner

from rewards.conformance import Outcome, Target, check_server
from rewards.conformance.runner import checks
from rewards.credentials import Tls
from rewards.launch import LaunchConfig, SupervisedServer
from rewards.registry import RewardSource
from rewards.server import ServerConfig
from rl.commands.reward import app

PATIENCE_S = 30.0  # a right answer comes in milliseconds, on a busy machine perhaps in seconds
FAULTY = str(Path(__file__).with_name("faulty_rewards.py"))


def by_outcome(results, outcome):
    """{check: detail} of the results that ended so; a check that did so for any reward counts."""
    return {r.check: r.detail for r in results if r.outcome is outcome}


def launch(tmp_path, *targets, **options):
    sources = tuple(RewardSource(target) for target in targets)
    return SupervisedServer(LaunchConfig(ServerConfig(sources, **options), tmp_path))


@pytest.mark.process
@pytest.mark.slow
def test_the_shipped_rule_rewards_keep_the_contract(tmp_path):
    with launch(tmp_path, "trajectory", "consistency") as server:
        results = check_server(Target(server.address, timeout_s=PATIENCE_S))
    assert by_outcome(results, Outcome.FAILED) == {}
    names = [check.name for check in checks()]
    assert len(results) == sum(2 if check.on_reward is not None else 1 for check in checks()), (
        "each check reports for each reward"
    )
    assert sorted({r.check for r in results}) == sorted(names)
    # Nothing but these has nothing to check here.
    assert set(by_outcome(results, Outcome.SKIPPED)) == {
        *(name for name in names if name.startswith(("access/", "group/"))),
        "interrupted/slow-item",
    }


@pytest.mark.process
@pytest.mark.slow
def test_group_rewards_images_and_slow_items_keep_the_contract(tmp_path):
    targets = [f"{FAULTY}:{name}" for name in ("Siblings", "Looker")]
    with launch(tmp_path, *targets) as server:
        results = check_server(Target(server.address, timeout_s=PATIENCE_S))
    assert by_outcome(results, Outcome.FAILED) == {}
    passed = {(r.reward, r.check) for r in results if r.outcome is Outcome.PASSED}
    assert {
        ("siblings", "group/siblings"),
        ("siblings", "group/composition"),
        ("looker", "score/values"),
    } <= passed

    with launch(tmp_path / "slow", f"{FAULTY}:Obedient", timeout_s=1.0) as server:
        results = check_server(Target(server.address, slow_text="hang"))
    assert by_outcome(results, Outcome.FAILED) == {}
    assert by_outcome(results, Outcome.PASSED)["interrupted/slow-item"].startswith("DEADLINE after")


@pytest.mark.process
def test_a_small_correct_server_passes():
    with serving(Right()) as address:
        results = check_server(Target(address))
    assert by_outcome(results, Outcome.FAILED) == {}


WRONG = {
    "describe/server": "NewInstanceEachTime",
    "describe/reward": "EmptyRange",
    "describe/components": "SameComponentTwice",
    "health/serving": "NeverReady",
    "health/unknown-service": "AlwaysHealthy",
    "clips/good": "WantsEveryPart",
    "clips/none": "ResultForNoClip",
    "clips/malformed": "ClipErrorForAll",
    "clips/unknown": "ZeroForFailure",
    "clips/replaced": "KeepsTheFirstClip",
    "score/batch-1": "WantsSeveral",
    "score/batch-16": "WrongIds",
    "score/batch-256": "SmallBatches",
    "score/batch-4096": "AnyBatch",
    "score/values": "OutOfRange",
    "score/order": "WrongOrder",
    "score/mixed-clips": "OneClipACall",
    "score/concurrent": "OneCallAtATime",
    "score/method": "GroupOfAny",
    "score/unknown-reward": "AnyName",
    "score/unnamed-reward": "NeedsAName",
    "score/empty-batch": "AnyBatch",
    "group/siblings": "AnyGroup",
    "group/composition": "RemembersMembers",
    "input/not-finite": "BlindToNan",
    "input/wrong-arrays": "ReadsWhateverShape",
    "input/float32": "DoublesOnly",
    "input/validity": "TrustsTheFlag",
    "input/invalid-completion": "RefusesInvalid",
    "input/long-text": "AnyText",
    "input/odd-text": "TripsOverNul",
    "idempotent/again": "Forgetful",
    "idempotent/duplicates": "DropsDuplicates",
    "idempotent/content": "ById",
    "interrupted/short-deadline": "RemembersDeadlines",
    "interrupted/slow-item": "Hangs",
    "interrupted/cancelled": "StumblesOverCancelling",
    "limits/oversize": "LargeMessages",
    "limits/large": "SmallMessages",
}
MORE = (
    ("score/batch-16", "LosesOne"),
    ("score/values", "NotANumber"),
    ("input/not-finite", "ErrorForAll"),
    ("input/wrong-arrays", "ErrorForAll"),
    ("input/not-finite", "ZeroForFailure"),
)


def outcome(server, check):
    """How one check ends at one server."""
    slow = "hang" if check == "interrupted/slow-item" else None
    with serving(server()) as address:
        target = Target(address, timeout_s=2.0 if slow else PATIENCE_S, slow_text=slow)
        (result,) = check_server(target, [check])
    return result


@pytest.mark.process
@pytest.mark.parametrize(("check", "server"), [*WRONG.items(), *MORE])
def test_a_wrong_server_is_caught(check, server):
    wrong = getattr(wrong_servers, server)
    result = outcome(wrong, check)
    assert result.outcome is Outcome.FAILED, result.detail
    right = Siblings if issubclass(wrong, Siblings) else Right
    if check != "interrupted/slow-item":  # the small correct server has nothing that is slow
        assert outcome(right, check).outcome is Outcome.PASSED


def test_every_check_is_known_to_fail_where_it_should():
    # Those of tokens and certificates have tests of their own below.
    there = {check.name for check in checks() if not check.name.startswith("access/")}
    assert set(WRONG) == there


def test_checks_are_chosen_by_the_beginning_of_their_names():
    named = [check.name for check in checks(["score/batch-1", "group/", "idempotent/again"])]
    assert named == ["score/batch-1", "group/siblings", "group/composition", "idempotent/again"]
    with pytest.raises(LookupError, match="did you mean 'score/order'"):
        checks(["score/odrer"])


@pytest.mark.process
def test_the_command_prints_a_table_and_exits_non_zero_on_a_breach():
    runner = CliRunner()
    with serving(wrong_servers.NotANumber()) as address:
        shown = runner.invoke(app, ["check", address])
        told = runner.invoke(app, ["check", f"grpc://{address}/right", "--json"])
        missing = runner.invoke(app, ["check", address, "--reward", "left"])
    assert shown.exit_code == told.exit_code == 1
    assert "score/values" in shown.stdout
    assert "failed" in shown.stdout
    found = json.loads(told.stdout)
    row = next(r for r in found["results"] if r["check"] == "score/values")
    assert (row["reward"], row["outcome"]) == ("right", "failed")
    assert "value is nan" in row["detail"]
    assert found["failed"] == sum(r["outcome"] == "failed" for r in found["results"])
    assert isinstance(missing.exception, LookupError)
    with serving(Right()) as address:
        assert runner.invoke(app, ["check", address, "--json"]).exit_code == 0


@pytest.mark.process
def test_nobody_there_fails_the_first_check_and_skips_the_rest():
    with serving(Right()) as address:
        pass
    results = check_server(Target(address, timeout_s=0.5))
    assert list(by_outcome(results, Outcome.FAILED)) == ["describe/server"]
    assert "UNAVAILABLE" in by_outcome(results, Outcome.FAILED)["describe/server"]
    assert len(by_outcome(results, Outcome.SKIPPED)) == len(checks()) - 1


def test_an_address_that_is_none_and_plain_text_beyond_loopback_are_refused():
    with pytest.raises(ValueError, match="write host:port"):
        check_server(Target("localhost"))
    with pytest.raises(ValueError, match="plain text"):
        check_server(Target("10.0.0.7:50051"))


@pytest.mark.process
def test_token_and_mutual_tls_are_checked_where_they_are_demanded(tmp_path):
    authority = Authority(tmp_path / "keys")
    secret = tmp_path / "token"
    secret.touch(mode=0o600)
    secret.write_text("Open Sesame\n")
    secret.chmod(0o600)
    ca, served, known = authority.ca, authority.sign("server"), authority.sign("client")
    expired = authority.sign("late", expired=True)
    options = {"tls": Tls(*served, ca), "token_file": str(secret)}
    with launch(tmp_path / "run", f"{FAULTY}:Obedient", **options) as server:
        words = [
            "check",
            server.address,
            "--json",
            "--tls-ca",
            ca,
            "--tls-cert",
            known[0],
            "--tls-key",
            known[1],
        ]
        more = ["--token-file", str(secret), "--expired-cert", expired[0], "--expired-key", expired[1]]
        full = CliRunner().invoke(app, [*words, *more])
        without = CliRunner().invoke(app, words)
    found = {row["check"]: row for row in json.loads(full.stdout)["results"]}
    assert full.exit_code == 0, full.stdout
    access = [row for name, row in found.items() if name.startswith("access/")]
    assert [row["outcome"] for row in access] == ["passed"] * 6
    assert "Open Sesame" not in full.stdout
    assert without.exit_code == 1
    assert "--token-file" in json.loads(without.stdout)["results"][0]["detail"]


@pytest.mark.process
def test_a_server_that_lets_everybody_in_is_caught(tmp_path):
    with serving(Right()) as address:
        results = check_server(Target(address, token="a secret"))
    assert set(by_outcome(results, Outcome.FAILED)) == {"access/token-missing", "access/token-wrong"}

    authority = Authority(tmp_path / "keys")
    known, tls = authority.sign("client"), Tls(*authority.sign("server"))
    with launch(tmp_path / "run", f"{FAULTY}:Obedient", tls=tls) as server:
        results = check_server(Target(server.address, tls=Tls(*known, authority.ca)))
    assert set(by_outcome(results, Outcome.FAILED)) == {"access/no-certificate", "access/foreign-certificate"}
