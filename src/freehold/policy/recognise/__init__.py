"""What in a text has the shape of personal data or of a secret: patterns, checksums and the words around them. Pure."""

from freehold.policy.recognise.secret_scan import SECRETS_VERSION, secrets
from freehold.policy.recognise.structured import RECOGNISERS_VERSION, names_numbers, recognise

__all__ = ["RECOGNISERS_VERSION", "SECRETS_VERSION", "names_numbers", "recognise", "secrets"]
