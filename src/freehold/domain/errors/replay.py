"""Replaying recorded outcomes."""

from freehold.domain.errors.base import FreeholdError


class ReplayError(FreeholdError):
    """Recorded outcomes could not be replayed."""

    status = 400
    type = "replay_error"


class TablesMissing(ReplayError):
    """There are no tables at {path}: {reason!s}. Name a folder, one file, or the part of the name that both files share.

    A set of recorded outcomes is two files: "NAME.queries.parquet" and "NAME.outcomes.parquet", or the same with ".jsonl".
    """

    code = "FH-REPLAY-001"
    status = 404


class ParquetUnreadable(ReplayError):
    """{path} is a Parquet file, and the package that reads and writes those is not installed. Install it with {command!s}, or give the tables as JSON lines (".jsonl").

    JSON lines need nothing: one object a row, with the same names as the columns.
    """

    code = "FH-REPLAY-002"


class TableUnreadable(ReplayError):
    """{path} cannot be read as a table: {reason!s}. It has to be Parquet (".parquet") or one JSON object a line (".jsonl").

    The page "Replay" of the documentation lists the columns.
    """

    code = "FH-REPLAY-003"


class ColumnWrong(ReplayError):
    """{path} has no use as a table: {reason!s}. Name the columns as "freehold explain FH-REPLAY-004" does.

    Tables of queries need "qid" and "benchmark", and may have "source", "subject", "split", "prompt", "flag" and "phash".
    Tables of outcomes need "qid", "model" and "correct", and may have "cost_usd", "in_tok", "out_tok", "latency_ms",
    "conf_kind", "conf", "answer_id", "probability", "threshold", "accepted", "label_kind", "judged_by", "sought" and
    "signals". Other columns are kept and take no part, but a name that is almost one of these is taken for a slip.
    """

    code = "FH-REPLAY-004"


class ValueWrong(ReplayError):
    """{path}, row {row!s}, column {field!s}: {value!s} {reason!s}. Correct the row, or leave it out.

    Rows are counted from 1, in files of JSON lines with empty lines. "correct" is 0 to 1; "conf" is the natural logarithm
    of a probability, so at most 0; "answer_id" is a whole number, -1 where none was recorded.
    """

    code = "FH-REPLAY-005"


class NothingToReplay(ReplayError):
    """There is nothing to replay: {reason!s}.

    A router chooses between two models, so that questions are needed to which both were seen to be right or wrong.
    """

    code = "FH-REPLAY-006"
