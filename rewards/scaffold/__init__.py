"""A package for a new reward, ready to install, test and serve: what `ar1 reward new` writes.

Invariant: either the whole package is there under its name or nothing is; nothing that exists is touched.
The template is itself a working package called my_reward.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import tempfile
from pathlib import Path

from rewards.registry import known

TEMPLATE = Path(__file__).with_name("template")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def scaffold(name: str, into: Path) -> Path:
    """Write the package `name` as a new folder of that name under `into`; returns the folder.

    Raises ValueError when the name is no lower-case Python name or is taken, FileExistsError when there is
    something at the folder's place already."""
    _check_name(name)
    folder = into / name
    if folder.exists() or folder.is_symlink():
        raise FileExistsError(f"{folder} exists already; choose another name, or another place with --into")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=into) as aside:
        whole = Path(aside) / name
        for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file()):
            if "__pycache__" in source.parts:
                continue
            target = whole / _named(str(source.relative_to(TEMPLATE)), name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_named(source.read_text(), name))
        whole.rename(folder)
    return folder


def class_name(name: str) -> str:
    """ "SmoothTurns" from "smooth_turns"."""
    return "".join(word.capitalize() for word in name.split("_"))


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ValueError(
            f"{name!r} cannot name a reward; use lower-case words joined by _, like smooth_turns"
        )
    if name in known():
        raise ValueError(f"a reward is called {name!r} already (see `ar1 reward list`); choose another name")
    if importlib.util.find_spec(name) is not None:
        raise ValueError(f"a Python module is called {name!r} already; choose another name")


def _named(text: str, name: str) -> str:
    text = text.replace("my_reward", name).replace("my-reward", name.replace("_", "-"))
    return text.replace("MyReward", class_name(name))
