"""Secrets are found in every notation, and what stands for one is not. All values are made at run time."""

from __future__ import annotations

import base64
import random
import string

import pytest

from freehold.policy.recognise import SECRETS_VERSION, secrets
from tests.support.detection import secret

_DRAW = random.Random(20261130)


def drawn(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Characters by lot, a digit among them."""
    return "".join(_DRAW.choices(alphabet, k=count - 1)) + "7"


HEX = "0123456789abcdef"
TOKEN = drawn(32)
PASSWORD = "gr8-" + drawn(6)
BASIC = base64.b64encode(f"jane:{drawn(9)}".encode()).decode()

PREFIXED = [
    ("AKIA", 16, string.ascii_uppercase + string.digits),
    ("ghp_", 36, string.ascii_letters + string.digits),
    ("github_pat_", 82, string.ascii_letters + string.digits + "_"),
    ("glpat-", 20, string.ascii_letters + string.digits),
    ("xoxb-", 40, string.digits),
    ("sk_live_", 24, string.ascii_letters + string.digits),
    ("AIza", 35, string.ascii_letters + string.digits),
    ("sk-ant-", 90, string.ascii_letters + string.digits),
    ("sk-proj-", 60, string.ascii_letters + string.digits),
    ("hf_", 34, string.ascii_letters + string.digits),
    ("npm_", 36, string.ascii_letters + string.digits),
    ("dop_v1_", 64, HEX),
    ("shpat_", 32, HEX),
    ("hvs.", 90, string.ascii_letters + string.digits),
    ("glsa_", 40, string.ascii_letters + string.digits),
    ("dckr_pat_", 27, string.ascii_letters + string.digits),
    ("tskey-", 30, string.ascii_letters + string.digits),
    ("fh-", 43, string.ascii_letters + string.digits + "_"),
    ("AGE-SECRET-KEY-1", 58, string.ascii_uppercase + string.digits),
]


@pytest.mark.parametrize(("prefix", "length", "alphabet"), PREFIXED, ids=[prefix for prefix, _, _ in PREFIXED])
def test_tokens_of_providers_need_no_word_beside_them(prefix, length, alphabet) -> None:
    value = prefix + drawn(length, alphabet)
    assert secret(f"use {value} here") == [value]
    assert secret(f"({value}),") == [value]
    assert secret(f"use {prefix} here") == []


NOTATIONS = [
    'password = "{}"',
    "password='{}'",
    "DB_PASSWORD={}",
    "export API_TOKEN={}",
    '"apiKey": "{}",',
    r'"{{\"secret\": \"{}\"}}"',
    "  client_secret: {}",
    'config["secret_key"] = "{}"',
    'config.clientSecret = "{}";',
    "set(:api_key => '{}')",
    ":api_token: '{}'",
    "$accessToken := '{}'",
    'const accessKey = Buffer.from("{}", "hex")',
    'client.SetAuthToken("{}")',
    'headers = {{"X-Api-Key": "{}"}}',
    "https://example.org/x?access_token={}&page=2",
    "--token {}",
    '<add key="ClientSecret" value="x" secret="{}" />',
    "tokens: ['{}', 'x']",
    "consumer_key    =    '{}'",
    "the token is {}",
    "das Passwort lautet {}",
    "la contraseña es {}",
    "le mot de passe est {}",
    "my password is {}.",
]


@pytest.mark.parametrize("notation", NOTATIONS)
def test_a_value_beside_a_key_word_is_found_in_every_notation(notation) -> None:
    text = notation.format(TOKEN)
    assert secret(text) == [TOKEN]


def test_every_value_of_a_list_is_found() -> None:
    values = [drawn(24) for _ in range(3)]
    assert secret(f"tokens: [{', '.join(map(repr, values))}]") == values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("curl -u jane:{} https://example.org", PASSWORD),
        ("curl --user 'jane:{}' https://example.org", PASSWORD),
        ("postgres://jane:{}@db.example.org/x", PASSWORD),
        ("redis://:{}@cache:6379", PASSWORD),
        ("Authorization: Basic {}", BASIC),
        ("Authorization: Bearer {}", TOKEN),
        ("sshpass -p {} ssh x", PASSWORD),
        ("DefaultEndpointsProtocol=https;AccountKey={}==;", drawn(86)),
    ],
)
def test_credentials_in_commands_headers_and_addresses(text, value) -> None:
    assert any(value in each for each in secret(text.format(value)))
    assert all(each.strip("=") == value.strip("=") for each in secret(text.format(value)))


def test_a_token_of_three_parts_is_found_whole() -> None:
    value = ".".join(["eyJ" + drawn(30), drawn(60), drawn(43)])
    assert secret(f"jwt {value}.") == [value]


def test_private_members_of_a_json_key_are_found_and_public_ones_are_not() -> None:
    public, private = drawn(43), drawn(43)
    assert secret(f'{{"kty": "OKP", "crv": "Ed25519", "x": "{public}", "d": "{private}"}}') == [private]
    assert secret(f'{{"kty": "oct", "k": "{private}"}}') == [private]
    assert secret(f'{{"kty": "EC", "x": "{public}", "y": "{private}"}}') == []
    members = {name: drawn(86) for name in ("d", "p", "q")}
    cut_off = ",\n  ".join(f'"{name}": "{value}"' for name, value in members.items())
    assert secret(cut_off) == list(members.values())


NO_SECRETS = [
    'password = "changeme"',
    "PASSWORD=${DB_PASSWORD}",
    "password: {{ vault_password }}",
    "API_KEY=xxxxxxxxxxxxxxxx",
    "API_KEY=<your-api-key>",
    "API_KEY=your_api_key_here",
    'token = os.environ["API_TOKEN"]',
    'token = os.getenv("API_TOKEN")',
    "password = getpass()",
    "password = settings.database.password",
    "self.token = token",
    "fetch(password=auth_info)",
    "user.password_hash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
    'public_key = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7"',
    "sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "id: 123e4567-e89b-12d3-a456-426614174000",
    'token_type = "bearer"',
    "max_tokens: 128000",
    "secret_name: database-credentials",
    "password must have at least 12 characters",
    "Enter your password: ",
    "the password is wrong",
    "https://user:password@example.org/",
    "basic authentication and bearer tokens",
    "Authologic::CryptoProviders::Scrypt",
    "keyboard: querty1234567890abcdef12",
    "primary_key: customer_id_12345678901234",
    "CHALLENGE_PASSWORD = ObjectIdentifier('1.2.840.113549.1.9.7')",
    "curl -u $USER:$PASS https://example.org",
    "key: PKCS12PrivateKeyTypes | None",
    "tokenizer = 'bert-base-uncased-2018'",
]


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_stands_for_a_secret_is_none(text) -> None:
    assert secret(text) == []


def test_characters_that_do_not_show_hide_no_secret() -> None:
    hidden = TOKEN[:9] + "\u200b" + TOKEN[9:]
    assert secret(f"api_key = '{hidden}'") == [hidden]


def test_findings_say_what_and_by_whom() -> None:
    (found,) = secrets(f"password = '{PASSWORD}'")
    assert (found.kind, found.type, found.detector) == ("secret", "LOGIN", "secrets")
    assert SECRETS_VERSION
