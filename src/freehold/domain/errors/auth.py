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
