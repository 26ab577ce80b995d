"""Where a data set's files come from: a folder, or NVIDIA's devkit with its cache and streaming.

Role: everything above asks for a path relative to the data set and reads the same bytes either way.
Invariant: a path that leaves the data set is refused, so a hostile index cannot name other files.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from scenes.physical_ai.errors import DamagedInputError, DatasetError, MissingInputError


class Files(Protocol):
    """Opens files of a data set. name: how messages call it."""

    name: str

    def open(self, path: str) -> IO[bytes]:
        """A readable, seekable file. Raises MissingInputError, or DamagedInputError for a path outside."""
        ...


def checked(path: str) -> PurePosixPath:
    """The path, if it stays inside the data set; DamagedInputError otherwise."""
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts or "\\" in path or not relative.parts:
        raise DamagedInputError(f"path {path!r} leaves the data set; its features.csv was altered")
    return relative


class FolderFiles:
    """A data set in a folder: a download, a snapshot of the hub's cache, or a miniature."""

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)
        self.name = str(root)
        if not self._root.is_dir():
            raise DatasetError(f"{root} is no folder; point at the folder that holds features.csv")

    def open(self, path: str) -> IO[bytes]:
        """A file of the folder."""
        found = self._root / checked(path)
        try:
            return found.open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise MissingInputError(f"{path} is not there; download that chunk") from error
        except OSError as error:
            raise DamagedInputError(f"{path} cannot be opened: {error.strerror}") from error


class DevkitFiles:
    """A data set through `physical_ai_av.PhysicalAIAVDatasetInterface`: its cache, and with stream=True the
    hub itself for what is not cached.

        DevkitFiles(physical_ai_av.PhysicalAIAVDatasetInterface(), stream=True)
    """

    def __init__(self, interface: Any, stream: bool = False) -> None:
        self._interface, self._stream = interface, stream
        self._opened = ExitStack()
        self.name = f"{interface.repo_id}@{interface.revision}"

    def open(self, path: str) -> IO[bytes]:
        """A cached or streamed file. It stays open until the caller closes it."""
        source = self._interface.open_file(str(checked(path)), maybe_stream=self._stream)
        try:
            return self._opened.enter_context(source)
        except FileNotFoundError as error:
            raise MissingInputError(
                f"{path} is not in the cache; download it with the devkit's download_clip_features,"
                " or allow streaming"
            ) from error

    def close(self) -> None:
        """Close every file that was opened."""
        self._opened.close()
