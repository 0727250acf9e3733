"""freehold.toml."""

from freehold.domain.errors.base import FreeholdError


class ConfigError(FreeholdError):
    """The configuration cannot be used."""

    status = 400
    type = "config_error"


class ConfigInvalid(ConfigError):
    """{path!s} has mistakes ({count!s}): {mistakes!s}. Nothing was changed.

    All mistakes are reported at once, each with its line. "freehold config check" shows them one a line.
    """

    code = "FH-CONFIG-001"

    @property
    def mistakes(self) -> tuple[str, ...]:
        """One line a mistake; given as ``all_mistakes``, joined by newlines."""
        return tuple(str(self.values.get("all_mistakes", "")).splitlines())


class ConfigMissing(ConfigError):
    """There is no configuration at {path}. Run "freehold up" to make one, or copy freehold.example.toml.

    Looked for in this order: --config, FREEHOLD_CONFIG, ./freehold.toml, the data folder.
    """

    code = "FH-CONFIG-002"


class SecretUnreadable(ConfigError):
    """The secret {reference!s} of {key!s} cannot be read: {reason!s}.

    Secrets are given by reference only: env:NAME or file:PATH. The file must not be readable by others.
    """

    code = "FH-CONFIG-003"


class BaseUrlInvalid(ConfigError):
    """The address {base_url} cannot be used: {reason!s}. Write http://host:port/path, https://host/path or unix:///path/to/socket.

    An address is fixed by configuration and parsed once. It holds no credential, query or fragment; a host that is a
    number is written as a plain IPv4 or IPv6 address.
    """

    code = "FH-CONFIG-004"


class ConfigUnreadable(ConfigError):
    """The configuration {path!s} cannot be read: {reason!s}. Make it readable for the user that runs Freehold.

    A file that is there and cannot be read is never passed over in favour of another one.
    """

    code = "FH-CONFIG-005"
