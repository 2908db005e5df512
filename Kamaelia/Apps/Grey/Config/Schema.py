"""
Every setting: its type, kind, default, limits and reason
=========================================================
Config is what a greylist.conf means. Each of its fields is one row of the table from which
everything else comes: the reader below checks a file with it, the tests compare it with
Config/greylist.conf.dist and with Docs/operating/greylist.conf.md. So to add a setting is to
add one field here, and to name it in those two files.

Units are plain: seconds, bytes, bits. A list that a file sets replaces the default list.

Example Usage
-------------
>>> Config().greylist_delay, SETTINGS["greylist_delay"].default
(60, '60s')
>>> str(SETTINGS["port"].shape)
'a number from 1 to 65535'
"""
# ruff: noqa: RUF009 - _setting() is dataclasses.field() with the table's columns, and all values
# are frozen.

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from Kamaelia.Apps.Grey.Config import Addresses, Values
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Types import FailMode, HeloRule, TripleRule

T = TypeVar("T")
Kind = Callable[[str], T]  # its str() says what it takes

_WEEK = 604_800
_YEAR = 52 * _WEEK


@dataclass(frozen=True, slots=True)
class One(Generic[T]):
    """The shape of `key = value`."""

    kind: Kind[T]
    may_be_empty: bool = False

    def default(self, text: str) -> T:
        """Read the default of the table."""
        return self.kind(text)

    def __str__(self) -> str:
        return f"{self.kind}, or empty" if self.may_be_empty else str(self.kind)


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """The shape of `key:` and rows of words, a word for each column."""

    columns: Mapping[str, Kind[Any]]
    collect: Callable[[list[list[Any]]], T]
    may_be_empty: bool = True

    def default(self, text: str) -> T:
        """Read the default of the table, a row a line."""
        rows = [line.split() for line in text.splitlines()]
        kinds = self.columns.values()
        return self.collect(
            [[kind(word) for kind, word in zip(kinds, row, strict=True)] for row in rows]
        )

    def __str__(self) -> str:
        what = " ".join(self.columns)
        return f"lines of: {what}" if len(self.columns) > 1 else f"list of: {what}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table; `default` is written as in a file, a line for each row of a list."""

    name: str
    shape: One[Any] | Rows[Any]
    default: str
    reason: str


def _setting(shape: One[T] | Rows[T], default: str, reason: str) -> T:
    """Make a field of Config; like dataclasses.field it pretends to be the default itself."""
    row = {"shape": shape, "default": default, "reason": reason}
    return field(default=shape.default(default), metadata=row)


def _seconds(default: str, reason: str, maximum: int = _WEEK) -> int:
    return _setting(One(Values.duration(1, maximum)), default, reason)


def _number(minimum: int, maximum: int, default: str, reason: str) -> int:
    return _setting(One(Values.integer(minimum, maximum)), default, reason)


def _firsts(rows: list[list[T]]) -> list[T]:
    return list(dict.fromkeys(row[0] for row in rows))


_ADDRESS = Values.Plain("an IP address", Addresses.address)
_LOG = One(
    Values.Plain("a file", lambda text: Values.path(text) if text else None), may_be_empty=True
)
_CLIENT = Values.Plain("an address, a network or *", Addresses.network_or_any)
_MAIL = Values.Plain("a mail address, maybe with *", Addresses.mail_pattern)
_HELO = Values.Plain("a HELO name, maybe with *", Addresses.helo_pattern)


