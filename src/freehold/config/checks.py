"""What no single value shows: names that lead nowhere, zones that do not exist, deployments that say too little."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Self, cast

from freehold.config.checks_options import check_options
from freehold.config.checks_vault import check_vaults, folder_labels
from freehold.config.lines import KeyPath
from freehold.config.mistakes import Mistake, near
from freehold.config.schema import Config, DeploymentSection, Ledger, ModelPriceSection, RouteSection, Server
from freehold.domain.errors.base import FreeholdError
from freehold.domain.model_size import SELF_CHECK_BILLIONS_MIN, billions_of
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone, ZoneTree

AUTO = "auto"
"""The route that clients may always ask for."""

LabelCheck = Callable[[str, ZoneTree], object]
"""Reads a label text; raises ``FreeholdError`` with a ``reason`` where it cannot."""

_OWN_ENGINES = frozenset({"embedded", "llama-server", "onnx"})
_AT_HOME = frozenset({DEVICE, LAN})
_ADDRESS = re.compile(r"(?P<scheme>https?)://(?P<host>\[[^\]/]*\]|[^:/\[\]]*)(?::\d+)?(?:/[^?#\\\s]*)?", re.IGNORECASE)
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|\[::1\]", re.IGNORECASE)
_SHARED_DEPLOYMENTS_MAX = 1_000
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_SOURCE = re.compile(r"(?!file:[^/*])[a-z][a-z0-9-]{1,31}:\S.*")
DEFAULT_SOURCE = "default"
"""The rule for sources that no other one knows."""

_SOCKET = re.compile(r"unix:///[^\s?#]{1,99}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|[0-9]{1,10}")
_PRICE_MODEL = re.compile(r"[a-z0-9_-]+/\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Names that the file gives, those of tables with mistakes among them: a wrong deployment is still a known one."""

    deployments: frozenset[str]
    routes: frozenset[str]

    @classmethod
    def of(cls, tree: Mapping[str, object]) -> Self:
        """The names in an unchecked tree."""

        def names(table: str) -> frozenset[str]:
            inner = tree.get(table)
            return frozenset(cast("dict[str, Any]", inner)) if isinstance(inner, dict) else frozenset()

        return cls(deployments=names("deployments"), routes=names("routes"))


def zone_tree(config: Config) -> ZoneTree:
    """The site's zones."""
    site = Zone(config.site.region)
    return ZoneTree(site_region=site, regions=frozenset({site, *map(Zone, config.site.regions)}))


def cross_check(config: Config, names: Names, check_label: LabelCheck | None = None) -> list[Mistake]:
    """All mistakes of a configuration whose single values are right, without their places."""
    return [
        *_server(config.server),
        *_workers(config),
        *_site(config),
        *(each for name in config.deployments for each in _deployment(name, config)),
        *_routes(config, names),
        *_aliases(config, names),
        *_ledger(config.ledger),
        *_prices(config.prices),
        *_labels(config, check_label),
        *_sources(config),
        *_telemetry(config),
        *_witnesses(config),
        *_egress(config),
        *check_vaults(config),
    ]


def _server(server: Server) -> Iterator[Mistake]:
    if bool(server.tls_certificate) != bool(server.tls_key):
        given, missing = ("tls_certificate", "tls_key") if server.tls_certificate else ("tls_key", "tls_certificate")
        yield Mistake(path=("server", given), text=f"{missing} must be set with it")
    for number, host in enumerate(server.hosts):
        if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", host):
            text = f"{host!r}: write the bare name without scheme, port or path"
            yield Mistake(path=("server", "hosts", number), text=text)


