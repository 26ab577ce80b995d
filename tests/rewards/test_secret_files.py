"""Secrets in files: who may read them, and what a rotation does."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewards.client import ClientConfig, RewardClient
from rewards.redaction import redact
from rewards.registry import RewardSource
from rewards.secret_files import SecretError, SecretFile, read_secret, secret_reader
from rewards.token_gate import TokenGate


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """Replace a file the way that rotation tools do."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.replace(path)
    return path


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o606])
def test_a_secret_that_others_can_read_or_change_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "token", "open sesame", mode)
    with pytest.raises(SecretError, match=f"run chmod 600 {path}"):
        read_secret(path)
    path.chmod(0o600)
    assert read_secret(path) == "open sesame"


def test_a_secret_volume_of_kubernetes_is_taken_as_it_is_mounted(tmp_path: Path) -> None:
    def mount(stamp: str, text: str) -> None:
        write_dir = tmp_path / f"..{stamp}"
        write_dir.mkdir()
        (write_dir / "token").write_text(text)
        (write_dir / "token").chmod(0o644)
        (tmp_path / "..fresh").symlink_to(write_dir.name)
        (tmp_path / "..fresh").replace(tmp_path / "..data")

    mount("2026_1", "first token")
    (tmp_path / "token").symlink_to("..data/token")
    clock = Clock()
    secret = SecretFile(tmp_path / "token", clock=clock)
    assert secret.current() == "first token"
    mount("2026_2", "second token")
    clock.now += 1.0
    assert secret.current() == "second token"
    loose = tmp_path / "loose"
    loose.mkdir()
    (loose / "token").symlink_to(write(tmp_path / "elsewhere", "third token", 0o644))
    with pytest.raises(SecretError, match="chmod 600"):
        read_secret(loose / "token")


@pytest.mark.parametrize("text", ["", "short", "two words\nand lines", "naïve secret", "tab\tin the middle"])
def test_what_cannot_be_a_header_is_refused_without_being_quoted(tmp_path: Path, text: str) -> None:
    with pytest.raises(SecretError, match="openssl rand -hex 32") as refused:
        read_secret(write(tmp_path / "token", text))
    assert not text or text not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="nowhere: No such file"):
        read_secret(tmp_path / "nowhere")


def test_a_broken_rotation_keeps_the_last_good_secret_and_says_so(tmp_path, caplog) -> None:
    clock = Clock()
    path = write(tmp_path / "token", "first token")
    secret = SecretFile(path, clock=clock)
    for step, bad in enumerate(
        (lambda: write(path, ""), lambda: write(path, "open token", 0o644), path.unlink)
    ):
        bad()
        clock.now += 1.0
        assert secret.current() == "first token"
        assert secret.failures == step + 1
    assert "stays in force" in caplog.text
    assert "first token" not in caplog.text
    write(path, "fourth token")
    assert secret.current() == "first token", "the file is looked at once a second"
    clock.now += 1.0
    assert secret.current() == "fourth token"
    assert redact("said fourth token") == "said [redacted]"


def test_a_replaced_token_is_good_for_its_grace_and_no_longer(tmp_path: Path) -> None:
    clock = Clock()
    path = write(tmp_path / "token", "first token")
    gate = TokenGate(path, grace_s=60.0, clock=clock)

    def good(*tokens: str) -> list[bool]:
        return [gate.accepts(f"Bearer {token}") for token in tokens]

    assert good("first token", "second token", "") == [True, False, False]
    assert not gate.accepts("first token")
    write(path, "second token")
    clock.now += 1.0
    assert good("first token", "second token") == [True, True]
    clock.now += 30.0
    write(path, "third token!")
    clock.now += 29.0
    assert good("first token", "second token", "third token!") == [True, True, True]
    clock.now += 1.0
    assert good("first token", "second token", "third token!") == [False, True, True]
    clock.now += 60.0
    assert good("first token", "second token", "third token!") == [False, False, True]
    assert gate.metrics() == {"rotations": 2.0, "failures": 0.0}


def test_a_token_that_the_caller_saw_first_is_looked_for_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "token", "first token")
    gate = TokenGate(path, clock=Clock())
    write(path, "second token")
    assert gate.accepts("Bearer second token")


def test_no_grace_locks_the_replaced_token_out_at_once(tmp_path: Path) -> None:
    clock = Clock()
    path = write(tmp_path / "token", "leaked token")
    gate = TokenGate(path, grace_s=0.0, clock=clock)
    write(path, "second token")
    clock.now += 1.0
    assert (gate.accepts("Bearer leaked token"), gate.accepts(b"Bearer second token")) == (False, True)


def test_a_client_names_the_place_of_its_token_and_not_the_token(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("REWARD_TOKEN", "open sesame")
    read = secret_reader(None, "REWARD_TOKEN")
    assert read is not None
    assert read() == "open sesame"
    with pytest.raises(SecretError, match=r"\$NOT_SET"):
        RewardClient(ClientConfig("grpc://127.0.0.1:1/r", token_env="NOT_SET"))
    with pytest.raises(SecretError, match="not both"):
        secret_reader(str(tmp_path), "REWARD_TOKEN")
    assert secret_reader(None, None) is None
    assert "open sesame" not in repr(ClientConfig("grpc://127.0.0.1:1/r", token_env="REWARD_TOKEN"))


def test_a_source_with_a_secret_among_its_options_is_refused() -> None:
    with pytest.raises(SecretError, match="api_key_file") as refused:
        RewardSource("reasoning", options={"api_key": "sk-abcdefgh12345678"})
    assert "sk-abc" not in str(refused.value)
