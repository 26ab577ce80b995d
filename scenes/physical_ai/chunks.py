"""Files of a clip inside the data set's chunks.

Role: keeps the zip archives of a few chunks open, since clips are read in their order. Invariant: every way
in which an archive or a member can be broken becomes an InputError that names file and clip.
"""

from __future__ import annotations

import zipfile
import zlib
from collections import OrderedDict
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from scenes.physical_ai.errors import DamagedInputError, MissingInputError
from scenes.physical_ai.files import Files
from scenes.physical_ai.index import DatasetIndex
from scenes.physical_ai.parquet import id_column, read_table

OPEN_ARCHIVES = 16
MEMBER_BYTES = 1 << 30
"""Largest file taken out of a chunk; a clip's video has about 20 MB."""


class Chunks:
    """Reads members of zip chunks and rows of parquet chunks. Not shared between threads."""

    def __init__(self, files: Files, index: DatasetIndex) -> None:
        self._files, self._index = files, index
        self._archives: OrderedDict[str, tuple[IO[bytes], zipfile.ZipFile]] = OrderedDict()
        self._tables: OrderedDict[str, pa.Table] = OrderedDict()

    def member(self, clip_id: str, feature: str, part: str) -> bytes:
        """A clip's file of a zip chunk, `part` naming which (for cameras "video" or "frame_timestamps").

        Raises MissingInputError or DamagedInputError; also for a checksum that differs."""
        path, members = self._where(clip_id, feature)
        if members is None or part not in members:
            raise MissingInputError(f"features.csv gives {feature} no file {part!r} in a zip")
        name = members[part].format(clip_id=clip_id)
        archive = self._archive(path)
        try:
            info = archive.getinfo(name)
        except KeyError as error:
            raise MissingInputError(f"{path} holds no {name}") from error
        if info.file_size > MEMBER_BYTES:
            raise DamagedInputError(f"{name} in {path} claims {info.file_size} bytes, over {MEMBER_BYTES}")
        try:
            return archive.read(info)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            # RuntimeError covers an encrypted member and, as NotImplementedError, unknown compression.
            raise DamagedInputError(f"{name} in {path} cannot be unpacked: {error}") from error

    def has(self, clip_id: str, feature: str) -> bool:
        """Whether the data set has this feature for this clip; a broken archive counts as having it."""
        if feature not in self._index.features:
            return False
        path, members = self._where(clip_id, feature)
        try:
            if members is None:
                return self.row(clip_id, feature).num_rows > 0
            names = self._archive(path).NameToInfo
        except MissingInputError:
            return False
        except DamagedInputError:
            return True
        return any(member.format(clip_id=clip_id) in names for member in members.values())

    def row(self, clip_id: str, feature: str) -> pa.Table:
        """A clip's rows of a parquet chunk. Raises MissingInputError when there is none."""
        path, _ = self._where(clip_id, feature)
        table = self._tables.get(path)
        if table is None:
            with self._files.open(path) as file:
                table = read_table(file, path)
            self._tables[path] = table
            if len(self._tables) > OPEN_ARCHIVES:
                self._tables.popitem(last=False)
        found = table.filter(pc.equal(table[id_column(table.column_names, path)], clip_id))
        if not found.num_rows:
            raise MissingInputError(f"{path} has no row of it")
        return found

    def close(self) -> None:
        """Close the archives that are open."""
        while self._archives:
            self._drop()

    def _where(self, clip_id: str, feature: str) -> tuple[str, dict[str, str] | None]:
        row = self._index.feature(feature)
        return row.chunk_path.format(chunk_id=self._index.chunk_of(clip_id)), row.members

    def _archive(self, path: str) -> zipfile.ZipFile:
        if path in self._archives:
            self._archives.move_to_end(path)
            return self._archives[path][1]
        file = self._files.open(path)
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            file.close()
            raise DamagedInputError(f"{path} is not a whole zip archive: {error}") from error
        self._archives[path] = (file, archive)
        if len(self._archives) > OPEN_ARCHIVES:
            self._drop()
        return archive

    def _drop(self) -> None:
        _, (file, archive) = self._archives.popitem(last=False)
        archive.close()
        file.close()
