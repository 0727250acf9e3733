"""The table of secrets that are known by their own shape: what providers put in front, and formats of keys and tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from freehold.policy.recognise.secret_values import is_mixed, is_placeholder


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRule:
    """One shape.

    Attributes:
        id: What it is called in a finding's ``type``.
        needs: A piece that a text must hold for the pattern to be tried; a text without it costs one search.
        pattern: The shape. A group named ``v`` is the secret; without one the whole match is.
        entropy: Bits a character that a value must have at least.
        check: A further condition on the value.
    """

    id: str
    needs: tuple[str, ...]
    pattern: re.Pattern[str]
    entropy: float = 0.0
    check: Callable[[str], bool] | None = None


def _has_digit(value: str) -> bool:
    return any(map(str.isdigit, value))


def _prefixed(identifier: str, prefixes: str, rest: str, *, entropy: float = 3.0) -> SecretRule:
    """A provider's prefix (several separated by spaces) and what follows it."""
    needs = tuple(prefixes.split())
    start = "|".join(map(re.escape, needs))
    return SecretRule(
        id=identifier,
        needs=needs,
        pattern=re.compile(rf"(?<![A-Za-z0-9])(?:{start}){rest}(?![A-Za-z0-9])"),
        entropy=entropy,
        check=_has_digit,
    )


PROVIDERS = (
    _prefixed("AWS_ACCESS_KEY", "AKIA ASIA ABIA ACCA", r"[A-Z0-9]{16}"),
    _prefixed("GITHUB_TOKEN", "ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{36,255}"),
    _prefixed("GITHUB_TOKEN", "github_pat_", r"[A-Za-z0-9_]{50,255}"),
    _prefixed("GITLAB_TOKEN", "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- gloas-", r"[\w.-]{20,128}"),
    _prefixed("SLACK_TOKEN", "xoxb- xoxp- xoxa- xoxr- xoxs- xoxe- xoxe. xapp-", r"[A-Za-z0-9.-]{10,250}"),
    SecretRule(
        id="SLACK_WEBHOOK",
        needs=("hooks.slack.com/",),
        pattern=re.compile(r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{20,120}"),
    ),
    _prefixed("STRIPE_KEY", "sk_live_ sk_test_ rk_live_ rk_test_ whsec_", r"[A-Za-z0-9+/=]{16,250}"),
    _prefixed("GOOGLE_API_KEY", "AIza", r"[\w-]{35}"),
    _prefixed("GOOGLE_OAUTH", "ya29. GOCSPX-", r"[\w-]{20,512}"),
    _prefixed(
        "AI_PROVIDER_KEY", "sk-ant- sk-proj- sk-svcacct- sk-or-v1- gsk_ xai- pplx- r8_ fw_ tgp_v1_", r"[\w-]{20,250}"
    ),
    _prefixed("AI_PROVIDER_KEY", "sk-", r"[A-Za-z0-9]{32,64}"),
    _prefixed("HUGGINGFACE_TOKEN", "hf_ api_org_", r"[A-Za-z0-9]{30,64}"),
    _prefixed("REGISTRY_TOKEN", "npm_", r"[A-Za-z0-9]{36}"),
    _prefixed("REGISTRY_TOKEN", "pypi-AgEI rubygems_ dckr_pat_ oy2 cio", r"[\w-]{24,300}", entropy=3.5),
    _prefixed("SENDGRID_KEY", "SG.", r"[\w-]{16,32}\.[\w-]{30,64}"),
    _prefixed("MAIL_KEY", "xkeysib- key-", r"[0-9a-zA-Z-]{32,90}"),
    SecretRule(
        id="MAIL_KEY",
        needs=("-us",),
        pattern=re.compile(r"(?<![0-9a-z])[0-9a-f]{32}-us\d{1,2}(?![0-9a-z])"),
    ),
    _prefixed(
        "CLOUD_TOKEN",
        "dop_v1_ doo_v1_ dor_v1_ pscale_tkn_ pscale_pw_ sbp_ fo1_ HRKU- nfp_ rnd_ dp.pt. dp.st.",
        r"[\w.-]{24,160}",
    ),
    _prefixed("SHOPIFY_TOKEN", "shpat_ shpca_ shppa_ shpss_", r"[0-9a-fA-F]{32}"),
    _prefixed("SQUARE_TOKEN", "sq0atp- sq0csp- EAAAE", r"[\w-]{22,64}"),
    SecretRule(
        id="TELEGRAM_TOKEN",
        needs=(":AA",),
        pattern=re.compile(r"(?<![\w:])\d{8,10}:AA[\w-]{32,34}(?![\w-])"),
    ),
    SecretRule(
        id="DISCORD_TOKEN",
        needs=("discord.com/api/webhooks/", "discordapp.com/api/webhooks/"),
        pattern=re.compile(r"discord(?:app)?\.com/api/webhooks/\d{5,30}/[\w-]{40,100}"),
    ),
    SecretRule(
        id="AZURE_KEY",
        needs=("AccountKey=", "SharedAccessKey=", "SharedSecretValue="),
        pattern=re.compile(r"(?:AccountKey|SharedAccessKey|SharedSecretValue)=(?P<v>[A-Za-z0-9+/]{32,128}={0,2})"),
    ),
    SecretRule(
        id="SIGNED_URL",
        needs=("sig=", "Signature="),
        pattern=re.compile(r"[?&](?:sig|Signature|X-Amz-Signature)=(?P<v>[A-Za-z0-9%+/]{32,128}(?:%3[dD]|=){0,2})"),
        entropy=3.0,
    ),
    _prefixed("DATABRICKS_TOKEN", "dapi dkea", r"[0-9a-f]{32}(?:-\d)?"),
    _prefixed("VAULT_TOKEN", "hvs. hvb. hvr.", r"[\w-]{24,300}"),
    SecretRule(
        id="TERRAFORM_TOKEN",
        needs=(".atlasv1.",),
        pattern=re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,80}"),
    ),
    _prefixed("MONITORING_KEY", "NRAK- NRAA- NRJS- glsa_ glc_ sntrys_ sntryu_ phc_ phx_", r"[\w+/=-]{20,300}"),
    _prefixed(
        "WORKPLACE_TOKEN",
        "lin_api_ ntn_ secret_ figd_ PMAK- ATATT3 ATCTT3 ATBB pat- xoxc-",
        r"[\w=.-]{30,300}",
        entropy=3.6,
    ),
    _prefixed("NETWORK_KEY", "tskey- tskey-auth- ops_eyJ cfut_ cfat_", r"[\w-]{16,300}"),
    SecretRule(
        id="AGE_KEY",
        needs=("AGE-SECRET-KEY-1",),
        pattern=re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ),
    _prefixed("FREEHOLD_KEY", "fh-", r"[\w-]{43}"),
)
"""Tokens with a prefix or a place of their own."""

