"""Learning from answers: feedback, gold questions, certificates."""

from freehold.domain.errors.base import FreeholdError


class FeedbackError(FreeholdError):
    """Nothing can be learnt from this."""

    status = 400
    type = "invalid_request_error"


class OutcomeUnknown(FeedbackError):
    """No judged answer of this tenant is known by {name}. Give the id from the header freehold-receipt of a chat, within the time that outcomes are kept.

    Only answers that were looked into leave an outcome: those of a route that measures (signals = true) with more than one
    deployment, or with a calibration. What passes through as it comes is not judged, and neither are embeddings or
    completions. Outcomes of other tenants are not found either.
    """

    code = "FH-FEEDBACK-001"
    status = 404


class NothingLearnt(FeedbackError):
    """Nothing is learnt from requests of this caller: {reason!s}.

    Outcomes are neither kept nor labelled where [learning] outcomes_max is 0, where the tenant has learn = false, or for a
    key that [learning] not_from_keys names.
    """

    code = "FH-FEEDBACK-002"
    status = 409


class NothingToCertify(FeedbackError):
    """Nothing can be certified for {name}: {reason!s}.

    A certificate is made from answers with a calibrated probability of which it is known whether they were right. Calibrate
    the deployment ("freehold calibrate"), let the route answer some requests, and have them labelled: by feedback, by
    shadows (shadow_share), or by questions with known answers ("freehold gold").
    """

    code = "FH-FEEDBACK-003"
    status = 404
