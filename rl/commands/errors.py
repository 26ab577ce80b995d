"""Errors that a command shows as one line, because their message names the fix."""

from __future__ import annotations

EXPECTED = (ValueError, FileNotFoundError, LookupError, TimeoutError, FileExistsError, ChildProcessError)
