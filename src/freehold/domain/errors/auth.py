"""Who the client is."""

from freehold.domain.errors.base import FreeholdError


class AuthError(FreeholdError):
    """The caller could not be recognised."""

    status = 401
    type = "authentication_error"
    openai_code = "invalid_api_key"


class KeyMissing(AuthError):
    """No API key was sent. Send "Authorization: Bearer KEY"; "freehold up" prints where the first key is stored.

    A key is required on the loopback address too: any web page in a browser can call a local port.
    """

    code = "FH-AUTH-001"


class KeyUnknown(AuthError):
    """The API key is not known, or it was revoked. Use another one, or make one with "freehold keys new NAME".

    The answer is the same for keys that never existed and for revoked ones.
    """

    code = "FH-AUTH-002"


class ScopeMissing(AuthError):
    """This key may not do that: it lacks the scope {scope}. Use a key with it, or make one with "freehold keys new NAME --scope {scope!s}".

    Scopes are ``infer`` (ask models, see what one's tenant owns), ``manage`` (keys, limits and usage of one's tenant) and
    ``admin`` (the same of all tenants, and the house itself).
    """

    code = "FH-AUTH-003"
    status = 403
    type = "permission_error"
    openai_code = None


class KeyRequestInvalid(AuthError):
    """{what!s} is {value}: {reason!s}.

    Keys are made with "freehold keys new NAME", listed with "freehold keys list" and revoked by their id. A key
    belongs to a tenant of freehold.toml and has one or more of the scopes ``infer``, ``manage`` and ``admin``.
    """

    code = "FH-AUTH-004"
    status = 400
    type = "invalid_request_error"
    openai_code = None


class GrantRefused(AuthError):
    """This key may not do that: {reason!s}. Have it done with a key of the scope admin, or by "freehold keys" on the machine itself.

    Nobody gives what it does not have. A key of the scope ``manage`` makes, rotates and revokes keys of its own tenant,
    with scopes that it has itself and a label that is at least as strict as its own; keys of the scope ``admin`` are
    out of its reach. A refusal is an entry in the audit log.
    """

    code = "FH-AUTH-005"
    status = 403
    type = "permission_error"
    openai_code = None


class LastAdminKey(AuthError):
    """Key {key_id!s} is the last one of the scope admin that lasts; without it nobody manages this house over HTTP. Make another one first, or say that you mean it: --force, or ?force=true.

    A key that expires earlier does not count as another one. "freehold keys new NAME --scope admin" on the machine
    itself makes one at any time.
    """

    code = "FH-AUTH-006"
    status = 409
    type = "invalid_request_error"
    openai_code = None


class KeyNotRotated(AuthError):
    """Key {key_id!s} cannot be rotated: {reason!s}. Rotate the key that followed it, or make a new one.

    Each key is followed by one key. One that was revoked or has expired has nothing to hand over.
    """

    code = "FH-AUTH-007"
    status = 409
    type = "invalid_request_error"
    openai_code = None


class CredentialsDiffer(AuthError):
    """Authorization and x-api-key say different things. Send one of them, or the same key in both.

    Which of two keys counts would be for each program on the way to decide for itself; so neither does.
    """

    code = "FH-AUTH-008"
