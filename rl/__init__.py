"""The job: rollout workers, group buffer, learner, weight sync, ledger, evaluation, dashboard, commands.

Importing it turns gRPC's fork handlers off, which gRPC reads when it is imported: Ray starts its processes by
fork, and with the handlers a child forked while a channel is open can hang before it executes (seen: Ray's start
timed out, its log folder empty) and the parent's poller loses its descriptors. No process of this project uses gRPC
after a fork without an exec.
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