FORMATS = (
    SecretRule(
        id="JWT",
        needs=("eyJ",),
        pattern=re.compile(
            r"(?<![\w-])eyJ[\w-]{8,4096}\.[\w-]{0,8192}\.[\w-]{4,8192}(?:\.[\w-]{4,8192}){0,2}(?![\w-])"
        ),
        entropy=3.5,
        check=lambda value: len(value) > 60,
    ),
    SecretRule(
        id="BASIC_AUTH",
        needs=("asic ",),
        pattern=re.compile(r"(?<![A-Za-z])[Bb]asic[ ](?P<v>[A-Za-z0-9+/_-]{8,512}={0,2})(?![\w+/=-])"),
        entropy=2.4,
        check=lambda value: is_mixed(value) and not is_placeholder(value),
    ),
    SecretRule(
        id="BEARER",
        needs=("earer ",),
        pattern=re.compile(r"(?<![A-Za-z])[Bb]earer[ ](?P<v>[\w.~+/=-]{16,4096})(?![\w+/=-])"),
        entropy=3.0,
        check=lambda value: is_mixed(value) and not is_placeholder(value),
    ),
    SecretRule(
        id="URL_PASSWORD",
        needs=("://",),
        pattern=re.compile(r"[A-Za-z0-9+.-]{2,20}://[^\s:/@\"'<>`]{0,64}:(?P<v>[^\s/@\"'<>`]{2,128})@[\w.\[-]"),
        check=lambda value: not is_placeholder(value),
    ),
    SecretRule(
        id="COMMAND_PASSWORD",
        needs=("-u ", "--user ", "--user=", "-u"),
        pattern=re.compile(
            r"(?<![\w-])(?:-u|--user|--proxy-user|-U)[ =]?[\"']?[^\s:\"'/$<{]{1,64}:(?P<v>[^\s\"'`@/<${]{3,128})(?=[\s\"'`]|\Z)"
        ),
        check=lambda value: not is_placeholder(value),
    ),
    SecretRule(
        id="COMMAND_PASSWORD",
        needs=("sshpass -p", "--password ", "-p'", "mysql ", "--token "),
        pattern=re.compile(
            r"(?:sshpass\s+-p\s?|--(?:password|passwd|token|secret|api-key)[ =]|mysql(?:dump)?\s[^\n]{0,60}?\s-p)[\"']?"
            r"(?P<v>[^\s\"'`<$({-][^\s\"'`<${]{3,128})"
        ),
        check=lambda value: not is_placeholder(value),
    ),
)
"""Formats that many use."""
