"""What was learnt, opened beside the server, which may be running."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from dataclasses import dataclass

from freehold.app.known import CERTIFICATES_FOLDER, calibrations_folder, certificates_in
from freehold.cli import output
from freehold.cli.configured import loaded_or_default
from freehold.cli.key_ring import open_ring
from freehold.config.compile import Compiled, compile_config
from freehold.config.load import data_folder
from freehold.domain.certificates import Certificate
from freehold.evals.shipped import shipped_certificates
from freehold.hostinfo.clock import SystemClock
from freehold.storage.certificates import SqliteCertificates
from freehold.storage.outcomes import SqliteOutcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """The stores of a data folder.

    Attributes:
        compiled: The configuration.
        outcomes: Judged answers.
        certificates: Certificates, watches and gold questions.
        shipped_and_own: Certificates of files: those that come with the product, and the owner's.
        clock: Time.
    """

    compiled: Compiled
    outcomes: SqliteOutcomes
    certificates: SqliteCertificates
    shipped_and_own: tuple[Certificate, ...]
    clock: SystemClock

    def tenant(self, name: str) -> str:
        """A tenant that a command line names; the only one there is if it names none.

        Raises:
            UsageError: It is none, or there are several.
        """
        known = list(self.compiled.tenants)
        if not name and len(known) == 1:
            return known[0]
        if name not in known:
            said = f"{name!r} is no tenant" if name else "There are several tenants: say which with --tenant"
            raise output.UsageError(f"{said}; the configuration has: {', '.join(known)}.")
        return name


@contextlib.contextmanager
def open_learnt(config: str) -> Generator[Learnt]:
    """Open the stores.

    Raises:
        StorageFailed: The database cannot be opened.
    """
    loaded = loaded_or_default(config)
    compiled = compile_config(loaded, environment=os.environ)
    own = certificates_in(calibrations_folder(loaded, data_folder()) / CERTIFICATES_FOLDER)
    with open_ring(data_folder(), compiled) as (_, database):
        yield Learnt(
            compiled=compiled,
            outcomes=SqliteOutcomes(database, most=compiled.learning.outcomes_max),
            certificates=SqliteCertificates(database),
            shipped_and_own=(*shipped_certificates(), *own),
            clock=SystemClock(),
        )
