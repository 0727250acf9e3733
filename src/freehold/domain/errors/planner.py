"""Planning: whether a model fits, how fast it is, what owning costs."""

from freehold.domain.errors.base import FreeholdError


class PlannerError(FreeholdError):
    """The planner cannot answer."""

    status = 400
    type = "planner_error"


class UsageUnreadable(PlannerError):
    """{path} cannot be read as a provider's usage: {reason!s}. Export it again as CSV or JSON from OpenAI's or Anthropic's usage page or API.

    Read are: OpenAI's activity export and the answers of its usage API; Anthropic's usage export and the answers of its
    usage report API. Columns or members with tokens are recognised by their names; others are left alone.
    """

    code = "FH-PLANNER-001"


class PriceUnknown(PlannerError):
    """Nobody here knows a price of {model!s}. Name it as PROVIDER/MODEL, for example openai/gpt-4o-mini, or type the price: --price IN/OUT per million tokens.

    An unknown price is unknown, never 0: what is computed from it would be wrong in the direction that looks good.
    """

    code = "FH-PLANNER-002"


class NothingUsed(PlannerError):
    """There is nothing to compute with: {reason!s}. Type --mtok or --bill, or take a longer span.

    A comparison of nothing with something would always say to stay.
    """

    code = "FH-PLANNER-003"
    status = 404


class NotSizable(PlannerError):
    """{path} cannot be sized: {reason!s}.

    A model that is not in one GGUF file is sized by the headers of its safetensors files, their index
    (model.safetensors.index.json) and config.json beside them; of a hub only the beginnings of the files are read, and
    no more than 128 MiB together. Whatever is not as its format demands is refused, so that nothing is said to fit by
    numbers that are not so.
    """

    code = "FH-PLANNER-004"


class NothingToRun(PlannerError):
    """No model is installed that could be run to measure this machine: a GGUF file of at most {size!s} that writes. Fetch one: freehold pull smollm2-135m

    A run of some seconds says how fast this machine is; other models' speeds follow from it, by their weights and layers.
    """

    code = "FH-PLANNER-010"
    status = 404
