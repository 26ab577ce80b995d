"""Who may listen where, and with which certificates: TLS and mutual TLS.

Invariant: plain text is spoken on loopback only, by servers and by clients.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

import grpc

from rewards.server_certificates import ServerCertificates


@dataclass(frozen=True)
class Tls:
    """Files in PEM. Server: cert and key, and `ca` to demand client certificates (mutual TLS). Client: `ca`
    that signed the server (None: the system's), and cert and key where the server demands them. A server follows
    its files as they change (`rewards.server_certificates`); a client reads them when it connects."""

    cert: str | None = None
    key: str | None = None
    ca: str | None = None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host; names other than localhost count as reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def server_certificates(host: str, tls: Tls | None) -> ServerCertificates | None:
    """Certificates to bind with, which follow their files; None means plain text.

    Raises ValueError where plain text would be unsafe or the files do not fit, OSError when one is missing."""
    if tls is None:
        if not is_loopback(host):
            raise ValueError(
                f"refusing to listen on {host!r} in plain text: "
                "give --tls-cert and --tls-key, or listen on 127.0.0.1"
            )
        return None
    if tls.cert is None or tls.key is None:
        raise ValueError("TLS needs both a certificate and its key")
    return ServerCertificates(Path(tls.cert), Path(tls.key), Path(tls.ca) if tls.ca else None)


def channel_credentials(host: str, tls: Tls | None) -> grpc.ChannelCredentials | None:
    """Credentials to connect with; None means plain text. Raises ValueError where that would be unsafe."""
    if tls is None:
        if not is_loopback(host):
            raise ValueError(f"refusing to talk to {host!r} in plain text: configure tls for this reward")
        return None
    read = [Path(name).read_bytes() if name else None for name in (tls.ca, tls.key, tls.cert)]
    return grpc.ssl_channel_credentials(*read)