def _workers(config: Config) -> Iterator[Mistake]:
    """An engine that we run is the child of one process; several cannot share it, and it is slower than any of them."""
    if config.server.workers == 1:
        return
    for name, section in config.deployments.items():
        if section.engine in _OWN_ENGINES and not section.base_url:
            text = (
                f"an engine that Freehold runs serves one process, and [server] workers is {config.server.workers};"
                " set workers = 1, which keeps such an engine busy, or run it by itself and give its base_url"
            )
            yield Mistake(path=("deployments", name, "engine"), text=text)
    if len(config.deployments) > _SHARED_DEPLOYMENTS_MAX:
        text = f"{len(config.deployments)} deployments; with workers at most {_SHARED_DEPLOYMENTS_MAX} are shared"
        yield Mistake(path=("server", "workers"), text=text)


def _site(config: Config) -> Iterator[Mistake]:
    named: list[tuple[KeyPath, str]] = [(("site", "region"), config.site.region)]
    named += [(("site", "regions", number), name) for number, name in enumerate(config.site.regions)]
    for path, name in named:
        if name in {DEVICE, LAN, WORLD}:
            yield Mistake(path=path, text=f"{name!r} is a zone on every site; give the region another name")


def _deployment(name: str, config: Config) -> Iterator[Mistake]:
    path, section = ("deployments", name), config.deployments[name]
    zones = zone_tree(config)
    is_remote = section.engine not in _OWN_ENGINES or bool(section.base_url)
    if section.zone is None and is_remote:
        yield Mistake(path=path, text="zone must be set: say where this server runs, nobody can guess it")
    if section.zone is not None and not zones.is_known(Zone(section.zone)):
        suggestion = near(section.zone, zones.zones) or "; name it in [site] regions"
        yield Mistake(path=(*path, "zone"), text=f"{section.zone!r} is none of this site's zones{suggestion}")
    if not is_remote and section.zone not in {None, DEVICE}:
        yield Mistake(path=(*path, "zone"), text="an engine of ours runs in zone 'device'")
    yield from _engine(path, section)
    yield from check_options(path, section)
    if section.base_url:
        yield from _address((*path, "base_url"), section.base_url, section.zone, setting="api_key")
    yield from _price_model((*path, "price_model"), section.price_model)


def _engine(path: KeyPath, section: DeploymentSection) -> Iterator[Mistake]:
    is_child = section.engine == "llama-server"
    if section.engine not in _OWN_ENGINES and not section.base_url:
        yield Mistake(path=path, text=f"base_url must be set for engine '{section.engine}'")
    if section.engine in {"embedded", "onnx"} and section.base_url:
        text = f"engine {section.engine!r} has no address; 'llama-server' and 'openai' have one"
        yield Mistake(path=(*path, "base_url"), text=text)
    if section.reranks and section.engine != "openai":
        yield Mistake(path=(*path, "reranks"), text="only for engine 'openai'; leave it out")
    if section.engine == "onnx":
        yield from _onnx(path, section)
    if section.program and not is_child:
        yield Mistake(path=(*path, "program"), text="only engine 'llama-server' runs a program")
    if is_child and bool(section.program) == bool(section.base_url):
        text = "set either program (a llama-server that Freehold runs) or base_url (one that runs already)"
        yield Mistake(path=path, text=text)
    if section.pinned and (section.engine not in _OWN_ENGINES or section.base_url):
        yield Mistake(path=(*path, "pinned"), text="only a model that Freehold loads can be pinned; leave it out")
    if section.prompt_cache is not None:
        yield from _prompt_cache((*path, "prompt_cache"), section)
    if section.api_key is not None and not section.base_url:
        yield Mistake(path=(*path, "api_key"), text="there is no base_url that it could be sent to")


def _prompt_cache(path: KeyPath, section: DeploymentSection) -> Iterator[Mistake]:
    if section.engine in _OWN_ENGINES and not section.base_url:
        yield Mistake(path=path, text="an engine of ours keeps its cache apart by tenant and label; leave it out")
    elif section.engine == "anthropic":
        yield Mistake(path=path, text="Anthropic's cache is one for each account; leave it out")
    elif section.engine == "llama-server" and section.prompt_cache == "salted":
        yield Mistake(path=path, text="llama.cpp takes no salt; set 'unused' or 'shared'")


