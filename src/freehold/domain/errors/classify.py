"""Classifiers, and what they are trained on."""

from freehold.domain.errors.base import FreeholdError


class ClassifyError(FreeholdError):
    """A text could not be classified, or a classifier not be made."""

    status = 400
    type = "invalid_request_error"


class ClassifierUnknown(ClassifyError):
    """There is no classifier named {name}. "freehold classify list" lists yours; to ask a chat model instead, send "labels".

    Classifiers belong to a tenant: one of another tenant is not found either.
    """

    code = "FH-CLASSIFY-001"
    status = 404
    openai_code = "model_not_found"


class ClassifierVoid(ClassifyError):
    """The classifier {name} was trained with the model {trained}, and {model} is now served by {serves}. Train it again, with "freehold classify train {name!s} FILE --replace", or bring that model back.

    The numbers of one model's vectors mean nothing to another one. Models are told apart by the digest of their weights, and
    by their name where there is none to be had.
    """

    code = "FH-CLASSIFY-002"
    status = 409


class ExamplesUnfit(ClassifyError):
    """These examples cannot train a classifier: {reason!s}.

    At least two labels with five examples each are needed; from twenty on the probabilities are worth something, and fifty
    are better. Each example is an object with "text" and "label".
    """

    code = "FH-CLASSIFY-003"


class NumbersTooMany(ClassifyError):
    """{examples!s} examples of {labels!s} labels with {width!s} numbers each take too long without numpy. Install it with "pip install freehold[embed]", or train with fewer.

    A regression in plain Python takes some seconds for a spam filter, and hours for seventy labels. Using a classifier
    needs no numpy.
    """

    code = "FH-CLASSIFY-004"
    status = 501


class ClassifierExists(ClassifyError):
    """There is a classifier named {name} already. Choose another name, or send "replace": true ("freehold classify train --replace").

    A classifier that programs rely on is not replaced by accident.
    """

    code = "FH-CLASSIFY-005"
    status = 409


class LettersUntold(ClassifyError):
    """{deployment} cannot be asked for a label: {reason!s}. Ask a model that follows instructions and tells log-probabilities, or train a classifier on an embedder.

    Labels are put to a chat model as lettered options; the log-probabilities of its first token are their scores.
    """

    code = "FH-CLASSIFY-006"
    status = 422


class TrainingsTooMany(ClassifyError):
    """{whose!s} trains {running!s} classifiers at once already, and no more are taken. Try again in {retry_s!s} s.

    A training holds all of its examples and their vectors in memory until it is over, and fitting takes a processor.
    """

    code = "FH-CLASSIFY-008"
    status = 503
    type = "overloaded_error"
    retryable = True


class ClassifiersTooMany(ClassifyError):
    """The tenant {tenant} has {count!s} classifiers, and no more are kept. Remove one with "freehold classify remove NAME".

    Each keeps a number for every label and every place of a vector.
    """

    code = "FH-CLASSIFY-007"
    status = 409
