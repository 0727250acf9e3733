"""A certificate authority of our own, for tests."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NOW = datetime.datetime.now(datetime.UTC)
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Signs server certificates; ``ca_file`` is what clients trust."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    ca_file: str

    @classmethod
    def make(cls, folder: Path, name: str = "Test Authority") -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW - 400 * _DAY)
            .not_valid_after(_NOW + 400 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        path = folder / f"{name.replace(' ', '-').lower()}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(folder, key, certificate, str(path))

    def server(self, *names: str, valid_from_days: int = -1, valid_to_days: int = 30) -> tuple[ssl.SSLContext, str]:
        """A server context with a certificate for ``names``, and the path of that certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW + valid_from_days * _DAY)
            .not_valid_after(_NOW + valid_to_days * _DAY)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        stem = self.folder / f"{names[0].replace(':', '-')}{valid_to_days}"
        chain = stem.with_suffix(".crt")
        chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        secret = stem.with_suffix(".key")
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, secret)
        return context, str(chain)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
