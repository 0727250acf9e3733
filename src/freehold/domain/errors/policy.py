"""Where the text may go."""

from freehold.domain.errors.base import FreeholdError


class PolicyError(FreeholdError):
    """The label forbids it."""

    status = 403
    type = "policy_error"


class NoPermittedDeployment(PolicyError):
    """The request is labelled {label!s} and no deployment of {route} may have it: {reasons!s}. "freehold receipts ID" says what set the label. Ask for a deployment that may have such a text, take out what must not go, or have the text released.

    A label only ever rises on its way. It comes from the tenant, the key, the route, the request's own
    "freehold-label" header, and what detectors found in the text: a name makes it pii, a password secret.
    "freehold receipts ID" shows which of them set it and which rule denied which deployment; the id is in the header
    "freehold-receipt". "freehold policy explain --file" says the same of a text in a file.

    Where it was a detector, whoever runs the server has four ways. `declassify = "pseudonymise"` of the route lets the
    text go without what was found. `kinds = ["pii"]` of a deployment says that it may have such data. `ignore` of
    [detect] names what looks like somebody's data and is nobody's. "freehold release request ID" asks for this one text
    to go once, after a human has read it. For the kind secret there is none of them: take it out of the text.
    """

    code = "FH-POLICY-001"


class LabelUnreadable(PolicyError):
    """The label {value} cannot be read: {reason!s}. Write LEVEL, or LEVEL;zones=ZONE,ZONE;kinds=KIND,KIND with LEVEL one of public, internal, confidential, restricted.

    A label that cannot be read is refused, never guessed.
    """

    code = "FH-POLICY-002"
    status = 400
    type = "invalid_request_error"


class EgressDenied(PolicyError):
    """The connection to {origin!s} was not opened: {reason!s}.

    Nothing leaves this machine without a permit, and a permit exists only after its record is on disk. It names one
    destination, one zone and one exact body, and is spent once.
    """

    code = "FH-POLICY-003"


class RulesInvalid(PolicyError):
    """The rules in {path!s} do not hold ({count!s}): {mistakes!s}. The rules before stay in force; a server without any does not start.

    All mistakes are reported at once, each with the line at which its rule begins. "freehold policy check" shows them
    one a line. What rules may look at is in docs/how-to/policy.md.
    """

    code = "FH-POLICY-004"
    status = 400
    type = "config_error"

    @property
    def mistakes(self) -> tuple[str, ...]:
        """One line a mistake; given as ``all_mistakes``, joined by newlines."""
        return tuple(str(self.values.get("all_mistakes", "")).splitlines())


class RulesOpenAWay(PolicyError):
    """The rules in {path!s} cannot be used: {example!s}. Change the rule so that whatever it allows, it allows for every less strict label too.

    A label may only ever close ways. Where calling a text more sensitive opened one, whoever wants the text out would
    do just that. Every state that the rules can tell apart was looked at; this is the first one found.
    """

    code = "FH-POLICY-005"
    status = 400
    type = "config_error"


class RulesUnbounded(PolicyError):
    """The rules in {path!s} cannot be checked: {reason!s}.

    Rules are used only once all cases have been looked at. What has no end cannot be looked at, so that a rule about it
    is refused rather than believed.
    """

    code = "FH-POLICY-006"
    status = 400
    type = "config_error"


class CasesUnreadable(PolicyError):
    """The policy cases in {path!s} cannot be used: {reason!s}. docs/how-to/policy.md has an example.

    A file of cases that cannot be read whole is not run in parts: a case that was passed over would look like one that
    holds.
    """

    code = "FH-POLICY-007"
    status = 400
    type = "config_error"


class EgressNotBrokered(PolicyError):
    """{what!s} connects by itself, and [egress] broker says that only the broker's process may. Name the hub and its storage in [egress] hub, in the broker's configuration too, or do it where no broker is set and bring here what it fetched.

    What leaves for a model, a collector or a witness goes through the broker, which knows them from its own copy of the
    configuration. With [egress] hub = ["https://HUB", "https://STORAGE"] it also reads models, for "freehold pull" and
    "freehold fit": from these addresses, and at the storage only what the hub pointed to. The installers of packages have
    a network of their own and never go through it. docs/how-to/broker.md shows it; docs/how-to/offline.md says how models
    are brought to a machine without a network.
    """

    code = "FH-POLICY-008"
