"""Requests of somebody who wants what is not theirs, and an oracle that says what each of them may get.

The oracle reads the bytes that are sent and the table of routes; it shares no code with the gateway.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from urllib.parse import unquote_to_bytes

from freehold.api.routes import INFERENCE_ROUTES, VIEW_ROUTES
from freehold.domain.identity import Scope
from freehold.identity.access import INFER, Access, Reach
from tests.support.inside import Answer, Inside
from tests.support.objects import BODIES, Kind, kind_of

MARKS = {"ours": "ours-alone-3b9f", "theirs": "theirs-alone-7c41"}
PARAMETER = re.compile(r"\{(\w+)(:path)?\}")
OTHER = {"ours": "theirs", "theirs": "ours"}
CHAT = {"model": "plain", "messages": [{"role": "user", "content": "hello"}]}
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "Post",
    "delete",
    "GETS",
)
LOOKS_LIKE = {"a": "а", "e": "е", "o": "о", "0": "０", "1": "１", "-": "‐", "/": "∕", ".": "․"}

TABLE: dict[str, dict[str, Access]] = {route.path.decode(): {"POST": INFER} for route in INFERENCE_ROUTES}
for row in VIEW_ROUTES:
    TABLE.setdefault(row.path, {})[row.method] = row.access


@dataclass(frozen=True)
class Caller:
    """Whose a key is and what it may do."""

    tenant: str
    scopes: frozenset[str]


@dataclass
class World:
    """A gateway, keys that open something and such that do not, and objects of two tenants."""

    gateway: Inside
    callers: dict[str, Caller] = field(default_factory=dict[str, Caller])
    dead: list[str] = field(default_factory=list[str])
    owners: dict[str, str] = field(default_factory=dict[str, str])
    """Tenant by id of an object."""
    ids: dict[Kind, list[str]] = field(default_factory=dict["Kind", list[str]])

    @classmethod
    def make(cls, gateway: Inside) -> World:
        world = cls(gateway)
        sets = ((Scope.INFER,), (Scope.MANAGE,), (Scope.ADMIN,), (Scope.INFER, Scope.MANAGE))
        for tenant in MARKS:
            for scopes in sets:
                world.callers[gateway.key(tenant, *scopes)[0]] = Caller(tenant, frozenset(scopes))
            secret, key_id = gateway.key(tenant, *Scope)
            gateway.stores.keys.revoke(key_id)
            world.dead.append(secret)
        for path in TABLE:
            for name, _ in PARAMETER.findall(path):
                kind = kind_of(name, path)
                for tenant, mark in MARKS.items():
                    maker = next(key for key, who in world.callers.items() if who == Caller(tenant, frozenset(sets[3])))
                    made = kind.make(gateway, maker, mark)
                    world.ids.setdefault(kind, []).append(made)
                    if not kind.is_everybodys:
                        world.owners[made] = tenant
        return world


@dataclass(frozen=True)
class Attack:
    """One request, as it is sent."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def raw(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.fields)]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + self.body

    def values(self, name: str) -> list[str]:
        return [value.strip(" \t") for each, value in self.fields if each.lower() == name]


def attack(chance: Random, world: World) -> Attack:
    """Some request."""
    path = chance.choice(list(TABLE))
    methods = list(TABLE[path])
    method = chance.choice(methods) if chance.random() < 0.7 else chance.choice(METHODS)
    tenant = chance.choice(list(MARKS))
    target = PARAMETER.sub(lambda found: _id(chance, world, kind_of(found[1], path), OTHER[tenant]), path)
    for _ in range(chance.choice((0, 0, 0, 0, 1, 1, 2))):
        target = chance.choice(_OF_TARGET)(chance, target)
    if chance.random() < 0.2:
        key = chance.choice(list(world.callers))
        target += chance.choice(
            (
                f"?tenant={OTHER[tenant]}",
                f"?api_key={key}",
                f"?access_token={key}",
                f"?key={key}",
                "?_method=DELETE",
                "?",
            )
        )
    body = _body(chance, path, method, OTHER[tenant])
    fields = [("Host", _host(chance)), *_credentials(chance, world, tenant), *_lures(chance, world, path)]
    if body or method in {"POST", "PUT", "PATCH"}:
        fields += [("Content-Length", str(len(body))), ("Content-Type", "application/json")]
    chance.shuffle(fields)
    return Attack(method, target, tuple(fields), body)


