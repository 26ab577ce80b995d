"""What can be wrong with one clip of a data set.

Role: readers raise these, the report names them clip by clip. Invariant: an input error concerns one clip or
one of its moments and never ends the reading of the others; what concerns the whole data set is a
DatasetError."""

from __future__ import annotations


class DatasetError(ValueError):
    """A data set that cannot be read at all; the message names the file and the fix."""


class InputError(ValueError):
    """One clip's input is unusable; the message names the file and what is wrong with it."""


class MissingInputError(InputError):
    """A file that the clip needs is not there."""


class DamagedInputError(InputError):
    """A file that is there cannot be used: cut, altered, of another layout, or inconsistent in itself."""


class OutsideInputError(InputError):
    """The moment asked for reaches beyond what was recorded."""