def _onnx(path: KeyPath, section: DeploymentSection) -> Iterator[Mistake]:
    """What a model that is known by name decides itself, and what such a model has none of."""
    for key in ("tools", "embeds", "infill"):
        if getattr(section, key) is not None:
            yield Mistake(path=(*path, key), text="the model decides that with engine 'onnx'; leave it out")
    for key in ("vision", "batch_tokens", "gpu_layers"):
        if getattr(section, key):
            yield Mistake(path=(*path, key), text="engine 'onnx' has no such thing; leave it out")


def _address(path: KeyPath, url: str, zone: str | None, *, setting: str) -> Iterator[Mistake]:
    if "@" in url:
        # Not shown: what stands before the "@" may be a password.
        yield Mistake(path=path, text=f'a credential does not belong in an address; use {setting} = "env:NAME"')
        return
    if "?" in url or "#" in url:
        yield Mistake(
            path=path, text=f'an address has no query and no fragment; a key goes into {setting} = "env:NAME"'
        )
        return
    if url.startswith("unix:///"):
        if zone is not None and zone != DEVICE:
            yield Mistake(path=path, text="a Unix socket is on this machine: zone must be 'device'")
        return
    match = _ADDRESS.fullmatch(url)
    if match is None or not match["host"]:
        yield Mistake(path=path, text=f"{url!r}: write http://host:port/path, https://host/path or unix:///path")
        return
    is_loopback = _LOOPBACK.fullmatch(match["host"]) is not None
    if zone == DEVICE and not is_loopback:
        yield Mistake(path=path, text=f"{match['host']!r} is not this machine, which zone 'device' means")
    elif zone is not None and zone not in _AT_HOME:
        if is_loopback:
            yield Mistake(path=path, text=f"{match['host']!r} is this machine, but zone is {zone!r}")
        elif match["scheme"].lower() == "http":
            yield Mistake(path=path, text="texts must not leave the network in clear; use https://")


def _routes(config: Config, names: Names) -> Iterator[Mistake]:
    for name, route in config.routes.items():
        path = ("routes", name)
        if name in names.deployments:
            yield Mistake(path=path, text="a deployment has this name too; clients could not tell them apart")
        seen: set[str] = set()
        for number, wanted in enumerate(route.deployments):
            item = (*path, "deployments", number)
            if wanted not in names.deployments:
                yield Mistake(path=item, text=f"there is no deployment {wanted!r}{near(wanted, names.deployments)}")
            if wanted in seen:
                yield Mistake(path=item, text=f"{wanted!r} is named twice")
            seen.add(wanted)
        yield from _instead(path, route)
        yield from _doubt(path, route, config, names)
        yield from _prerouter(path, route, config, names)
        yield from _worth(path, route)
        yield from _unheard(path, route, config)
        yield from _canary(path, route, config)


def _unheard(path: KeyPath, route: RouteSection, config: Config) -> Iterator[Mistake]:
    """What would be promised and could not be held, or asked for and never done."""
    asked = [
        key
        for key, is_set in (("risk_max", route.risk_max is not None), ("shadow_share", route.shadow_share))
        if is_set
    ]
    if not route.signals:
        text = "without signals no answer is judged, so that this does nothing; leave one out"
        for key in (*asked, *(("stream",) if route.stream == "prefix" else ())):
            yield Mistake(path=(*path, key), text=text)
    if route.shadow_share and len(route.deployments) == 1:
        yield Mistake(
            path=(*path, "shadow_share"), text="a shadow asks the next deployment, and there is none; name one"
        )
    if config.learning.outcomes_max == 0:
        text = "it learns from outcomes, and [learning] outcomes_max = 0 keeps none; leave one out"
        for key in (
            *(("shadow_share",) if route.shadow_share else ()),
            *(("prerouter",) if route.prerouter != "off" else ()),
        ):
            yield Mistake(path=(*path, key), text=text)


