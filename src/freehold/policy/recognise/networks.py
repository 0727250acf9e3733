"""Addresses of machines and of money on chains."""

from __future__ import annotations

import ipaddress
import re

from freehold.policy.recognise.checksums import base58check, bech32
from freehold.policy.recognise.rules import Rule, compiled, near, triggers

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_COLONS_MIN, _GROUPS_MIN, _HEX_DIGITS_MIN = 2, 2, 5
_VERSION = re.compile(
    r"(?:[<>~=!^]=|versi[oó]n|release|ver\.|(?<![^\W_])v|oid|identifier\(|python|kernel)[\s:\"'(=]{0,3}\Z",
    re.IGNORECASE,
)


def _is_someones(value: str) -> bool:
    """Whether it is an address that some machine may have: not "any", not this machine, no netmask."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_loopback or value.startswith(("255.", "0.")))


def _is_v4(value: str) -> bool:
    return len(value) > len("1.2.3.4") and _is_someones(value)


def _is_v6(value: str) -> bool:
    bare = value.partition("%")[0]
    named = [group for group in bare.split(":") if group]
    if bare.count(":") < _COLONS_MIN or len(named) < _GROUPS_MIN or len("".join(named)) < _HEX_DIGITS_MIN:
        return False  # slices and qualified names of code
    return any(map(str.isdigit, bare)) and _is_someones(bare)


def _is_mac(value: str) -> bool:
    return len(set(re.sub(r"[^0-9A-Fa-f]", "", value).lower())) > 1


NETWORKS = (
    Rule(
        type="IP",
        needs=".",
        score=0.95,
        check=_is_v4,
        unless=_VERSION,
        pattern=compiled(
            rf"(?<![\w.-])(?:{_OCTET}\.){{3}}{_OCTET}"
            r"(?![\w-]|\.\d|\+)"
        ),
    ),
    Rule(
        type="IP",
        needs=".",
        score=0.8,
        check=_is_someones,
        context=near(r"ip\b|ips\b|address|adresse|dirección|host|server|from|client|gateway|dns|ping|node"),
        unless=_VERSION,
        pattern=compiled(r"(?<![\w.-])\d(?:\.\d){3}(?![\w-]|\.\d|\+)"),
    ),
    Rule(
        type="IP",
        needs=":",
        score=0.95,
        check=_is_v6,
        pattern=compiled(
            rf"(?<![\w:.])(?=[0-9A-Fa-f]{{0,4}}:)(?:[0-9A-Fa-f:]{{1,30}}:{_OCTET}(?:\.{_OCTET}){{3}}|[0-9A-Fa-f:]{{3,39}})"
            r"(?![\w:]|\.\w)"
        ),
    ),
    Rule(
        type="MAC",
        score=0.95,
        check=_is_mac,
        pattern=compiled(
            r"(?<![\w:.-])(?:[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}"
            r"|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2})(?![\w:-]|\.\w)"
        ),
    ),
    Rule(
        type="CRYPTO",
        score=1.0,
        check=base58check,
        pattern=compiled(r"(?<![A-Za-z0-9])[13][1-9A-HJ-NP-Za-km-z]{25,34}(?![A-Za-z0-9])"),
    ),
    Rule(
        type="CRYPTO",
        score=1.0,
        check=bech32,
        pattern=compiled(r"(?<![A-Za-z0-9])(?:bc1[02-9ac-hj-np-z]{11,80}|BC1[02-9AC-HJ-NP-Z]{11,80})(?![A-Za-z0-9])"),
    ),
    Rule(
        type="CRYPTO",
        needs="x",
        score=0.7,
        pattern=compiled(r"(?<![A-Za-z0-9])0x[0-9a-fA-F]{40}(?![A-Za-z0-9])"),
    ),
    Rule(
        type="CRYPTO",
        words=triggers("monero xmr wallet"),
        context=near("monero|xmr|wallet"),
        pattern=compiled(r"(?<![A-Za-z0-9])[48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}(?![A-Za-z0-9])"),
    ),
)
"""Rules for addresses of networks and chains."""
