"""Processes forked while gRPC works, as Ray forks its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FORK_WHILE_CALLING = """
import rl
import asyncio, subprocess
import grpc

async def main():
    async def echo(request, context):
        return request

    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo.Echo", {"Echo": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for _ in range(20):
            assert await channel.unary_unary("/echo.Echo/Echo")(b"x", timeout=10) == b"x"
            subprocess.run(["true"], preexec_fn=lambda: None, timeout=10, check=True)
    await server.stop(None)

asyncio.run(main())
"""


@pytest.mark.process
def test_grpc_leaves_forks_alone() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "GRPC_ENABLE_FORK_SUPPORT"}
    command = [sys.executable, "-c", FORK_WHILE_CALLING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert "fork" not in done.stderr
    assert "Bad file descriptor" not in done.stderr
