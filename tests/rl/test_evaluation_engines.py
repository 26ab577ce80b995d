"""Which policies may share an evaluation's engines."""

from __future__ import annotations

from pathlib import Path

from rl.evaluation_engines import same_expert, same_shape


def policy(folder: Path, weights: bytes, bins: int) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text('{"hidden_size": 8}')
    (folder / "ar1.json").write_text(f'{{"bins": {bins}}}')
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_only_weights_may_differ(tmp_path: Path) -> None:
    base = policy(tmp_path / "base", b"1", 256)
    assert same_shape(base, policy(tmp_path / "trained", b"2", 256))
    assert not same_shape(base, policy(tmp_path / "other", b"1", 257))


def test_sharded_weights_get_engines_of_their_own(tmp_path: Path) -> None:
    base = policy(tmp_path / "base", b"1", 256)
    sharded = policy(tmp_path / "sharded", b"1", 256)
    (sharded / "model.safetensors").rename(sharded / "model-00001-of-00002.safetensors")
    assert not same_shape(base, sharded)


def test_engines_that_an_expert_drives_are_of_one_expert(tmp_path: Path) -> None:
    folders = [policy(tmp_path / name, b"1", 256) for name in ("base", "copy", "other")]
    for folder, weights in zip(folders, (b"e1", b"e1", b"e2"), strict=True):
        (folder / "expert").mkdir()
        (folder / "expert" / "expert.json").write_text("{}")
        (folder / "expert" / "model.safetensors").write_bytes(weights)
    assert same_expert(folders[0], folders[1])
    assert not same_expert(folders[0], folders[2])
