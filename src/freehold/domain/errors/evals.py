"""Asking questions with known answers."""

from freehold.domain.errors.base import FreeholdError


class EvalsError(FreeholdError):
    """A calibration or a trial could not be made."""

    status = 400
    type = "evals_error"


class CalibrationImpossible(EvalsError):
    """{model} cannot be calibrated: {reason!s}. Give more questions, or other ones, with "freehold calibrate --questions FILE".

    A map from log-probabilities to the probability of being right is only worth something when both right and wrong
    answers were seen. Until there is one, answers are "uncalibrated" and the route's own default decides.
    """

    code = "FH-EVALS-001"


class QuestionsUnreadable(EvalsError):
    """The questions in {path} cannot be used: {reason!s}.

    One JSON object a line with "id", "prompt", "grade" (contains, choice, number or json) and "answers"; "kind",
    "options", "rejects" and "words_max" may be left out.
    """

    code = "FH-EVALS-002"


class EngineUnidentified(EvalsError):
    """{deployment} cannot be calibrated: {reason!s}. Use an engine that does, for example "embedded" or "llama-server".

    A calibration holds for one model on one version of one engine. Where nothing tells that either changed, it would go
    on being used for answers that it knows nothing of.
    """

    code = "FH-EVALS-010"


class RouterImpossible(EvalsError):
    """No router can be learnt from these outcomes: {reason!s}.

    A router that looks at the question alone learns from outcomes of the same tenant: which questions the weak model
    got wrong and the strong one right. Without enough of them every question is tried locally first, which is what
    happens without a router too.
    """

    code = "FH-EVALS-020"