def _canary(path: KeyPath, route: RouteSection, config: Config) -> Iterator[Mistake]:
    """A canary answers nobody, and what it is asked stays on this device."""
    if not route.canary:
        if route.canary_share:
            yield Mistake(path=(*path, "canary_share"), text="it is the share of a canary, and none is named")
        return
    section = config.deployments.get(route.canary)
    if section is None:
        known = ", ".join(config.deployments) or "none"
        text = f"there is no deployment {route.canary!r}; there are: {known}"
    elif (section.zone or DEVICE) != DEVICE:
        text = f"{route.canary} is in the zone {section.zone}; a canary is asked on this device only"
    elif route.canary in route.deployments:
        text = f"{route.canary} answers on this route; a canary is compared with what does"
    elif config.learning.outcomes_max == 0:
        text = "it learns from outcomes, and [learning] outcomes_max = 0 keeps none; leave one out"
    else:
        return
    yield Mistake(path=(*path, "canary"), text=text)


def _worth(path: KeyPath, route: RouteSection) -> Iterator[Mistake]:
    """What an answer is worth is held against how sure its model is."""
    if route.worth is None:
        return
    if route.worth == 0:
        yield Mistake(path=(*path, "worth"), text="an answer that is worth nothing needs no model; give more than 0")
    if not route.signals:
        yield Mistake(
            path=(*path, "signals"), text="without signals no answer is held against its worth; leave one out"
        )


def _doubt(path: KeyPath, route: RouteSection, config: Config, names: Names) -> Iterator[Mistake]:
    """Who is asked about answers in the grey zone."""
    for key in ("second_opinion", "self_check"):
        wanted: str | None = getattr(route, key)
        if wanted is None:
            continue
        if wanted not in names.deployments:
            yield Mistake(path=(*path, key), text=f"there is no deployment {wanted!r}{near(wanted, names.deployments)}")
            continue
        section = config.deployments.get(wanted)
        if section is None:
            continue  # its own mistakes are told
        if section.embeds or section.engine == "onnx":
            yield Mistake(path=(*path, key), text=f"{wanted!r} serves no answers in text; name one that does")
            continue
        zone = section.zone or DEVICE
        if zone != DEVICE and not route.ask_beyond_device:
            text = f"{wanted!r} runs in zone {zone!r}; set ask_beyond_device = true, or name one on this device"
            yield Mistake(path=(*path, key), text=text)
        if key == "self_check" and not route.self_check_any_size:
            yield from _self_check_size((*path, key), wanted, section.model)
    if route.second_opinion is not None and set(route.deployments) == {route.second_opinion}:
        text = f"{route.second_opinion!r} would be asked about its own answers; name another model, or set samples"
        yield Mistake(path=(*path, "second_opinion"), text=text)
    if not route.signals and (route.second_opinion or route.samples or route.self_check):
        text = "without signals no answer is in a grey zone; leave signals out, or what is asked there"
        yield Mistake(path=(*path, "signals"), text=text)


def _self_check_size(path: KeyPath, name: str, model: str) -> Iterator[Mistake]:
    billions = billions_of(model)
    if billions is None or billions < SELF_CHECK_BILLIONS_MIN:
        told = "does not tell its size" if billions is None else f"has {billions:g} billion parameters"
        text = (
            f"the model of {name!r}, {model!r}, {told}; below {SELF_CHECK_BILLIONS_MIN:g} billion a model cannot judge"
            " answers; name a larger one, or set self_check_any_size = true"
        )
        yield Mistake(path=path, text=text)


def _instead(path: KeyPath, route: RouteSection) -> Iterator[Mistake]:
    for key in ("when_busy", "when_down"):
        words: list[str] = getattr(route, key)
        for number, word in enumerate(words):
            if word in words[:number]:
                yield Mistake(path=(*path, key, number), text=f"{word!r} is named twice")
        if len(route.deployments) == 1 and words != ["queue"]:
            text = "this route has one deployment, so that there is nothing to turn to; leave it out"
            yield Mistake(path=(*path, key), text=text)


