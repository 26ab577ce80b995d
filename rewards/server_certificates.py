"""A server's certificate, key and client CA, read again when their files change.

Role: gRPC asks `changed` before every TLS handshake. Invariant: what is handed over fits together; a
half-replaced pair (new certificate, old key) or an unreadable file leaves the last good ones in force, with a
log line.
Connections that exist keep the certificate they began with; the server ends them after their age limit.
"""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

import grpc

from rewards.secret_files import SecretError, check_private, signature

log = logging.getLogger("ar1.rewards")
Signature = tuple[tuple[int, int, int, int] | None, ...]


class ServerCertificates:
    """The files of one server. Thread-safe: gRPC calls `changed` from a thread of its own."""

    def __init__(self, cert: Path, key: Path, ca: Path | None) -> None:
        """Raises SecretError (a ValueError) when the files do not fit or others can read the key; OSError when
        one is missing."""
        self._cert, self._key, self._ca = cert, key, ca
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._rotations = self._failures = 0
        self.first = self._read()

    def metrics(self) -> dict[str, float]:
        """rotations: changes taken over; failures: changes that did not fit or could not be read."""
        return {"rotations": float(self._rotations), "failures": float(self._failures)}

    def credentials(self) -> grpc.ServerCredentials:
        """What to bind a port with; with a client CA, callers need a certificate of it (mutual TLS)."""
        return grpc.dynamic_ssl_server_credentials(self.first, self.changed, self._ca is not None)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The configuration for handshakes from now on; None while the files are as they were."""
        with self._lock:
            before = self._signature()
            if before == self._seen:
                return None
            self._seen = before
            try:
                found = self._read()
            except (OSError, SecretError) as error:
                self._failures += 1
                log.warning("changed TLS files are not taken over, the ones before stay in force (%s)", error)
                return None
            if self._signature() != before:
                # Somebody is writing them at this moment: look again at the next handshake.
                self._seen = ()
                return None
            self._rotations += 1
            log.info("read the rotated certificate in %s", self._cert)
            return found

    def _read(self) -> grpc.ServerCertificateConfiguration:
        check_private(self._key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._cert, self._key, password=_no_password)
            if self._ca is not None:
                context.load_verify_locations(self._ca)
        except ssl.SSLError as error:
            files = ", ".join(str(path) for path in (self._cert, self._key, self._ca) if path)
            raise SecretError(
                f"{files}: not a PEM certificate with its unencrypted key ({error.reason}); compare: "
                f"openssl x509 -pubkey -noout -in {self._cert}  and  openssl pkey -pubout -in {self._key}"
            ) from error
        ca = self._ca.read_bytes() if self._ca is not None else None
        pair = (self._key.read_bytes(), self._cert.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=ca)

    def _signature(self) -> Signature:
        return tuple(_seen(path) for path in (self._cert, self._key, self._ca) if path is not None)


def _seen(path: Path) -> tuple[int, int, int, int] | None:
    try:
        return signature(path)
    except OSError:
        return None


def _no_password() -> str:
    raise SecretError("the TLS key is encrypted; a server needs it plain: openssl pkey -in KEY -out PLAIN")
