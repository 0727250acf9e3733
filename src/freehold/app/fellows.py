"""What a worker shares with its fellow workers: slots, what is used of limits and of the machine, and one page of metrics."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from freehold.domain.deployment import Deployment
from freehold.identity.limit_table import LimitTable
from freehold.serving.admission import SlotAdmission, TurnQueue
from freehold.serving.load_table import LoadTable
from freehold.serving.shared_slots import REFILL_EVERY_S, Bells, SharedQueue
from freehold.serving.slot_table import SlotTable
from freehold.telemetry.workers import WorkerPages

WORKERS_FOLDER = "workers"
SLOTS_FILE = "slots"
LIMITS_FILE = "limits"
LOAD_FILE = "load"


@dataclass(frozen=True, slots=True)
class Seat:
    """Which of how many workers a process is."""

    worker: int
    workers: int


ALONE = Seat(0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fellows:
    """The way to the others."""

    seat: Seat
    table: SlotTable
    limits: LimitTable
    load: LoadTable
    bells: Bells
    pages: WorkerPages

    @classmethod
    def join(cls, folder: Path, seat: Seat, *, mine: int, others: Sequence[int]) -> Self:
        """Join those that the parent process has made ready.

        Args:
            folder: The data folder.
            seat: Which one this is.
            mine: Descriptor of one's own bell.
            others: Descriptors to ring the bell of each worker.

        Raises:
            OSError: A table cannot be opened.
            ValueError: It is none.
        """
        shared = folder / WORKERS_FOLDER
        return cls(
            seat=seat,
            table=SlotTable.open(shared / SLOTS_FILE),
            limits=LimitTable.open(shared / LIMITS_FILE, worker=seat.worker),
            load=LoadTable.open(shared / LOAD_FILE, worker=seat.worker),
            bells=Bells(mine, others),
            pages=WorkerPages(shared, str(seat.worker)),
        )

    def queue(self, deployment: Deployment) -> TurnQueue:
        """This worker's part of the queue of a deployment."""
        return SharedQueue(deployment, table=self.table, worker=self.seat.worker, ring=self.bells.ring)

    async def keep_filled(self, admission: SlotAdmission) -> None:
        """Let callers of this worker start when another one gives a slot back, until cancelled."""
        loop = asyncio.get_running_loop()

        def hear() -> None:
            self.bells.hush()
            admission.refill()

        loop.add_reader(self.bells.mine, hear)
        try:
            while True:
                await asyncio.sleep(REFILL_EVERY_S)
                admission.refill()
        finally:
            loop.remove_reader(self.bells.mine)


class BellPipes:
    """The pipes of all workers, made by their parent and inherited by each.

    Attributes:
        read: What each one hears, by worker.
        write: What rings at each one, by worker.
    """

    def __init__(self, workers: int) -> None:
        pipes = [os.pipe() for _ in range(workers)]
        self.read = [read for read, _ in pipes]
        self.write = [write for _, write in pipes]
        for write in self.write:
            os.set_blocking(write, False)

    def ring_all(self) -> None:
        """Have every worker look whether it is its turn."""
        for write in self.write:
            Bells.ring_at(write)

    def close(self) -> None:
        """Close them."""
        for each in (*self.read, *self.write):
            os.close(each)
