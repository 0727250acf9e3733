"""Settings of routes: what clients ask for."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from freehold.config.schema_detect import DeclassifyWord
from freehold.config.schema_untrusted import SanitiseWord
from freehold.config.section import Name, Section


def _exact(value: object) -> object:
    """Numbers as they were typed: 0.25 is a quarter, not the nearest binary fraction. Text is taken too."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return Decimal(str(value))
        except ArithmeticError:
            return value
    return value


InsteadWord = Literal["queue", "smaller", "overflow", "overflow-farther"]
Price = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class RouteSection(Section):
    """What a client asks for: deployments in order, and how to judge between them."""

    deployments: list[Name] = Field(min_length=1, description="Names of deployments, first choice first.")
    workload: Name = Field(default="general", description="Kind of task; chooses the calibration.")
    accept_at: float = Field(
        default=0.7, ge=0, le=1, description="Least calibrated probability at which an answer is good enough."
    )
    worth: Price | None = Field(
        default=None,
        description="What a right answer is worth, in the ledger's currency. Then the deployment or pair of the route"
        " that gives most for it on recorded outcomes is asked first, and the threshold follows from what going on costs;"
        " accept_at holds where nothing is recorded or priced.",
    )
    risk_max: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Accepted answers shall be certified to be wrong at most so often: the threshold is then the stricter"
        " of the certificate's and accept_at. Where no certificate holds, uncalibrated says what to do: accept goes by"
        " accept_at alone, escalate accepts nothing.",
    )
    uncalibrated: Literal["accept", "escalate"] = Field(
        default="accept",
        description="What to do with a chat's answer for which no calibration holds; with risk_max, no certificate.",
    )
    stream: Literal["hold", "prefix", "commit"] = Field(
        default="hold",
        description="hold judges a streamed answer before it is sent; prefix judges its first tokens, and then sends the"
        " rest as it comes; commit sends all as it comes.",
    )
    prefix_tokens: int = Field(
        default=32, ge=1, le=512, description="How many first tokens stream = 'prefix' holds back and judges."
    )
    second_opinion: Name | None = Field(
        default=None,
        description="Deployment with a different model that is asked the same where an answer is in the grey zone.",
    )
    samples: int = Field(
        default=0, ge=0, le=6, description="Further answers of the same model that are asked for in the grey zone."
    )
    self_check: Name | None = Field(
        default=None,
        description="Deployment that is asked in the grey zone whether the answer is right. Models below 7 billion"
        " parameters cannot tell.",
    )
    self_check_any_size: bool = Field(
        default=False, description="Whether self_check may name a model whose name does not tell 7 billion parameters."
    )
    grey_zone: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="Half the width of the grey zone: further signals are bought where the probability is no farther"
        " from the threshold.",
    )
    ask_beyond_device: bool = Field(
        default=False,
        description="Whether second_opinion and self_check may be asked beyond this device, where policy permits it.",
    )
    signals: bool = Field(
        default=True, description="Whether answers are measured, which costs about 4 % of decode speed."
    )
    attempts_max: int = Field(default=2, ge=1, le=8, description="Most deployments tried for one request.")
    when_busy: list[InsteadWord] = Field(
        default=["queue"],
        min_length=1,
        description="What to do where a deployment has no free slot, first choice first: queue (wait, if the turn comes"
        " in time), smaller (a smaller model on this device), overflow (the next permitted deployment in the same zone"
        " or nearer), overflow-farther (the next permitted one, also in a farther zone). Where none of them is possible"
        " the request is refused.",
    )
    when_down: list[InsteadWord] = Field(
        default=["queue"],
        min_length=1,
        description="The same where its engine is not ready, or left alone since it failed: queue tries it all the same.",
    )
    shadow_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of accepted answers about which the next permitted deployment is asked afterwards, to learn"
        " whether they were right. It costs what such a request costs, and nobody waits for it.",
    )
    canary: str = Field(
        default="",
        description='Deployment on this device with another version of a model, model = "NAME@sha256:DIGEST", that is'
        " asked a share of the same requests afterwards, to be compared. Clients never get its answers from this route.",
    )
    canary_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of answered requests that the canary is asked too, when nothing else runs here.",
    )
    prerouter: Literal["off", "watch", "on"] = Field(
        default="off",
        description="Whether a chat's question is looked at before the first attempt: watch makes its vector and changes"
        " nothing, on also passes over a local deployment that was wrong on most questions like it, where the next"
        " one was right. It learns from the tenant's own judged answers only.",
    )
    embedder: str = Field(
        default="",
        description="Deployment on this device that makes the vectors of questions for prerouter; best one of its own.",
    )
    workloads: list[Name] = Field(
        default=[],
        description="Kinds of task, besides workload, that prerouter may take a question for, which chooses the"
        " calibration.",
    )
    sanitise: SanitiseWord = Field(
        default="untrusted",
        description="When answers are cleaned of remote content, links and hidden text: where the context is untrusted and"
        " the label at least internal, always, or never (off).",
    )
    declassify: DeclassifyWord = Field(
        default="off",
        description="What is done with a text that may not go further as it is for what was found in it: redact takes that"
        " out for good, pseudonymise puts tokens in its place and puts it back in the answer. What is left goes only where"
        " its own label lets it.",
    )
    redact_answers: bool = Field(
        default=False,
        description="Whether personal data with a shape and secrets are taken out of its answers while they stream, but for"
        " what the request itself says. Names are left in.",
    )
    vault: str = Field(
        default="", description="Vault whose passages go into every chat on this route; none by default."
    )
    when_vault_forbids: Literal["stay", "leave_out"] = Field(
        default="stay",
        description="What becomes of passages that keep a chat from its first deployment: with stay it goes where they may"
        " be, with leave_out it goes there without them.",
    )
    label: str = Field(
        default="", description="Label that this route adds to everything sent through it, for example confidential."
    )