@dataclass(frozen=True, slots=True)
class Config:
    """What a greylist.conf means. Config() is the meaning of an empty one."""

    # --- the two servers ---
    listen: tuple[str, ...] = _setting(
        Rows({"address": _ADDRESS}, lambda rows: tuple(_firsts(rows)), may_be_empty=False),
        "0.0.0.0",  # noqa: S104 - a mail server is there for everybody
        "addresses on which mail is taken; :: for IPv6",
    )
    port: int = _number(1, 65_535, "25", "port on which mail is taken")
    servername: str = _setting(
        One(Values.Plain("a host name", Addresses.host_name)),
        "localhost",
        "name in the greeting; give the one your MX record names",
    )
    serverid: str = _setting(
        One(Values.Plain("a text", Values.greeting_text)),
        "Kamaelia Grey",
        "text behind the name in the greeting",
    )
    smtp_ip: str = _setting(
        One(_ADDRESS), "127.0.0.1", "the real mail server, to which all mail goes"
    )
    smtp_port: int = _number(1, 65_535, "8025", "port of the real mail server")

    # --- who is greylisted ---
    allowed_senders: Networks = _setting(
        Rows({"address": _ADDRESS}, lambda rows: Networks(map(ip_network, _firsts(rows)))),
        "127.0.0.1\n::1",
        "clients that may send to anywhere, at once",
    )
    allowed_sender_nets: Networks = _setting(
        Rows(
            {"network": Values.Plain("a network", Addresses.relaying_network)},
            lambda rows: Networks(_firsts(rows)),
        ),
        "",
        "networks whose clients may send to anywhere, at once",
    )
    allowed_domains: frozenset[str] = _setting(
        Rows(
            {"domain": Values.Plain("a domain", Addresses.domain)},
            lambda rows: frozenset(_firsts(rows)),
        ),
        "",
        "domains we take mail for; with a leading dot their subdomains too",
    )
    whitelisted_triples: tuple[TripleRule, ...] = _setting(
        Rows(
            {"client": _CLIENT, "sender": _MAIL, "recipient": _MAIL},
            lambda rows: tuple(TripleRule(*row) for row in rows),
        ),
        "",
        "mail that is never deferred",
    )
    whitelisted_nonstandard_triples: tuple[HeloRule, ...] = _setting(
        Rows(
            {"helo": _HELO, "client": _CLIENT, "recipient": _MAIL},
            lambda rows: tuple(HeloRule(*row) for row in rows),
        ),
        "",
        "the same for senders whose address changes with every mail",
    )

    # --- how ---
    greylist_delay: int = _seconds("60s", "a retry gets in when this time is over")
    retry_window: int = _seconds("24h", "a retry later than this counts as a first try", _YEAR)
    pass_lifetime: int = _seconds(
        "36d", "who got in stays known this long; each mail renews it", 10 * _YEAR
    )
    network_prefix4: int = _number(
        8, 32, "24", "IPv4 clients that share this many bits count as one"
    )
    network_prefix6: int = _number(
        16, 128, "64", "IPv6 clients that share this many bits count as one"
    )

    before_decider: tuple[tuple[Path, str], ...] = _setting(
        Rows(
            {
                "file": Values.Plain("a file", Values.path),
                "component": Values.Plain("a name in Python", Values.identifier),
            },
            lambda rows: tuple((row[0], row[1]) for row in rows),
        ),
        "",
        "components of your own that see each attempt before it is decided",
    )

    # --- memory ---
    database: Path = _setting(
        One(Values.Plain("a file", Values.path)),
        "/var/lib/kamaelia-grey/greylist.sqlite3",
        "SQLite file that remembers who tried and who got in",
    )
    store_failure: FailMode = _setting(
        One(Values.Choice(FailMode)), "accept", "what strangers get while the database fails"
    )
    sweep_interval: int = _seconds("10m", "how often what has expired is removed")

    # --- limits ---
    message_size_limit: int = _setting(
        One(Values.size(1 << 16, 1 << 31)), "50M", "largest message that is taken"
    )
    max_connections: int = _number(1, 100_000, "1000", "connections served at the same time")
    max_recipients: int = _number(100, 50_000, "1000", "recipients of one message")
    inactivity_timeout: int = _seconds("300", "a client silent for this long is hung up on")
    connect_timeout: int = _seconds("30s", "the real mail server must be connected by then")
    backend_reply_timeout: int = _seconds("5m", "it must answer a command by then")
    backend_final_timeout: int = _seconds("9m30s", "it must answer a whole message by then")
    drain_timeout: int = _seconds("30s", "open connections may end their mail at shutdown")

    # --- logs ---
    greylist_log: Path | None = _setting(
        _LOG, "", "one line a decision; empty: to the log of the program"
    )
    greylist_debuglog: Path | None = _setting(
        _LOG, "", "what the program does, in detail; empty: not written"
    )


# Every setting by name, in the order of Config.
SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {made.name: Setting(made.name, **made.metadata) for made in fields(Config)}
)


def contradictions(config: Config) -> Iterable[tuple[tuple[str, ...], str, str]]:
    """Yield what no single setting shows: names of the settings, message, cure."""
    if config.retry_window <= config.greylist_delay:
        yield (
            ("retry_window", "greylist_delay"),
            "retry_window is over before greylist_delay is: no stranger could ever get in",
            "make retry_window longer, or greylist_delay shorter",
        )
    everywhere = {"0.0.0.0", "::"} & set(config.listen)  # noqa: S104 - compared, not bound
    target = ip_network(config.smtp_ip)
    is_own = config.smtp_ip in config.listen or (everywhere and target.is_loopback)
    if config.smtp_port == config.port and is_own:
        yield (
            ("smtp_port", "port", "smtp_ip", "listen"),
            "the real mail server is where we listen: mail would go round in circles",
            "give the real mail server another port or address",
        )