def _id(chance: Random, world: World, kind: Kind, other: str) -> str:
    whose = [each for each in world.ids[kind] if world.owners.get(each, other) == other]
    value = chance.choice([*whose, *whose, *world.ids[kind], kind.missing])
    for _ in range(chance.choice((0, 0, 0, 1, 1, 2))):
        value = chance.choice(_OF_ID)(chance, value)
    return value


def _escaped(chance: Random, text: str) -> str:
    return "".join(f"%{ord(c):02{chance.choice('xX')}}" if c.isascii() and chance.random() < 0.5 else c for c in text)


def _escaped_again(chance: Random, text: str) -> str:
    place = chance.randrange(len(text) + 1)
    letter = chance.choice("./\\;?#%\0\n a")
    escaped = f"%{ord(letter):02x}"
    for _ in range(chance.randrange(9)):
        escaped = escaped.replace("%", "%25")
    return text[:place] + escaped + text[place:]


def _look_alike(chance: Random, text: str) -> str:
    places = [place for place, letter in enumerate(text) if letter in LOOKS_LIKE]
    if not places:
        return text
    place = chance.choice(places)
    letter = "".join(f"%{byte:02X}" for byte in LOOKS_LIKE[text[place]].encode())
    return text[:place] + letter + text[place + 1 :]


def _put(*pieces: str) -> Callable[[Random, str], str]:
    def put(chance: Random, text: str) -> str:
        place = chance.randrange(len(text) + 1)
        return text[:place] + chance.choice(pieces) + text[place:]

    return put


_DOTS = ("..", ".", "/../", "/./", "%2e%2e", "%2e%2e%2f", "..%2f", "/%2e%2e/", "..;/", "%c0%ae%c0%ae/", "....//")
_OF_ID: Sequence[Callable[[Random, str], str]] = (
    lambda chance, text: text.upper(),
    lambda chance, text: text.swapcase(),
    _escaped,
    _escaped_again,
    _look_alike,
    _put(*_DOTS),
    _put("%00", "%0a", "%0d%0a", "%20", "+", "%", "%zz", "*", "'", '"', ",", "é", "%ff", "%ed%a0%80"),
    lambda chance, text: text + chance.choice((";x", ";x=y", "/", "//", ".json", "%2f", "/.", "?", "%3f", " OR 1=1", "'--")),
    lambda chance, text: chance.choice(("/", "./", "../receipts/", "%2e/", "x/../", "\\")) + text,
    lambda chance, text: text.replace("-", ""),
    lambda chance, text: text[:-1],
)  # fmt: skip
_OF_TARGET: Sequence[Callable[[Random, str], str]] = (
    _escaped,
    _escaped_again,
    _look_alike,
    _put(*_DOTS, "/", "//", "\\", ";x", "%2f", "%5c"),
    lambda chance, text: text.upper(),
    lambda chance, text: text + "/",
    lambda chance, text: "/" + text,
    lambda chance, text: "//localhost" + text,
    lambda chance, text: "//evil.example" + text,
    lambda chance, text: chance.choice(("http://localhost", "http://evil.example", "https://localhost:1", "HTTP://x")) + text,
    lambda chance, text: "/healthz/.." + text,
    lambda chance, text: "/healthz%2f.." + text,
    lambda chance, text: "/healthz?" + text,
    lambda chance, text: "/healthz;" + text,
    lambda chance, text: "/v1/chat/completions/.." + text,
    lambda chance, text: text + "#/healthz",
    lambda chance, text: text.replace("/v1", chance.choice(("", "/v1/v1", "/V1", "/v1/proxy", "/api", "/v01")), 1),
    lambda chance, text: text[1:],
    lambda chance, text: "*",
)  # fmt: skip


