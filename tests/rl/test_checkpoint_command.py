"""`ar1 checkpoint` from the shell: sample, inspect, verify, convert, merge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from policy.release.findings import CheckpointError
from rl.commands import checkpoint

SMALL = ("--cameras", "front_wide,front_tele", "--frames", "1", "--image-size", "96x64")


def run(*words: str | Path, catch: bool = False) -> Result:
    return CliRunner().invoke(checkpoint.app, [str(word) for word in words], catch_exceptions=catch)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample and the policy made of it."""
    root = tmp_path_factory.mktemp("checkpoints")
    assert json.loads(run("sample", root, "--json").stdout)["release"] == str(root / "release")
    told = run("convert", root / "release", root / "policy", "--to", "policy", *SMALL, "--json")
    assert json.loads(told.stdout)["tensors"] == 130
    return root


def test_inspect_tells_parts_and_statistics(folders: Path) -> None:
    content = json.loads(run("inspect", folders / "release", "--json").stdout)
    assert content["layout"] == "release"
    assert content["config"]["expert action statistics"]["accel_std"] == 0.6810426736454882
    assert content["parts"]["expert"]["tensors"] == 23
    assert "expert" in run("inspect", folders / "policy").stdout


def test_verify_exits_with_one_and_names_the_fault(folders: Path, tmp_path: Path) -> None:
    whole = run("verify", folders / "policy", "--values", "--json")
    assert whole.exit_code == 0
    assert json.loads(whole.stdout)["ok"]
    broken = tmp_path / "broken"
    run("convert", folders / "policy", broken, "--to", "release")
    (broken / "model-00002-of-00003.safetensors").unlink()
    told = run("verify", broken)
    assert told.exit_code == 1
    assert "missing shard model-00002-of-00003.safetensors" in told.stdout
    assert "not fit to load" in told.stdout


def test_there_and_back_from_the_shell(folders: Path, tmp_path: Path) -> None:
    assert run("convert", folders / "policy", tmp_path / "back", "--to", "release").exit_code == 0
    for file in (folders / "release").iterdir():
        assert (tmp_path / "back" / file.name).read_bytes() == file.read_bytes()
    run("convert", folders / "policy", tmp_path / "moved", "--to", "release", "--vlm", "elsewhere")
    config = json.loads((tmp_path / "moved" / "config.json").read_text())
    assert config["vlm_name_or_path"] == "elsewhere"


def test_merge_says_what_changed(folders: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    told = run("merge", "--release", folders / "release", "--backbone", folders / "policy", out)
    assert "0 of 88 backbone tensors differ" in told.stdout.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--set", "vocab_size"), "not of the form key=JSON"),
        (("--set", "vocab_size=x"), "not of the form key=JSON"),
        (("--set", "vocab_size=1"), "drop --set vocab_size"),
        (("--image-size", "96"), "not of the form 576x320"),
        (("--cast", "int8"), "--cast takes one of"),
    ],
)
def test_options_that_make_no_sense_say_what_would(
    folders: Path, tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        run("convert", folders / "release", tmp_path / "out", "--to", "policy", *SMALL, *words)
    assert not (tmp_path / "out").exists()


def test_an_unknown_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="alpamayo1_5"):
        run("sample", tmp_path, "--model-type", "alpamayo_9")