def _prerouter(path: KeyPath, route: RouteSection, config: Config, names: Names) -> Iterator[Mistake]:
    """Questions are looked at on this device: before policy let a text go anywhere, it goes nowhere."""
    if route.prerouter == "off":
        for key in ("embedder", "workloads"):
            if getattr(route, key):
                yield Mistake(path=(*path, key), text="only for a prerouter; set prerouter, or leave it out")
        return
    if not route.embedder:
        yield Mistake(path=(*path, "prerouter"), text="embedder must be set with it: what makes vectors of questions")
        return
    item = (*path, "embedder")
    if route.embedder not in names.deployments:
        text = f"there is no deployment {route.embedder!r}{near(route.embedder, names.deployments)}"
        yield Mistake(path=item, text=text)
    section = config.deployments.get(route.embedder)
    if section is None:
        return
    if not (section.zone == DEVICE or (section.zone is None and section.engine in _OWN_ENGINES)):
        yield Mistake(path=item, text=f"{route.embedder!r} is not on this device; questions are looked at here only")
    if section.embeds is False or (section.engine == "openai" and not section.embeds):
        yield Mistake(path=item, text=f"{route.embedder!r} makes no vectors; name a deployment with embeds = true")


def _aliases(config: Config, names: Names) -> Iterator[Mistake]:
    taken = names.routes | names.deployments
    known = taken | (frozenset({AUTO}) if names.deployments else frozenset[str]())
    for alias, target in config.aliases.items():
        path = ("aliases", alias)
        if alias in taken:
            yield Mistake(path=path, text="a route or deployment has this name, so that the alias is never used")
        if target in config.aliases and target not in known:
            yield Mistake(path=path, text=f"{target!r} is an alias too; name what it leads to")
        elif target not in known:
            yield Mistake(path=path, text=f"there is no route or deployment {target!r}{near(target, known)}")


def _prices(prices: Mapping[str, ModelPriceSection]) -> Iterator[Mistake]:
    known: dict[tuple[str, date], str] = {}
    for name, price in prices.items():
        yield from _price_model(("prices", name, "model"), price.model)
        other = known.setdefault((price.model, price.since), name)
        if other != name:
            text = f"{price.since} is the day of [prices.{other}] too, which is of the same model; one of them holds"
            yield Mistake(path=("prices", name, "since"), text=text)


def _ledger(ledger: Ledger) -> Iterator[Mistake]:
    yield from _price_model(("ledger", "compare_with"), ledger.compare_with)
    if ledger.busy_watts < ledger.idle_watts:
        text = f"{ledger.busy_watts} is less than idle_watts, which is {ledger.idle_watts}"
        yield Mistake(path=("ledger", "busy_watts"), text=text)


def _price_model(path: KeyPath, model: str) -> Iterator[Mistake]:
    if model and not _PRICE_MODEL.fullmatch(model):
        yield Mistake(path=path, text=f"{model!r} is not PROVIDER/MODEL, for example openai/gpt-4o-mini")


def _labels(config: Config, check_label: LabelCheck | None) -> Iterator[Mistake]:
    if check_label is None:
        return
    tree = zone_tree(config)
    labels: list[tuple[KeyPath, str]] = [
        *((("routes", name, "label"), route.label) for name, route in config.routes.items() if route.label),
        *((("tenants", name, "label"), tenant.label) for name, tenant in config.tenants.items()),
        *((("sources", name, "label"), source.label) for name, source in config.sources.items()),
        *folder_labels(config),
        *((("labels", "mip", guid), text) for guid, text in config.labels.mip.items()),
        (("labels", "unknown_mip"), config.labels.unknown_mip),
        (("labels", "unread"), config.labels.unread),
    ]
    for path, text in labels:
        try:
            check_label(text, tree)
        except FreeholdError as error:
            yield Mistake(path=path, text=f"{text!r} cannot be read: {error.values.get('reason', error.message)}")


