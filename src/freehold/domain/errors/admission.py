"""Whether there is room."""

from freehold.domain.errors.base import FreeholdError
from freehold.domain.place import Place


class AdmissionError(FreeholdError):
    """There is no room now.

    Attributes:
        place: Where the request stood in the queue, and how long it waited or would have had to; ``None`` for nowhere.
    """

    status = 503
    type = "overloaded_error"
    retryable = True
    place: Place | None = None


class QueueFull(AdmissionError):
    """{deployment} runs {running!s} requests and {waiting!s} are waiting, which is its limit. Try again in {retry_s!s} s.

    The queue is bounded so that nobody waits for an answer that comes too late. In a full queue a more urgent request
    takes the place of the youngest of the least urgent ones, which is refused so.
    """

    code = "FH-ADMIT-001"


class DeadlineUnreachable(AdmissionError):
    """No slot of {deployment} came free within {waited_s!s} s. Try again later or raise its slots.

    A request that cannot start in time is given up instead of being started late.
    """

    code = "FH-ADMIT-002"


class ShuttingDown(AdmissionError):
    """The server is stopping and takes no new requests. Try again in {retry_s!s} s.

    Running streams are given time to end.
    """

    code = "FH-ADMIT-003"


class WaitTooLong(AdmissionError):
    """{deployment} is busy: a slot is expected in about {expected_s!s} s, and this request may wait {allowed_s!s} s. Try again in {retry_s!s} s.

    The expectation comes from how long the last requests held their slots. A request that would start too late is
    refused at once instead of being kept waiting in vain.
    """

    code = "FH-ADMIT-004"


class ConnectionsFull(AdmissionError):
    """This server holds {limit!s} connections, which is its limit. Try again in {retry_s!s} s, and keep fewer open.

    A few more are served for health and administration, so that an operator can look while clients crowd it.
    """

    code = "FH-ADMIT-005"


class Overloaded(AdmissionError):
    """This server is short of {resource!s} and takes no {refused!s} for now. Try again in {retry_s!s} s.

    It gives up work in steps, the least urgent first: batch requests, requests of low priority, new streams, everything
    but health. What is running goes on.
    """

    code = "FH-ADMIT-006"


class NoRoom(AdmissionError):
    """{deployment} is {state!s}, and route {route} names nothing else that has room now. Try again in {retry_s!s} s.

    ``when_busy`` and ``when_down`` of a route say whether a request waits or turns to another permitted deployment.
    """

    code = "FH-ADMIT-007"


class Preempted(AdmissionError):
    """A more urgent request needed the slot of this batch request at {deployment}. Send it again in {retry_s!s} s.

    Batch requests run on what others leave over. One that gives its slot up loses what it has generated; nothing of it
    was sent. After so many more urgent starts a batch request is left to its end, so that all of them get done.
    """

    code = "FH-ADMIT-008"
