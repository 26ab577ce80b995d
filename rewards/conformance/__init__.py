"""The conformance kit: whether a reward server keeps the contract of `rewards/wire/reward.proto`.

Role: tests a server, in whatever language, over plain protobuf messages; `ar1 reward check` prints what it
finds. Invariant: every named check ends as passed, failed or skipped with the reason, within its time limit;
none is left out in silence.

    results = check_server(Target("127.0.0.1:50051"))
    assert not [result for result in results if result.outcome is Outcome.FAILED]
"""

from rewards.conformance.probe import Target
from rewards.conformance.result import CheckResult, Outcome
from rewards.conformance.runner import check_server

__all__ = ["CheckResult", "Outcome", "Target", "check_server"]