def _sources(config: Config) -> Iterator[Mistake]:
    for guid in config.labels.mip:
        if not _GUID.fullmatch(guid):
            text = f"{guid!r} is no GUID, for example 2096f6a2-d2f7-48be-b329-b73aaa526e5d"
            yield Mistake(path=("labels", "mip", guid), text=text)
    for name, source in config.sources.items():
        path = ("sources", name, "match")
        if name == DEFAULT_SOURCE and source.match:
            yield Mistake(path=path, text="default is for all sources that no other pattern knows; leave match out")
        elif name != DEFAULT_SOURCE and not _SOURCE.fullmatch(source.match):
            given = f"{source.match!r} is no pattern" if source.match else "it must be set"
            yield Mistake(path=path, text=f"{given}; write SCHEME:PATH, for example file:/legal/** or tool:search")


def _telemetry(config: Config) -> Iterator[Mistake]:
    section, zones = config.telemetry, zone_tree(config)
    path = ("telemetry", "otlp_endpoint")
    if not zones.is_known(Zone(section.otlp_zone)):
        suggestion = near(section.otlp_zone, zones.zones) or "; name it in [site] regions"
        text = f"{section.otlp_zone!r} is none of this site's zones{suggestion}"
        yield Mistake(path=("telemetry", "otlp_zone"), text=text)
    if section.otlp_endpoint:
        yield from _address(path, section.otlp_endpoint, section.otlp_zone, setting="otlp_authorization")
    elif section.otlp_authorization is not None:
        yield Mistake(
            path=("telemetry", "otlp_authorization"), text="there is no otlp_endpoint that it could be sent to"
        )


def _witnesses(config: Config) -> Iterator[Mistake]:
    zones = zone_tree(config)
    for name, witness in config.audit.witnesses.items():
        if not zones.is_known(Zone(witness.zone)):
            suggestion = near(witness.zone, zones.zones) or "; name it in [site] regions"
            text = f"{witness.zone!r} is none of this site's zones{suggestion}"
            yield Mistake(path=("audit", "witnesses", name, "zone"), text=text)


def _egress(config: Config) -> Iterator[Mistake]:
    place = config.egress.broker
    if place and not _SOCKET.fullmatch(place):
        yield Mistake(path=("egress", "broker"), text=f"{place!r}: write unix:// and the absolute path of a socket")
    if config.egress.users and not place:
        yield Mistake(path=("egress", "users"), text="there is no broker that they could use; set broker")
    yield from _egress_hub(config)
    for number, user in enumerate(config.egress.users):
        if not _USER.fullmatch(user):
            yield Mistake(path=("egress", "users", number), text=f"{user!r} is no name or number of a user")


def _egress_hub(config: Config) -> Iterator[Mistake]:
    egress, zones = config.egress, zone_tree(config)
    if not egress.hub:
        return
    if not egress.broker:
        yield Mistake(path=("egress", "hub"), text="there is no broker that could read from them; set broker")
    if egress.hub_zone == DEVICE or not zones.is_known(Zone(egress.hub_zone)):
        suggestion = near(egress.hub_zone, zones.zones) or "; name it in [site] regions"
        text = f"{egress.hub_zone!r} is none of this site's zones beyond this device{suggestion}"
        yield Mistake(path=("egress", "hub_zone"), text=text)
    for number, address in enumerate(egress.hub):
        path = ("egress", "hub", number)
        if any(mark in address for mark in "@?#"):
            yield Mistake(path=path, text="the address of a hub has no user, no query and no fragment")
        else:
            yield from _address(path, address, egress.hub_zone, setting="")
    endpoint = config.hub.endpoint.rstrip("/")
    if endpoint and endpoint != egress.hub[0].rstrip("/"):
        text = f"{egress.hub[0]!r} must be the hub, which is {endpoint!r} by [hub] endpoint"
        yield Mistake(path=("egress", "hub", 0), text=text)