def _host(chance: Random) -> str:
    if chance.random() < 0.92:
        return chance.choice(("localhost", "localhost:8484", "127.0.0.1", "LOCALHOST:1", "[::1]:8484"))
    return chance.choice((
        "evil.example", "localhost.evil.example", "evil.example:localhost", "localhost,evil.example", "user@localhost",
        "localhost:1@evil.example", "", "localhost.", "localhost:", "localhost:x", "127.0.0.1.nip.io", "0x7f000001", "[::1",
        "localhost/x", "local host", "ｌocalhost", "::1", "[::1]x",
    ))  # fmt: skip


def _credentials(chance: Random, world: World, tenant: str) -> list[tuple[str, str]]:
    mine = chance.choice([key for key, who in world.callers.items() if who.tenant == tenant])
    other = chance.choice([*world.callers, *world.dead])
    if chance.random() < 0.6:
        return [("Authorization", f"Bearer {mine}")]
    auth, xkey = "Authorization", "x-api-key"
    return list(chance.choice((
        [], [(auth, mine)], [(auth, "Bearer")], [(auth, "Bearer ")], [(auth, "")], [(auth, f"bearer  {mine}")],
        [(auth, f"BEARER {mine} ")], [(auth, f"Bearer\t{mine}")], [(auth, f"Basic {mine}")], [(auth, f"Token {mine}")],
        [(auth, f"Bearer {mine}, Bearer {other}")], [(auth, f"Bearer {mine} {other}")], [(auth, f'Bearer "{mine}"')],
        [(auth, f"Bearer {mine.upper()}")], [(auth, f"Bearer {mine[:-1]}")], [(auth, f"Bearer {mine}x")],
        [(auth, f"Bearer {mine}"), (auth, f"Bearer {other}")], [(auth, f"Bearer {other}"), (auth, f"Bearer {mine}")],
        [(auth, f"Bearer {mine}"), ("AUTHORIZATION", f"Bearer {mine}")], [(xkey, mine)], [("X-API-Key", mine)],
        [(auth, f"Bearer {mine}"), (xkey, mine)], [(auth, f"Bearer {mine}"), (xkey, other)],
        [(auth, f"Bearer {other}"), (xkey, mine)], [(auth, f"Basic {other}"), (xkey, mine)], [(auth, ""), (xkey, mine)],
        [(xkey, mine), (xkey, other)], [(auth, f"Bearer {chance.choice(world.dead)}")], [("api-key", mine)],
        [("x-goog-api-key", mine)], [("Proxy-Authorization", f"Bearer {mine}")], [("Cookie", f"key={mine}")],
        [(auth, "Bearer null")], [(auth, "Bearer ' OR '1'='1")], [(auth, "Bearer \u00e9\u20ac")], [(xkey, "")],
    )))  # fmt: skip


def _lures(chance: Random, world: World, path: str) -> list[tuple[str, str]]:
    """Fields that some server or proxy believes."""
    if chance.random() < 0.6:
        return []
    admin = next(key for key, who in world.callers.items() if Scope.ADMIN in who.scopes)
    goal = chance.choice(("/metrics", "/v1/admin/keys", "/healthz", "/v1/receipts"))
    return chance.sample((
        ("X-HTTP-Method-Override", chance.choice(("GET", "DELETE", "POST"))), ("X-HTTP-Method", "DELETE"),
        ("X-Method-Override", "DELETE"), ("X-Original-URL", goal), ("X-Rewrite-URL", goal), ("X-Original-URI", goal),
        ("X-Forwarded-Prefix", "/v1/.."), ("X-Forwarded-Host", "localhost"), ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "https"), ("X-Real-IP", "127.0.0.1"), ("Forwarded", "for=127.0.0.1;host=localhost"),
        ("X-Forwarded-User", "admin"), ("X-Remote-User", "admin"), ("X-Auth-Request-User", "admin"), ("X-Tenant", "theirs"),
        ("freehold-tenant", "theirs"), ("OpenAI-Organization", "theirs"), ("X-Scope", "admin"), ("X-Key", admin),
        ("Content-Location", goal), ("X-Forwarded-Authorization", f"Bearer {admin}"), ("Authorization2", f"Bearer {admin}"),
        ("X_Api_Key", admin), ("Destination", goal), ("Connection", "authorization"), ("Host2", "localhost"),
    ), k=chance.randint(1, 3))  # fmt: skip


