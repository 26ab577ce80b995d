"""A certificate authority for tests: signs certificates for 127.0.0.1 that are valid or have expired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """Writes ca.pem into the folder at once, NAME.pem and NAME.key at each `sign`."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.ca = str(folder / "ca.pem")
        built = self.build("ca", self.key, timedelta(days=1)).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        (folder / "ca.pem").write_bytes(built.sign(self.key, hashes.SHA256()).public_bytes(PEM))

    def build(self, common, key, lasts):
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(name("ca"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + lasts)
        )

    def sign(self, common, expired=False):
        """Paths of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        places = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        built = self.build(common, key, timedelta(days=-1 if expired else 1)).add_extension(places, False)
        paths = self.folder / f"{common}.pem", self.folder / f"{common}.key"
        paths[0].write_bytes(built.sign(self.key, hashes.SHA256()).public_bytes(PEM))
        plain = serialization.NoEncryption()
        paths[1].write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))
        paths[1].chmod(0o600)
        return str(paths[0]), str(paths[1])
