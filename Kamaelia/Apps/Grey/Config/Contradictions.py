"""
What two settings must not say together
=======================================
Each value of a file may be fine and the whole still be nonsense: more places reserved than there
are, a real mail server that is ourselves. It is said here, once a file has been read, so that it
comes with a line and a cure and not as a surprise at night.

Example Usage
-------------
>>> bad = Config(log_to=LogTo.FILE)
>>> [(names, cure) for names, message, cure in contradictions(bad)]
[(('log_to', 'greylist_debuglog'), 'set greylist_debuglog, or log_to = stderr')]
>>> list(contradictions(Config()))
[]

Rules. The defaults do not contradict each other. Whatever is found names all settings that are to
blame: with those at their defaults it is gone, so one of them stands in the file (but for the
statement `stat`, which is no setting). What only this machine can tell is not asked here: folders,
links, certificates, whether a port is free.
"""

import os.path
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from itertools import combinations, product
from pathlib import Path

from Kamaelia.Apps.Grey.Config.Problem import shown
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Config.Sockets import Place
from Kamaelia.Apps.Grey.Core.Modes import LogTo, ServerTLS

LEAST_MEMORY = 64 << 20  # bytes that a process has in use before its first client comes

Found = tuple[tuple[str, ...], str, str]
_Check = Callable[[Config], Iterable[Found]]


def contradictions(config: Config) -> Iterator[Found]:
    """Yield what no single setting shows: names of the settings, message, cure."""
    for check in _CHECKS:
        yield from check(config)


# ---- who could never get in


def _log(config: Config) -> Iterator[Found]:
    if config.log_to is LogTo.FILE and config.greylist_debuglog is None:
        yield (
            ("log_to", "greylist_debuglog"),
            "the log is to go to a file, and there is none",
            "set greylist_debuglog, or log_to = stderr",
        )


def _limits(config: Config) -> Iterator[Found]:
    if config.reserved_connections >= config.max_connections:
        yield (
            ("reserved_connections", "max_connections"),
            "all connections are reserved: no stranger could ever get in",
            "make reserved_connections smaller, or max_connections larger",
        )
    elif config.reserved_connections and not config.reserved_networks:
        yield (
            ("reserved_connections", "reserved_networks"),
            "connections are reserved, and for nobody",
            "list in reserved_networks who they are for",
        )
    if config.workers > config.max_connections:
        yield (
            ("workers", "max_connections"),
            "there are more workers than connections that they could serve",
            "set fewer workers, or a larger max_connections",
        )
    if 0 < config.memory_limit < config.workers * LEAST_MEMORY:
        least = f"{config.workers * LEAST_MEMORY >> 20}M"
        yield (
            ("memory_limit", "workers"),
            f"{least} are in use before the first client comes: nobody could get in",
            f"set memory_limit to {least} at the least, or to 0 for no limit",
        )


# ---- the real mail servers


def _servers(config: Config) -> list[tuple[str, int]]:
    """Address and port of each."""
    if config.backends:
        return [(host, port) for host, port, _, _ in config.backends]
    return [(config.smtp_ip, config.smtp_port)]


def _circles(config: Config) -> Iterator[Found]:
    everywhere = {"0.0.0.0", "::"} & set(config.listens)  # noqa: S104 - compared, not bound
    what = ("backends",) if config.backends else ("smtp_port", "smtp_ip")
    if not config.listens:
        return
    for (host, port), mine in product(dict.fromkeys(_servers(config)), ("port", "tls_port")):
        to = ip_address(host)
        # Who connects to 0.0.0.0 or :: comes to this machine.
        is_here = host in config.listens or to.is_unspecified or (everywhere and to.is_loopback)
        if is_here and port == getattr(config, mine):
            which = f"{host} port {port}" if config.backends else "the real mail server"
            yield (
                (*what, mine, "listen"),
                f"{which} is where we listen: mail would go round in circles",
                "give the real mail server another port or address",
            )


def _homeless_domains(config: Config) -> Iterator[Found]:
    served = {domain for *_, domain in config.backends}
    if not served or "*" in served:
        return
    for domain in sorted(config.allowed_domains):
        # Whether it and, for one with a leading dot, all below it is named.
        at_dots = [place for place, letter in enumerate(domain) if letter == "."]
        suffixes = {domain[place:] for place in at_dots} | {f".{domain.lstrip('.')}"}
        if domain not in served and suffixes.isdisjoint(served):
            yield (
                ("backends", "allowed_domains"),
                f"no line is for {shown(domain)}, which is in allowed_domains: its mail would "
                "wait for ever",
                "add a line for it, or one with * for all that no other line names",
            )


def _encryption_behind(config: Config) -> Iterator[Found]:
    if config.backend_tls_ca is not None and config.backend_tls is not ServerTLS.VERIFY:
        yield (
            ("backend_tls_ca", "backend_tls"),
            "nobody looks at the certificate of the real mail server",
            "set backend_tls = verify, or take backend_tls_ca away",
        )
    if config.backend_tls_name and config.backend_tls is ServerTLS.OFF:
        yield (
            ("backend_tls_name", "backend_tls"),
            "mail to the real mail server is not encrypted: it shows no certificate",
            "set backend_tls = verify, or take backend_tls_name away",
        )


# ---- the front door


