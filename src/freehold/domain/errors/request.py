"""What the client sent."""

from freehold.domain.errors.base import FreeholdError


class RequestError(FreeholdError):
    """The request cannot be served as it was sent."""

    status = 400
    type = "invalid_request_error"


class BodyNotJson(RequestError):
    """The body is not JSON: {reason!s}. Send one JSON object encoded as UTF-8.

    Numbers must be finite (NaN and Infinity are not JSON), names must be unique, nesting is at most 128 deep,
    and the text must be valid UTF-8 without a byte order mark.
    """

    code = "FH-REQUEST-001"


class FieldInvalid(RequestError):
    """{field!s} is {value!s}: {reason!s}.

    The member named has a wrong type or is out of range. Members that Freehold does not know are passed on to
    the model as they are.
    """

    code = "FH-REQUEST-002"


class BodyTooLarge(RequestError):
    """The body has {size_bytes!s} bytes, at most {limit_bytes!s} are taken. Send less, or raise [server] body_limit_bytes.

    The body is refused before it is read. ``size_bytes`` says "more than" for a body sent in chunks.
    """

    code = "FH-REQUEST-003"
    status = 413


class UnknownModel(RequestError):
    """There is no route, deployment or alias named {model}{suggestion!s}. "freehold models" lists what there is.

    A name is looked up in this order: route, deployment, alias. Aliases for names that existing programs send
    are set under [aliases] in freehold.toml.
    """

    code = "FH-REQUEST-004"
    status = 404
    openai_code = "model_not_found"


class ContextTooLong(RequestError):
    """The prompt is too long: this model's maximum context length is {context_tokens!s} tokens, answer included, and the prompt has {prompt_tokens!s} ({deployment}). Send less text or ask for a deployment with a longer context.

    Its first words are those of OpenAI's and Anthropic's servers, by which programs know that they have to shorten.
    Freehold never cuts a prompt on its own. A route goes on to its next deployment with a longer context where the
    label permits it.
    """

    code = "FH-REQUEST-005"
    openai_code = "context_length_exceeded"


class ContentUnsupported(RequestError):
    """{deployment} cannot take {content!s}. Ask for a model that can, or leave it out.

    For example an image sent to a model that reads only text, or tools sent to one that has none.
    """

    code = "FH-REQUEST-006"


class InputTooLong(ContextTooLong):
    """{field!s} has {prompt_tokens!s} tokens, {deployment} takes {context_tokens!s} at once. Send it in shorter pieces, or send "truncate": true to have its end left out.

    A model that embeds or ranks reads a text in one go. What is left out of a text counts for nothing, so that Freehold
    leaves nothing out unless it is told to. For a document to be ranked, the query is counted in.
    """

    code = "FH-REQUEST-020"


class UnsupportedParameter(RequestError):
    """{field!s} = {value!s} is not supported: {reason!s}.

    Freehold refuses what it would otherwise silently ignore.
    """

    code = "FH-REQUEST-007"
    openai_code = "unsupported_parameter"


class NotFound(RequestError):
    """There is nothing at {path}: it is no route, or nothing of yours has that id. The routes are in docs/reference/http.md.

    The answer is the same for a receipt that does not exist and for one that belongs to somebody else.
    """

    code = "FH-REQUEST-008"
    status = 404


class MethodNotAllowed(RequestError):
    """{path!s} does not take {method!s}; it takes {allowed!s}.

    See docs/reference/http.md for every route and its methods.
    """

    code = "FH-REQUEST-009"
    status = 405


class HostNotAllowed(RequestError):
    """The Host header {host} is not one of this server's names. Add it to [server] hosts if it is yours.

    A browser that was lured to another name (DNS rebinding) must not reach a server on your loopback address.
    """

    code = "FH-REQUEST-010"
    status = 421


class RequestTimeout(RequestError):
    """The request was not sent completely within {seconds!s} s. Send it again.

    A slow or silent sender must not hold a connection.
    """

    code = "FH-REQUEST-011"
    status = 408
    retryable = True


class NotHttp(RequestError):
    """This is not one clear HTTP/1.1 request: {reason!s}. Send it with a standard HTTP client.

    What two programs could read differently is refused, never guessed: a body's length given twice or in two ways,
    folded fields, line feeds without carriage returns, no Host or more than one, a target that is not a path, a second
    request before the first one is answered. The connection is closed.
    """

    code = "FH-REQUEST-012"


class HeadTooLarge(RequestError):
    """The request has more than {limit!s} {part!s}. Send less.

    Address and header fields are bounded so that nobody fills the memory with them; what a model is to read belongs
    in the body.
    """

    code = "FH-REQUEST-013"
    status = 431


class UpgradeRefused(RequestError):
    """This server does not switch to {protocol}; it speaks HTTP/1.1. Send the request without an Upgrade field.

    There are no WebSockets here, and HTTP/2 is spoken by whatever stands in front, if anything does.
    """

    code = "FH-REQUEST-014"
    status = 426


class SoundNotServed(RequestError):
    """{path!s} takes or gives sound, which Freehold does not serve. Ask a server for speech directly.

    The route is known, so that a program learns at once that it is not a wrong address.
    """

    code = "FH-REQUEST-015"
    status = 501
