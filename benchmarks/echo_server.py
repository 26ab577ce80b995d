"""An empty grpc.aio server: every call is answered with the same bytes. Started by `against_echo.py`.

`python benchmarks/echo_server.py PORT_FILE ANSWER_FILE` serves on loopback until it is terminated; the port goes to
PORT_FILE, the answer comes from ANSWER_FILE.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import grpc

from rewards.wire.codec import MESSAGE_BYTES


class Echo(grpc.GenericRpcHandler):
    """Takes any method; request and answer are bytes, so nothing is parsed."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:  # noqa: ARG002
        """One handler for all."""
        return grpc.unary_unary_rpc_method_handler(self._reply)

    async def _reply(self, request: bytes, context: grpc.aio.ServicerContext) -> bytes:  # noqa: ARG002
        return self._answer


async def main(port_file: Path, answer: bytes) -> None:
    """Serve until terminated."""
    limits = [
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.max_send_message_length", MESSAGE_BYTES),
    ]
    server = grpc.aio.server(options=limits)
    server.add_generic_rpc_handlers((Echo(answer),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    partial = port_file.with_suffix(".partial")
    partial.write_text(f"127.0.0.1:{port}")
    partial.rename(port_file)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
