"""Tokens and certificates change under a running server; what docs/security.md says to type works."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import time
import urllib.request
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from reward_scenes import rollout
from served import CLIPS, ask, follow_guide, launch, refused, told

from rewards.credentials import Tls
from rewards.launch import LaunchError
from rewards.score import Status

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command makes the certificates"),
]


def score(client):
    return client.score([rollout(time.monotonic_ns())], CLIPS)


def pair(folder: Path, who: str) -> Tls:
    return Tls(str(folder / f"{who}.pem"), str(folder / f"{who}.key"), str(folder / "ca.pem"))


def serial(port: int, folder: Path) -> str:
    """Serial number of the certificate that a server shows at a new handshake."""
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "job.pem", folder / "job.key")
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", port), 5.0)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
        found = secure.getpeercert()
    assert found is not None
    return str(found["serialNumber"])


def list_services(port: int, folder: Path, token: str) -> list[str]:
    files = [(folder / name).read_bytes() for name in ("ca.pem", "job.key", "job.pem")]
    with grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(*files)) as channel:
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([request]), timeout=5, metadata=(("authorization", f"Bearer {token}"),)
        )
        return [service.name for service in next(answers).list_services_response.service]


def test_the_guide_works_beyond_loopback_with_certificates_and_token(tmp_path):
    follow_guide("certificates", tmp_path)
    options = {"tls": pair(tmp_path, "server"), "token_file": str(tmp_path / "token"), "host": "0.0.0.0"}
    known = {"tls": pair(tmp_path, "job"), "token_file": str(tmp_path / "token")}
    with launch(tmp_path / "run", **options) as server:
        (good,) = ask(server, score, **known)
        (no_token,) = ask(server, score, ready=False, tls=known["tls"])
        port = int(server.address.rpartition(":")[2])
        with pytest.raises(grpc.RpcError) as hidden:
            list_services(port, tmp_path, (tmp_path / "token").read_text().strip())
        assert hidden.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert refused(server) == {"token": 1}
        stranger = {**known, "tls": Tls(ca=str(tmp_path / "ca.pem"))}
        job = lambda c: c.score([rollout()], CLIPS, deadline_s=2.0)  # noqa: E731
        (no_certificate,) = ask(server, job, ready=False, **stranger)
    with launch(tmp_path / "open", **options, reflection=True) as server:
        told(server, "serving")
        port = int(server.address.rpartition(":")[2])
        names = list_services(port, tmp_path, (tmp_path / "token").read_text().strip())
    assert good.value == 0.5
    assert no_token.status is Status.REFUSED
    assert no_certificate.status in (Status.INFRASTRUCTURE, Status.DEADLINE)
    assert "ar1.rewards.v1.RewardService" in names


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path):
    follow_guide("certificates", tmp_path)
    spare = tmp_path / "spare"
    shutil.copytree(tmp_path, spare)

    async def job(client):
        first = await score(client)
        port = int(server.address.rpartition(":")[2])
        before = await asyncio.to_thread(serial, port, tmp_path)
        # Half of a rotation: the new certificate beside the old key.
        await asyncio.to_thread(follow_guide, "renew", spare)
        shutil.copy(spare / "server.pem", tmp_path / "server.pem")
        half = await asyncio.to_thread(serial, port, tmp_path)
        shutil.copy(spare / "server.key", tmp_path / "server.key")
        after = await asyncio.to_thread(serial, port, tmp_path)
        return before, half, after, first + await score(client)

    with launch(tmp_path / "run", tls=pair(tmp_path, "server")) as server:
        before, half, after, scores = ask(server, job, tls=pair(tmp_path, "job"))
        assert server.starts == 1
        log = server.log_path.read_text()
        # Who connects now trusts and gets the new one.
        scores += ask(server, score, tls=pair(tmp_path, "job"))
    assert before == half != after
    assert "stay in force" in log
    assert "read the rotated certificate" in log
    assert [(s.value, s.attempts) for s in scores] == [(0.5, 1)] * 3


def test_connections_are_renewed_without_losing_a_call(tmp_path):
    follow_guide("certificates", tmp_path)

    async def job(client):
        scores = []
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            scores += await score(client)
        return scores

    with launch(tmp_path / "run", tls=pair(tmp_path, "server"), connection_age_s=0.5) as server:
        scores = ask(server, job, tls=pair(tmp_path, "job"))
    assert len(scores) > 10
    assert {s.value for s in scores} == {0.5}


def test_a_client_and_a_server_follow_one_token_file_without_losing_a_call(tmp_path):
    token = tmp_path / "token"

    def write(text):
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.replace(token)

    async def job(client):
        scores = []
        for number in range(3):
            write(f"token number {number}")
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                scores += await score(client)
                await asyncio.sleep(0.02)
        return scores

    write("the first token")
    with launch(tmp_path / "run", token_file=str(token)) as server:
        scores = ask(server, job, token_file=str(token))
        assert refused(server).get("token", 0) == 0
        page = urllib.request.urlopen(told(server, "metrics").split()[1], timeout=5).read().decode()
        assert 'ar1_reward_rotations{what="token"} 3.0' in page
        assert 'ar1_reward_rotation_failures{what="token"} 0.0' in page
        log = server.log_path.read_text()
    assert {(s.value, s.attempts) for s in scores} == {(0.5, 1)}
    assert log.count("read the rotated secret") == 3
    assert "token number" not in log


def test_without_grace_the_replaced_token_is_refused_at_once(tmp_path):
    kept, token = tmp_path / "kept", tmp_path / "token"
    for path in (kept, token):
        path.write_text("leaked token")
        path.chmod(0o600)

    async def job(client):
        before = await score(client)
        token.write_text("second token")
        await asyncio.sleep(1.2)
        return before + await score(client)

    with launch(tmp_path / "run", token_file=str(token), token_grace_s=0.0) as server:
        before, after = ask(server, job, token_file=str(kept))
    assert (before.value, after.value, after.status) == (0.5, None, Status.REFUSED)


def test_a_key_or_token_that_others_can_read_stops_the_server_with_the_fix(tmp_path):
    follow_guide("certificates", tmp_path)
    for name, options in (
        ("server.key", {"tls": pair(tmp_path, "server")}),
        ("token", {"token_file": str(tmp_path / "token")}),
    ):
        (tmp_path / name).chmod(0o644)
        with pytest.raises(LaunchError, match=f"chmod 600 {tmp_path / name}"):
            launch(tmp_path / "run", **options).start()


def test_a_certificate_with_somebody_elses_key_stops_the_server_with_what_to_compare(tmp_path):
    follow_guide("certificates", tmp_path)
    mixed = Tls(str(tmp_path / "server.pem"), str(tmp_path / "job.key"))
    with pytest.raises(LaunchError, match="openssl pkey -pubout"):
        launch(tmp_path / "run", tls=mixed).start()
