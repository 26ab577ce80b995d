"""NVIDIA's edge exporter on what we write. Needs `tensorrt-edgellm-export` on the PATH (docs/checkpoints.md)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from release_folders import OPTIONS

from policy.checkpoint import open_checkpoint
from policy.checkpoint_convert import to_policy, to_release
from policy.release.sample import build_sample

EXPORTER = shutil.which("tensorrt-edgellm-export")
DEADLINE_S = 900
pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif(EXPORTER is None, reason="tensorrt-edgellm-export is not on the PATH"),
]


def test_the_edge_exporter_takes_a_release_that_was_a_policy(tmp_path: Path) -> None:
    """Release → policy → release with the policy as backbone's folder → ONNX of text stack, vision and expert."""
    sample = build_sample(tmp_path)
    policy = tmp_path / "policy"
    to_policy(open_checkpoint(sample.release), policy, OPTIONS)
    to_release(open_checkpoint(policy), tmp_path / "written", vlm_name_or_path=str(policy))
    out = tmp_path / "onnx"
    done = subprocess.run(
        [str(EXPORTER), str(tmp_path / "written"), str(out), "--max-kv-cache-capacity", "256"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert {folder.name for folder in out.iterdir() if (folder / "model.onnx").is_file()} == {
        "llm",
        "visual",
        "action",
    }
    llm = {file.name for file in (out / "llm").iterdir()}
    assert {"tokenizer.json", "config.json", "embedding.safetensors"} <= llm
    assert any("chat_template" in name for name in llm), (
        "without it the runtime falls back to text-only prompts"
    )
    assert (out / "visual" / "preprocessor_config.json").is_file()