def _body(chance: Random, path: str, method: str, other: str) -> bytes:
    if method.upper() not in {"POST", "PUT", "PATCH", "DELETE"} or chance.random() < 0.3:
        return b""
    good = BODIES.get((method, path), CHAT) if chance.random() < 0.5 else {}
    more = chance.choice(({}, {}, {"tenant": other}, {"scopes": ["admin"]}, {"_method": "DELETE"}, {"user": other}))
    return json.dumps({**good, **more}).encode()


@dataclass(frozen=True)
class Allowed:
    """What a request may get: by the row that its target names letter by letter, and the one key that it shows."""

    access: Access | None = None
    caller: Caller | None = None
    object_id: str = ""
    path: str = ""
    """Of the row."""

    def passes(self) -> bool:
        if self.access is None:
            return False
        if self.access.scope is None:
            return True
        if self.caller is None:
            return False
        scopes = self.caller.scopes
        return self.access.scope in scopes or (self.access.scope is Scope.MANAGE and Scope.ADMIN in scopes)

    def reaches(self, tenant: str) -> bool:
        """Whether it may see what is of a tenant."""
        if not self.passes() or self.access is None or self.caller is None:
            return False
        return self.caller.tenant == tenant or (
            self.access.reach is Reach.MANAGED and Scope.ADMIN in self.caller.scopes
        )


def allowed(sent: Attack, world: World) -> Allowed:
    """The oracle."""
    path = sent.target.partition("?")[0]
    method = "GET" if sent.method == "HEAD" else sent.method
    hosts = [re.sub(r":[^:\]]*$", "", each).lower() for each in sent.values("host")]
    if len(hosts) != 1 or hosts[0] not in {"localhost", "127.0.0.1", "[::1]"}:
        return Allowed()
    for template, rows in TABLE.items():
        form = "".join(
            "(.*)" if piece == ":path" else "([^/]+)" if piece is None else re.escape(piece)
            for piece in _pieces(template)
        )
        if (found := re.fullmatch(form, path, re.DOTALL)) and method in rows:
            named = unquote_to_bytes(found[found.lastindex]).decode("utf-8", "replace") if found.lastindex else ""
            return Allowed(rows[method], _caller(sent, world), named, template)
    return Allowed()


def _pieces(template: str) -> list[str | None]:
    """Texts, ``None`` for a parameter, ``:path`` for one with slashes in it."""
    pieces: list[str | None] = []
    end = 0
    for found in PARAMETER.finditer(template):
        pieces += [template[end : found.start()], found[2] or None]
        end = found.end()
    return [*pieces, template[end:]]


def _caller(sent: Attack, world: World) -> Caller | None:
    auth, plain = sent.values("authorization"), sent.values("x-api-key")
    if len(auth) > 1 or len(plain) > 1:
        return None
    if not "".join(auth):
        return world.callers.get("".join(plain))
    scheme, _, credential = auth[0].partition(" ")
    credential = credential.strip(" \t") if scheme.lower() == "bearer" else ""
    if "".join(plain) not in {"", credential}:
        return None
    return world.callers.get(credential)


def fault(sent: Attack, answer: Answer, world: World) -> str:
    """What is wrong with an answer; empty for nothing."""
    may = allowed(sent, world)
    if answer.status >= 500 and not (answer.code == "FH-REQUEST-015" and may.passes()):
        return f"{answer.status}: a fault of ours"
    if 0 < answer.status < 400:
        if not may.passes():
            return f"{answer.status} for a request that may not pass"
        owner = world.owners.get(may.object_id)
        if owner is not None and not may.reaches(owner):
            return f"{answer.status} for an object of {owner}"
    for tenant, mark in MARKS.items():
        if mark.encode() in answer.raw and not may.reaches(tenant):
            return f"it shows something of {tenant}"
    return ""
