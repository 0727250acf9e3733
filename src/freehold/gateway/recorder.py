"""What a finished request leaves behind: its entry in the audit log, its receipt, and a count of it.

All of it is in the kernel's hands before the answer's last byte is sent, so that no crash loses it. Requests that end in
the same tick of the event loop are written together: one write to each file for all of them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from freehold.audit.records import request_record
from freehold.domain.decisions import Outcome
from freehold.domain.errors.audit import AuditError
from freehold.domain.errors.server import ServerError
from freehold.domain.receipt import Receipt
from freehold.gateway.pricing import price_counterfactual
from freehold.gateway.receipt import ReceiptDraft
from freehold.gateway.runtime import Services

log = logging.getLogger("freehold.gateway")


class _Ended(NamedTuple):
    """A request that is over, and who waits for its receipt."""

    draft: ReceiptDraft
    outcome: Outcome
    error_code: str
    kept: asyncio.Future[Receipt] | None


class Recorder:
    """Proves requests and prices them, in the order in which they end.

    A store that cannot be written fails loudly in health and metrics, and from then on nothing leaves this machine; an
    answer that was made at home is still given.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ended: list[_Ended] = []

    async def record(self, draft: ReceiptDraft, outcome: Outcome) -> Receipt:
        """Record a request together with those that end in this tick. Cancelling it records the request all the same."""
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[Receipt] = loop.create_future()
        if not self._ended:
            loop.call_soon(self.write)
        draft.steps.append("record")
        self._ended.append(_Ended(draft, outcome, "", kept))
        return await kept

    def record_now(self, draft: ReceiptDraft, outcome: Outcome, *, error_code: str) -> None:
        """Record a request whose answer nobody waits for, and all that wait; for where nothing can be waited for."""
        draft.steps.append("record")
        self._ended.append(_Ended(draft, outcome, error_code, None))
        self.write()

    def write(self) -> None:
        """Write all that wait, if any."""
        ended, self._ended = self._ended, []
        if not ended:
            return
        try:
            receipts = self._proven(ended)
            for receipt, (draft, _, _, _) in zip(receipts, ended, strict=True):
                if draft.reserved is not None:
                    # Before it is kept: who dies in between must not leave the caller more than it has.
                    draft.reserved.settle(receipt)
            self._keep(receipts)
            observe = self._services.observe
            for receipt, (_, _, _, kept) in zip(receipts, ended, strict=True):
                observe(receipt)
                if kept is not None and not kept.done():
                    kept.set_result(receipt)
        finally:
            for each in ended:
                if each.draft.reserved is not None:
                    each.draft.reserved.settle(None)
                if each.kept is not None and not each.kept.done():
                    # A fault of ours, which is on its way up: no answer without its record, and nobody waits for ever.
                    each.kept.set_exception(RuntimeError("the request could not be recorded"))

    def _proven(self, ended: list[_Ended]) -> list[Receipt]:
        """The receipts of requests that are in the audit log, or the log of errors says why they are not."""
        audit, prices = self._services.audit, self._services.prices
        receipts: list[Receipt] = []
        for place, (draft, outcome, error_code, _) in enumerate(ended, audit.size):
            price_counterfactual(prices, draft)
            draft.audit_index = place
            receipts.append(draft.seal(outcome, error_code=error_code))
        try:
            audit.append(*map(request_record, receipts))
        except AuditError as error:
            if len(ended) > 1:
                # One that the log refuses, being too long for it, must not keep the others out.
                return [receipt for each in ended for receipt in self._proven([each])]
            draft, outcome, error_code, _ = ended[0]
            draft.audit_index = None
            receipts = [draft.seal(outcome, error_code=error_code)]
            log.error("receipt %s is not in the audit log: %s", draft.request.id, error)  # noqa: TRY400 - in metrics too
        return receipts

    def _keep(self, receipts: list[Receipt]) -> None:
        try:
            self._services.receipts.keep(*receipts)
        except ServerError as error:
            if len(receipts) == 1:
                log.error("receipt %s was not kept: %s", receipts[0].id, error)  # noqa: TRY400 - told by metrics too
                return
            for receipt in receipts:
                self._keep([receipt])
