"""TLS for connections that leave: verified always, with certificates chosen by us and not by the environment."""

from __future__ import annotations

import ssl
from pathlib import Path

# Where systems keep their bundle, in case OpenSSL was built for another system (a relocatable Python, for example).
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """A client context: TLS 1.2 or newer, host name checked, ALPN ``http/1.1``. Reads files, so it blocks.

    Not ``ssl.create_default_context``, which obeys ``SSLKEYLOGFILE``. Of ``ssl.get_default_verify_paths`` only what
    OpenSSL was built with is used, since its other half obeys ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.

    Args:
        ca_file: PEM file with the only certificates to trust, a private authority or the server's own certificate;
            ``None`` for the system's authorities.

    Raises:
        OSError: No certificates could be loaded.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context
    paths = ssl.get_default_verify_paths()
    bundle = next((path for path in (paths.openssl_cafile, *_BUNDLES) if path and Path(path).is_file()), None)
    folder = paths.openssl_capath if paths.openssl_capath and Path(paths.openssl_capath).is_dir() else None
    if bundle is None and folder is None:
        raise ssl.SSLError(0, "this machine has no certificate authorities")
    context.load_verify_locations(cafile=bundle, capath=folder)
    return context
