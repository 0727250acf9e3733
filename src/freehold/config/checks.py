"""What no single value shows: names that lead nowhere, zones that do not exist, deployments that say too little."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from freehold.config.mistakes import Mistake
from freehold.config.schema import Config, DeploymentSection

_LOCAL_ENGINES = frozenset({"embedded", "llama-server"})
_PLAIN_HTTP_ZONES = frozenset({"device", "lan"})
_SCHEMES = ("http://", "https://", "unix://")


def cross_check(config: Config) -> list[Mistake]:
    """All mistakes of a configuration whose single values are right."""
    return [*_names(config), *_deployments(config), *_routes(config), *_rest(config)]


def known_zones(config: Config) -> frozenset[str]:
    """Every zone that a deployment may be in."""
    return frozenset({"device", "lan", "world", config.site.region, *config.site.regions})


def _names(config: Config) -> Iterator[Mistake]:
    for name in sorted(set(config.routes) & set(config.deployments)):
        yield Mistake(path=("routes", name), text="a deployment has this name too; clients could not tell them apart")
    for name in sorted(set(config.aliases) & (set(config.routes) | set(config.deployments))):
        yield Mistake(path=("aliases", name), text="a route or deployment has this name, so the alias is never used")
    for alias, target in config.aliases.items():
        if target not in config.routes and target not in config.deployments:
            near = _near(target, [*config.routes, *config.deployments])
            yield Mistake(path=("aliases", alias), text=f"{target!r} is no route or deployment{near}")


def _deployments(config: Config) -> Iterator[Mistake]:
    zones = known_zones(config)
    for name, section in config.deployments.items():
        path = ("deployments", name)
        if section.zone is None and section.engine != "embedded" and _is_remote(section):
            yield Mistake(path=path, text="zone must be set: say where this server runs, nobody can guess it")
        if section.zone is not None and section.zone not in zones:
            near = _near(section.zone, zones) or "; add it to [site] regions"
            yield Mistake(path=(*path, "zone"), text=f"{section.zone!r} is no zone of this site{near}")
        if section.engine == "embedded" and section.zone not in {None, "device"}:
            yield Mistake(path=(*path, "zone"), text="an embedded engine is on this device")
        yield from _address(path, section)


def _address(path: tuple[str, ...], section: DeploymentSection) -> Iterator[Mistake]:
    if section.engine not in _LOCAL_ENGINES and not section.base_url:
        yield Mistake(path=path, text="base_url must be set for this engine")
    if section.engine == "embedded" and section.base_url:
        yield Mistake(path=(*path, "base_url"), text="an embedded engine has no address; use engine llama-server")
    if section.base_url and not section.base_url.startswith(_SCHEMES):
        yield Mistake(
            path=(*path, "base_url"), text=f"{section.base_url!r} must begin with one of {', '.join(_SCHEMES)}"
        )
    if section.base_url.startswith("http://") and (section.zone or "") not in _PLAIN_HTTP_ZONES:
        yield Mistake(path=(*path, "base_url"), text="texts must not leave the network in clear; use https://")
    if section.program and section.engine != "llama-server":
        yield Mistake(path=(*path, "program"), text="only engine llama-server runs a program")


def _routes(config: Config) -> Iterator[Mistake]:
    for name, route in config.routes.items():
        for wanted in route.deployments:
            if wanted not in config.deployments:
                near = _near(wanted, config.deployments)
                yield Mistake(path=("routes", name, "deployments"), text=f"{wanted!r} is no deployment{near}")
        if len(set(route.deployments)) != len(route.deployments):
            yield Mistake(path=("routes", name, "deployments"), text="a deployment is named twice")


def _rest(config: Config) -> Iterator[Mistake]:
    if bool(config.server.tls_certificate) != bool(config.server.tls_key):
        yield Mistake(
            path=("server", "tls_certificate"), text="tls_certificate and tls_key are set together or not at all"
        )
    if config.site.region in {"device", "lan", "world"}:
        yield Mistake(path=("site", "region"), text=f"{config.site.region!r} is a zone of its own, not a region")
    models = [(("ledger", "compare_with"), config.ledger.compare_with)]
    models += [(("deployments", name, "price_model"), each.price_model) for name, each in config.deployments.items()]
    for path, model in models:
        if model and "/" not in model:
            yield Mistake(path=path, text=f"{model!r} must be provider/model, for example openai/{model}")


def _is_remote(section: DeploymentSection) -> bool:
    return section.engine not in _LOCAL_ENGINES or bool(section.base_url)


def _near(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
