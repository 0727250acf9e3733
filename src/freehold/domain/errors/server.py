"""Starting and running the gateway."""

from freehold.domain.errors.base import FreeholdError


class ServerError(FreeholdError):
    """The gateway cannot run like this."""

    status = 500


class BindRefused(ServerError):
    """Binding to {host!s} would open this server to the network without TLS. Set [server] tls_certificate and tls_key, or pass --insecure-bind if something in front of it does TLS.

    A key sent in clear over a network is everybody's key.
    """

    code = "FH-SERVER-001"


class DataFolderLocked(ServerError):
    """The data folder {path} is in use by process {pid!s}. Stop that one or set FREEHOLD_HOME to another folder.

    Two gateways on one folder would write one audit log twice.
    """

    code = "FH-SERVER-002"


class PortInUse(ServerError):
    """{host!s}:{port!s} is taken by another program. Stop it or pass --port.

    Nothing was started.
    """

    code = "FH-SERVER-003"


class NotRunning(ServerError):
    """No Freehold answers at {url!s}: {reason!s}. Start one with "freehold up".

    ``ask``, ``receipts`` and ``models`` talk to the running server.
    """

    code = "FH-SERVER-004"
    status = 503


class Internal(ServerError):
    """Something unexpected went wrong inside Freehold (error {error_id!s}). It was written to the log; please report it.

    The client gets no further detail on purpose.
    """

    code = "FH-SERVER-005"
