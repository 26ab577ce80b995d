"""Inner loops of the rule rewards, compiled by numba and kept on disk.

Invariants: nothing here is imported before a batch is scored (or a reward warmed), so that naming a reward stays
light; plain loops over float64 arrays without fast-math, so that a value does not depend on the batch it is in; a
kernel and what it calls stand in one file, because numba's cache on disk does not see changes elsewhere.
"""

from importlib.util import find_spec

if find_spec("numba") is None:
    raise ImportError("the rule rewards need numba: add it to the requirements of this environment")