def _encryption(config: Config) -> Iterator[Found]:
    if config.tls_certificate is None and (config.tls_port or config.tls_names or config.tls_key):
        yield (
            ("tls_certificate", "tls_port", "tls_names", "tls_key"),
            "there is no certificate to encrypt with",
            "set tls_certificate to the file of the certificate",
        )
    if config.tls_port == config.port:
        yield (
            ("tls_port", "port"),
            "tls_port and port are the same",
            "give tls_port another number, usually 465, or 0 for none",
        )
    names = [name for name, _, _ in config.tls_names]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield (
            ("tls_names",),
            f"there are several certificates for {shown(name)}",
            "keep one line for each name",
        )


def _doors(config: Config) -> Iterator[Found]:
    """Two doors at one place."""
    milter, policy = _named(config.socket), _named(config.policy_socket)
    if milter is not None and milter == policy:
        yield (
            ("policy_socket", "socket"),
            f"policy_socket and socket are both {milter}",
            "give each a place of its own",
        )
    named = [("socket", milter), ("policy_socket", policy)]
    if config.peers:
        host, port = config.syncaddr
        named.append(("syncaddr", Place(host=host, port=port)))
    others = [(name, at) for name, at in named if at is not None and at.port]
    ports = [config.port, *([config.tls_port] if config.tls_port else [])]
    for name, at in others:
        if at.port in ports and any(_meet(at.host, host) for host in config.listens):
            yield (
                (name, "port", "tls_port", "listen", "peers"),
                f"{name} is where mail is taken: {_shown(at)}",
                "give it another port",
            )
    for (name, at), (second, there) in combinations(others, 2):
        if at != there and at.port == there.port and _meet(at.host, there.host):
            yield (
                (second, name, "peers"),
                f"{second} and {name} are both port {at.port}",
                "give each a port of its own",
            )


def _named(place: Place | None) -> Place | None:
    """As _plain has its path."""
    if place is None or not place.path:
        return place
    return replace(place, path=_plain(place.path))


def _meet(one: str, other: str) -> bool:
    """Whether nobody can listen at both with the same port."""
    if one == other or "*" in (one, other):
        return True
    everywhere = not {"0.0.0.0", "::"}.isdisjoint((one, other))  # noqa: S104 - compared, not bound
    return everywhere and (":" in one) == (":" in other)


def _shown(at: Place) -> str:
    return f"*:{at.port}" if at.host == "*" else str(at)


def _source(config: Config) -> Iterator[Found]:
    source = config.syncsrcaddr
    peers = [name for name, _ in config.peers if _is_address(name)]
    if source == "*" or not peers:
        return
    if all((":" in name) != (":" in source) for name in peers):
        family = "IPv6" if ":" in source else "IPv4"
        yield (
            ("syncsrcaddr", "peers"),
            f"syncsrcaddr is of {family}, from where no peer with an address can be called",
            "write an address of their family, or *",
        )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


# ---- files

_SOCKETS = ("socket", "policy_socket")
_WRITTEN = (
    *("greylist_log", "greylist_debuglog", "pid_file"),
    *("dumpfile", "expect_file", "big_senders_file"),
)
_READ = ("tls_certificate", "tls_key", "backend_tls_ca")
_LISTS = ("postgrey_whitelist_clients", "postgrey_whitelist_recipients")
_File = tuple[str, str]  # setting and path


def _files(config: Config) -> Iterator[Found]:
    """One file for two things, of which at least one writes to it."""
    written, read = list(_written(config)), list(_read(config))
    for (one, path), (other, second) in (*combinations(written, 2), *product(written, read)):
        is_said = one in _SOCKETS and other in _SOCKETS  # as two doors at one place
        # /dev/null takes all of it.
        if path != second or is_said or path.startswith("/dev/"):
            continue
        where = f" ({path})" if "database" in (one, other) else ""  # one of its three, perhaps
        yield (
            # A statement is no setting: the other one is to blame, or its default.
            tuple(name for name in (other, one) if name != "stat"),
            f"{other} and {one} are the same file{where}",
            "give each a file of its own",
        )


def _written(config: Config) -> Iterator[_File]:
    for more in ("", "-wal", "-shm"):  # SQLite has these beside it
        yield "database", _plain(config.database) + more
    for name in _WRITTEN:
        path = getattr(config, name)
        if path is not None:
            yield name, _plain(path)
    for name in _SOCKETS:
        place = getattr(config, name)
        if place is not None and place.path:
            yield name, _plain(place.path)
    target = config.definitions.stat[0] if config.definitions.stat is not None else ""
    if target.startswith(">"):
        yield "stat", _plain(target.lstrip(">").strip())


def _read(config: Config) -> Iterator[_File]:
    for name in _READ:
        if (path := getattr(config, name)) is not None:
            yield name, _plain(path)
    for name in _LISTS:
        for path in getattr(config, name):
            yield name, _plain(path)
    for _, *pair in config.tls_names:
        for path in pair:
            yield "tls_names", _plain(path)
    for path, _ in config.before_decider:
        yield "before_decider", _plain(path)


def _plain(path: Path | str) -> str:
    """Without //, /./ and /../; two slashes in front mean one on Linux."""
    text = os.path.normpath(path)
    return text[1:] if text.startswith("//") else text


_CHECKS: tuple[_Check, ...] = (
    _log,
    _limits,
    _circles,
    _homeless_domains,
    _encryption_behind,
    _encryption,
    _doors,
    _source,
    _files,
)
