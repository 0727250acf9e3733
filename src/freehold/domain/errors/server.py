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


class StorageFailed(ServerError):
    """The database {name!s} cannot be {done!s}: {reason!s}. Free or repair the disk; Freehold goes on by itself once it can.

    The write that met this error is not counted as done: whoever waited for it got this error. After an I/O error
    the file is opened anew and checked before anything more is written. "freehold doctor" says what is wrong.
    """

    code = "FH-SERVER-006"
    status = 503
    retryable = True


class StorageBusy(ServerError):
    """{waiting!s} writes wait for the disk, which is the limit. Try again in {retry_s!s} s.

    The queue is bounded so that a slow disk never fills the memory. Another program that holds the database open for
    writing, for example a backup, has the same effect.
    """

    code = "FH-SERVER-007"
    status = 503
    type = "overloaded_error"
    retryable = True


class StorageNewer(ServerError):
    """The database {path!s} is of version {found!s}, this Freehold knows versions up to {known!s}. Use the newer Freehold that wrote it, or set FREEHOLD_HOME to another folder. Nothing was changed.

    An older program must not write newer data: it would lose what it does not know.
    """

    code = "FH-SERVER-008"


class DataFolderUnusable(ServerError):
    """The data folder {path!s} cannot be used: {reason!s}. Make it writable for you alone (chmod 700), or set FREEHOLD_HOME to another folder.

    It holds keys, receipts and the audit log. A folder that others may write to is refused, since they could replace
    files in it.
    """

    code = "FH-SERVER-009"


class WorkerFailed(ServerError):
    """Worker {worker!s} cannot serve: {reason!s}. Freehold has stopped; mend that and start it again.

    With [server] workers above 1 each worker is a process. One that ends is started again; one that ends before it
    listens, several times in a row, would do so for ever.
    """

    code = "FH-SERVER-011"


class Stopping(ServerError):
    """This server is being stopped, and the request did not end in the time that was left. Send it again in {retry_s!s} s.

    Running requests may go on for [server] drain_s seconds after the server is told to stop; a second signal ends
    them at once.
    """

    code = "FH-SERVER-010"
    status = 503
    retryable = True


class SocketUnusable(ServerError):
    """The socket {path!s} cannot be listened on: {reason!s}. Stop what is there, or name another place in [egress] broker.

    The egress broker makes it with mode 0660: its folder must be there, and be the broker's own. deploy/systemd has a
    unit that makes one under /run.
    """

    code = "FH-SERVER-012"


class KeyFileUnusable(DataFolderUnusable):
    """The key file {path!s} cannot be used: {reason!s}. Make it readable for you alone: chmod 600.

    Whoever can read a key can ask in its owner's name, so a file that others can read is refused rather than used.
    """

    code = "FH-SERVER-013"
