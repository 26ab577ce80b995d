"""Secrets do not survive in texts that are kept, and ordinary texts do."""

from __future__ import annotations

import io
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards import redaction
from rewards.redaction import HIDDEN, RedactingFormatter, RedactingStream, redact, remember, secret_in
from rewards.score import Score, Status
from rewards.wire import reward_pb2 as pb
from rewards.wire.codec import decode_score, missing_result


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("connect to https://ann:hunter2@host/v1 failed", "hunter2"),
        ("postgres://ann:p%40ss@db:5432/x", "p%40ss"),
        ("401 for Authorization: Bearer abc.def-123456", "abc.def-123456"),
        ("header Basic YW5uOmh1bnRlcjI=", "YW5uOmh1bnRlcjI"),
        ("Incorrect API key provided: sk-proj-abc123def456", "sk-proj-abc123def456"),
        ("{'api_key': 'zyxwvut'}", "zyxwvut"),
        ("password=correcthorse and more", "correcthorse"),
        ("token hf_abcdefghijklmnop1234 is bad", "hf_abcdefghijklmnop1234"),
        ("ghp_0123456789abcdef0123 is bad", "ghp_0123456789abcdef0123"),
        ("AKIAABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----", "MIIEvQIBADAN"),
        ("cut off: -----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADAN", "MIIEvQIBADAN"),
    ],
)
def test_what_looks_like_a_secret_is_blanked(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Keep lane and maintain speed since the road is clear.",
        "says set_speed_tracking; causes right: red_light, 127 trajectory tokens",
        "missing or wrong bearer token",
        "grpc://10.0.0.7:50051/safety: UNAVAILABLE: the rewards are loading",
        "KeyError: 'no such thing' at faulty_rewards.py:41",
        "the basic understanding of a task-specific risk-averse policy",
    ],
)
def test_ordinary_texts_are_left_alone(text: str) -> None:
    assert redact(text) == text


@settings(deadline=None)
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40), st.text(), st.text()
)
def test_a_remembered_value_never_survives(secret: str, before: str, after: str) -> None:
    known = set(redaction._known)
    remember(secret)
    kept = redact(before + secret + after)
    # Another test's texts may hold "00000000".
    redaction._known.clear()
    redaction._known.update(known)
    assert secret not in kept.replace(HIDDEN, "")


def test_missing_scores_and_results_carry_no_secrets() -> None:
    why = "judge said 401: key sk-abcdefgh12345678"
    score = Score("r", None, Status.INFRASTRUCTURE, explanation=why)
    theirs = decode_score(pb.Result(status=pb.REFUSED, explanation=why), "r", "1", 1)
    for kept in (score.explanation, theirs.explanation, missing_result("g/0", pb.DATA, why).explanation):
        assert "sk-abc" not in kept
        assert kept.startswith("judge said 401")


def test_log_lines_and_tracebacks_carry_no_secrets() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter("%(message)s"))
    log = logging.getLogger("test.redaction")
    log.addHandler(handler)
    try:
        raise ValueError("no route to https://ann:hunter2@host")
    except ValueError:
        log.exception("with key %s", "sk-abcdefgh12345678")
    log.removeHandler(handler)
    assert "ValueError: no route to https://" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert "sk-abc" not in stream.getvalue()


def test_a_secret_printed_in_pieces_is_blanked() -> None:
    kept = io.StringIO()
    stream = RedactingStream(kept)
    for piece in ("key sk-abc", "defgh1234", "5678\nnext ", "line"):
        print(piece, end="", file=stream)
    stream.flush()
    assert kept.getvalue() == f"key {HIDDEN}\nnext line"


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"api_key": "anything"}, "api_key"),
        ({"judge": {"token": "x"}}, "judge.token"),
        ({"judges": [{"password": "x"}]}, "judges.0.password"),
        ({"base_url": "https://ann:hunter2@host/v1"}, "base_url"),
        ({"note": "sk-abcdefgh12345678"}, "note"),
        (
            {"api_key_file": "keys/judge", "api_key_env": "JUDGE_KEY", "max_tokens": 4, "eos_token": "</s>"},
            None,
        ),
        ({"base_url": "http://127.0.0.1:8000/v1", "api_key": ""}, None),
    ],
)
def test_secrets_among_options_are_found(options: dict[str, object], place: str | None) -> None:
    assert secret_in(options) == place
