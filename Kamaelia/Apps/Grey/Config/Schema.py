"""
Every setting: its type, kind, default, limits and reason
=========================================================
Config is what a greylist.conf means. Each of its fields is one row of the table from which
everything else comes: the reader checks a file with it, the tests compare it with
Config/greylist.conf.dist and with Docs/operating/greylist.conf.md. So to add a setting is to
add one field here, and to name it in those two files.

Units are plain: seconds, bytes, bits. A list that a file sets replaces the default list. What two
settings may not say together is in Contradictions.

Example Usage
-------------
>>> Config().greylist_delay, SETTINGS["greylist_delay"].default
(1800, '30m')
>>> str(SETTINGS["port"].shape)
'a number from 1 to 65535'
"""
# ruff: noqa: RUF009 - setting() is dataclasses.field() with the table's columns, and all values
# are frozen.

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType

from Kamaelia.Apps.Grey.Config import Addresses, Sockets, Values
from Kamaelia.Apps.Grey.Config.Setting import (
    One,
    Rows,
    Setting,
    choice,
    file_or_none,
    firsts,
    number,
    seconds,
    setting,
    switch,
    text_or_none,
)
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Rule import Rule
from Kamaelia.Apps.Grey.Core.Modes import (
    ClientInfo,
    KeyKind,
    LogFormat,
    LogTo,
    LookupFailure,
    Mode,
    Report,
    ServerProtocol,
    ServerTLS,
    Verify,
)
from Kamaelia.Apps.Grey.Core.Networks import Network, Networks
from Kamaelia.Apps.Grey.Core.Types import FailMode, HeloRule, TripleRule

_YEAR = 52 * 604_800

_ADDRESS = Values.Plain("an IP address", Addresses.address)
_CLIENT = Values.Plain("an address, a network or *", Addresses.network_or_any)
_MAIL = Values.Plain("a mail address, maybe with *", Addresses.mail_pattern)
_HELO = Values.Plain("a HELO name, maybe with *", Addresses.helo_pattern)
_FILE = Values.Plain("a file", Values.path)


def _networks(read: Callable[[str], Network]) -> Rows[Networks]:
    return Rows({"network": Values.Plain("a network", read)}, lambda rows: Networks(firsts(rows)))


_RECIPIENTS: Rows[tuple[str, ...]] = Rows(
    {"recipient": Values.Plain("an address, a domain or .domain", Addresses.recipient)},
    lambda rows: tuple(firsts(rows)),
)
_ZONES: Rows[tuple[tuple[str, Network], ...]] = Rows(
    {
        "zone": Values.Plain("a domain", Addresses.domain),
        "answers": Values.Plain("an address or network in 127.0.0.0/8", Addresses.network),
    },
    lambda rows: tuple((row[0], row[1]) for row in rows),
)


_FILES: Rows[tuple[Path, ...]] = Rows(
    {"file": Values.Plain("a path from / on", Values.absolute_path)},
    lambda rows: tuple(firsts(rows)),
)


def _socket(reason: str) -> Sockets.Place | None:
    kind = Values.Plain("a socket", lambda text: Sockets.place(text) if text else None)
    return setting(One(kind, may_be_empty=True), "", f"{reason}; empty: nowhere")


def _mode(name: str) -> int:
    kind = Values.Plain("a mode in octal", Values.file_mode)
    return setting(One(kind), "660", f"who may connect, if {name} is a file")


def _owner() -> str:
    reason = "whose it is then, as user or user:group; empty: whose we are"
    return text_or_none("a user", Values.user_name, "", reason)


@dataclass(frozen=True, slots=True)
class Config:
    """What a greylist.conf means. Config() is the meaning of an empty one."""

    # --- the two servers ---
    listen: tuple[str, ...] = setting(
        Rows({"address": _ADDRESS}, lambda rows: tuple(firsts(rows))),
        "",
        "addresses on which mail is taken; :: for IPv6. Empty: 0.0.0.0, or none if there is a door "
        "for a mail server",
    )
    port: int = number(1, 65_535, "25", "port on which mail is taken")
    servername: str = setting(
        One(Values.Plain("a host name", Addresses.host_name)),
        "localhost",
        "name in the greeting; give the one your MX record names",
    )
    serverid: str = setting(
        One(Values.Plain("a text", Values.greeting_text)),
        "Kamaelia Grey",
        "text behind the name in the greeting",
    )
    smtp_ip: str = setting(
        One(_ADDRESS), "127.0.0.1", "the real mail server, to which all mail goes"
    )
    smtp_port: int = number(1, 65_535, "8025", "port of the real mail server")
    backends: tuple[tuple[str, int, int, str], ...] = setting(
        Rows(
            {
                "address": _ADDRESS,
                "port": Values.integer(1, 65_535),
                "priority": Values.integer(1, 100),
                "domain": Values.Plain("a domain or *", Addresses.domain_or_any),
            },
            lambda rows: tuple((row[0], row[1], row[2], row[3]) for row in rows),
        ),
        "",
        "several real mail servers, in the place of smtp_ip and smtp_port",
    )
    backend_protocol: ServerProtocol = choice(
        ServerProtocol, "smtp", "what the real mail server speaks"
    )
    backend_tls: ServerTLS = choice(ServerTLS, "off", "whether mail is encrypted on its way to it")
    backend_tls_ca: Path | None = file_or_none(
        "", "certificates that vouch for it; empty: those of the system"
    )
    backend_tls_name: str = text_or_none(
        "a host name",
        Addresses.host_name,
        "",
        "name that its certificate must be for; empty: its address",
    )
    client_info: ClientInfo = choice(ClientInfo, "none", "how it hears who the client is")
    relay_check: bool = switch(
        "yes", "at the start, make sure that it does not relay strangers' mail because we ask"
    )
    verify_recipients: Verify = choice(
        Verify,
        "new",
        "which recipients it is asked about before they are greylisted",
    )
    verify_found_lifetime: int = seconds("1h", "how long its yes to a recipient is believed")
    verify_unknown_lifetime: int = seconds("10m", "how long its no to a recipient is believed")
    backend_connections_kept: int = number(
        0, 1000, "32", "open connections to it that are kept for the next client"
    )

    # --- doors for a mail server ---
    socket: Sockets.Place | None = _socket("where an MTA speaks the milter protocol with us")
    socket_mode: int = _mode("socket")
    socket_owner: str = _owner()
    milter_patience: int = seconds("8s", "how long a Sendmail is let wait at a recipient", 300)
    policy_socket: Sockets.Place | None = _socket("where a Postfix asks us as its policy service")
    policy_socket_mode: int = _mode("policy_socket")
    policy_socket_owner: str = _owner()

    # --- other machines ---
    peers: tuple[tuple[str, int], ...] = setting(
        Rows(
            {
                "machine": Values.Plain("a name or an address", Sockets.peer),
                "timeout": Values.duration(0, 3600),
            },
            lambda rows: tuple(dict(rows).items()),
        ),
        "",
        "machines that share records with us, as milter-greylist does; how long they may take",
    )
    syncaddr: tuple[str, int] = setting(
        One(Values.Plain("an address or *, and :PORT", Sockets.listening)),
        "*:5252",
        "where they connect to; its port is also theirs",
    )
    syncsrcaddr: str = setting(
        One(Values.Plain("an address or *", Sockets.source)), "*", "from where they are called"
    )
    syncmaxqlen: int = number(1, 1_000_000, "1024", "records that wait for one of them")

    # --- encryption and other ways in ---
    tls_certificate: Path | None = file_or_none(
        "", "certificate to offer STARTTLS with, and those above it; empty: not offered"
    )
    tls_key: Path | None = file_or_none("", "its key; empty: in the same file")
    tls_names: tuple[tuple[str, Path, Path], ...] = setting(
        Rows(
            {
                "name": Values.Plain("a host name or *.domain", Addresses.certificate_name),
                "certificate": _FILE,
                "key": _FILE,
            },
            lambda rows: tuple((row[0], row[1], row[2]) for row in rows),
        ),
        "",
        "certificates for clients that ask for one of these names",
    )
    tls_port: int = number(
        0, 65_535, "0", "port on which connections begin encrypted; 0: there is none"
    )
    proxy_protocol_from: Networks = setting(
        _networks(Addresses.front_network),
        "",
        "load balancers that say by the PROXY protocol who their client is",
    )
    xclient_from: Networks = setting(
        _networks(Addresses.front_network),
        "",
        "servers before this one that may say by XCLIENT who their client is",
    )
    chunking: bool = switch("no", "offer CHUNKING (BDAT), which the real mail server gets as DATA")

    # --- who is greylisted ---
    allowed_senders: Networks = setting(
        Rows({"address": _ADDRESS}, lambda rows: Networks(map(ip_network, firsts(rows)))),
        "127.0.0.1\n::1",
        "clients that may send to anywhere, at once",
    )
    allowed_sender_nets: Networks = setting(
        _networks(Addresses.relaying_network),
        "",
        "networks whose clients may send to anywhere, at once",
    )
    allowed_domains: frozenset[str] = setting(
        Rows(
            {"domain": Values.Plain("a domain", Addresses.domain)},
            lambda rows: frozenset(firsts(rows)),
        ),
        "",
        "domains we take mail for; with a leading dot their subdomains too",
    )
    whitelisted_triples: tuple[TripleRule, ...] = setting(
        Rows(
            {"client": _CLIENT, "sender": _MAIL, "recipient": _MAIL},
            lambda rows: tuple(TripleRule(*row) for row in rows),
        ),
        "",
        "mail that is never deferred",
    )
    whitelisted_nonstandard_triples: tuple[HeloRule, ...] = setting(
        Rows(
            {"helo": _HELO, "client": _CLIENT, "recipient": _MAIL},
            lambda rows: tuple(HeloRule(*row) for row in rows),
        ),
        "",
        "the same for senders whose address changes with every mail",
    )

    # --- how ---
    greylist_mode: Mode = choice(Mode, "all", "whom greylisting is for")
    greylist_delay: int = seconds("30m", "a retry gets in when this time is over")
    worst_delay: int = seconds("4m", "the same for those that look worst, in mode suspicious")
    retry_window: int = seconds("5d", "a retry so long after that counts as a first try", _YEAR)
    pass_lifetime: int = seconds(
        "1d", "who got in stays known this long; each mail renews it", 10 * _YEAR, minimum=0
    )
    network_prefix4: int = number(0, 32, "32", "IPv4 clients that share this many bits are one")
    network_prefix6: int = number(0, 128, "128", "IPv6 clients that share this many bits are one")
    key_order: tuple[KeyKind, ...] = setting(
        Rows(
            {"kind": Values.Choice(KeyKind)}, lambda rows: tuple(firsts(rows)), may_be_empty=False
        ),
        "network",
        "what stands for a client when its retry is looked for; the first that there is",
    )
    normalise_senders: bool = switch(
        "no", "take senders that differ in a counter, a bounce id or an extension for one"
    )
    client_passes: int = number(
        0, 1000, "0", "a client so many of whose senders have passed is known; 0: never"
    )
    client_abuse: int = number(
        1, 100, "50", "but not if this share of what it sent, in percent, never came back"
    )
    never_whitelist: Networks = setting(
        _networks(Addresses.network), "", "clients that never become known as a whole"
    )
    greylist_only_for: tuple[str, ...] = setting(
        _RECIPIENTS, "", "the only recipients, or domains, whose mail is greylisted"
    )
    never_greylist_for: tuple[str, ...] = setting(
        _RECIPIENTS, "", "recipients, or domains, whose mail is never greylisted"
    )
    postgrey_whitelist_clients: tuple[Path, ...] = setting(
        _FILES, "", "files of postgrey: clients whose mail is never greylisted"
    )
    postgrey_whitelist_recipients: tuple[Path, ...] = setting(_FILES, "", "the same of recipients")
    suspicious_lists: tuple[tuple[str, Network], ...] = setting(
        _ZONES, "", "DNS lists of clients that look bad, in mode suspicious"
    )
    trusted_lists: tuple[tuple[str, Network], ...] = setting(
        _ZONES, "", "DNS lists of clients that are let in at once"
    )
    big_senders: tuple[str, ...] = setting(
        Rows(
            {"domain": Values.Plain("a domain", Addresses.domain)},
            lambda rows: tuple(firsts(rows)),
        ),
        "",
        "domains whose SPF records say which networks are let in at once",
    )
    big_senders_refresh: int = seconds("1d", "how often those records are asked for")
    big_senders_file: Path | None = file_or_none("", "where those networks are kept meanwhile")
    expect_file: Path | None = file_or_none("", "mail that somebody waits for: see --expect")
    noauth: bool = switch("no", "greylist clients that have logged in, too")
    nospf: bool = switch("no", "greylist mail that passes SPF, too")
    noaccessdb: bool = switch("no", "do not regard the access map of a Sendmail before us")
    testmode: bool = switch("no", "without a rule that matches, mail passes")
    dry_run: bool = switch("no", "log what would be done, and let all mail through")
    delayedreject: bool = switch("no", "defer bounces at the end of the message, not before")
    greylist_code: str = setting(
        One(Values.Plain("a code of three digits", Values.reply_code)),
        "451",
        "reply code of a deferral",
    )
    greylist_ecode: str = setting(
        One(Values.Plain("an enhanced code", Values.enhanced_code)),
        "4.7.1",
        "enhanced code of a deferral",
    )
    quiet: bool = switch("no", "do not say how long to wait")
    report: Report = choice(Report, "all", "which mail gets an X-Greylist header")
    before_decider: tuple[tuple[Path, str], ...] = setting(
        Rows(
            {
                "file": _FILE,
                "component": Values.Plain("a name in Python", Values.identifier),
            },
            lambda rows: tuple((row[0], row[1]) for row in rows),
        ),
        "",
        "components of your own that see each attempt before it is decided",
    )

    # --- look-ups ---
    resolvers: tuple[tuple[str, int], ...] = setting(
        Rows(
            {"address": _ADDRESS, "port": Values.integer(1, 65_535)},
            lambda rows: tuple((row[0], row[1]) for row in rows),
        ),
        "",
        "DNS servers to ask; empty: those of the system",
    )
    lookup_timeout: int = seconds("3s", "a look-up that takes longer has failed", 60)
    decision_timeout: int = seconds("10s", "all look-ups of a decision together", 240)
    lookup_failure: LookupFailure = choice(
        LookupFailure, "ignore", "what a rule means whose look-up failed"
    )

    # --- memory ---
    database: Path = setting(
        One(_FILE),
        "/var/lib/kamaelia-grey/greylist.sqlite3",
        "SQLite file that remembers who tried and who got in",
    )
    store_failure: FailMode = choice(
        FailMode, "accept", "what strangers get while the database fails"
    )
    sweep_interval: int = seconds("10m", "how often what has expired is removed")
    memory_records: int = number(
        1000, 100_000_000, "1000000", "records that are answered from memory"
    )
    new_per_network: int = number(
        0,
        1_000_000,
        "1000",
        "first tries an hour that are remembered of one network; 0: no limit",
    )
    dumpfile: Path | None = file_or_none("", "the records as text, as milter-greylist writes them")
    dumpfile_mode: int = setting(
        One(Values.Plain("a mode in octal", Values.file_mode)), "600", "who may read that file"
    )
    dumpfreq: int = seconds("10m", "how often it is written; 0: at each change", minimum=0)
    dump_at_end_only: bool = switch("no", "write it at the end only")
    dump_no_time_translation: bool = switch("no", "without the dates that a person can read")
    logexpired: bool = switch("no", "log what has expired")

    # --- limits ---
    message_size_limit: int = setting(
        One(Values.size(1 << 16, 1 << 31)), "50M", "largest message that is taken"
    )
    max_connections: int = number(1, 100_000, "1000", "connections served at the same time")
    max_client_connections: int = number(
        0, 100_000, "50", "of these, from one IPv4 address or one /64 of IPv6; 0: no limit"
    )
    client_rate: int = number(
        0, 100_000, "0", "new connections a minute from one such client; 0: no limit"
    )
    reserved_connections: int = number(
        0, 100_000, "0", "of max_connections, kept free for reserved_networks"
    )
    reserved_networks: Networks = setting(
        _networks(Addresses.network),
        "",
        "clients that have that reserve, and no limit of their own",
    )
    memory_limit: int = setting(
        One(Values.size(0, 1 << 40)), "0", "no new client while we use more than this; 0: no limit"
    )
    greet_pause: int = seconds(
        "0s", "wait this long with the greeting; who speaks before it is refused", 60, minimum=0
    )
    max_recipients: int = number(100, 50_000, "1000", "recipients of one message")
    inactivity_timeout: int = seconds("300", "a client silent for this long is hung up on")
    connect_timeout: int = seconds("30s", "the real mail server must be connected by then")
    backend_reply_timeout: int = seconds("5m", "it must answer a command by then")
    backend_final_timeout: int = seconds("9m30s", "it must answer a whole message by then")
    drain_timeout: int = seconds("30s", "open connections may end their mail at shutdown")

    # --- the process ---
    nodetach: bool = switch("no", "stay in the foreground, as -D does")
    workers: int = number(1, 64, "1", "processes that serve the port together")
    pid_file: Path | None = file_or_none("", "file with the number of the process; empty: none")
    user: str = text_or_none(
        "a user",
        Values.user_name,
        "",
        "user to become once the ports are open; empty: stay who we are",
    )

    # --- logs ---
    greylist_log: Path | None = file_or_none(
        "", "one line a decision; empty: to the log of the program"
    )
    greylist_debuglog: Path | None = file_or_none(
        "", "what the program does, in detail; empty: not written"
    )

    log_to: LogTo = choice(LogTo, "stderr", "where the log of the program goes")
    log_format: LogFormat = choice(LogFormat, "text", "what its lines look like")
    logfac: str = setting(
        One(Values.Plain("a facility of syslog, or none", Values.log_facility)),
        "mail",
        "facility of the lines that go to syslog",
    )
    verbose: bool = switch("no", "log in detail")

    # --- what the access rules say, and what they use (see Config/Policy) ---
    access_rules: tuple[Rule, ...] = field(default=(), hash=False)
    definitions: Definitions = field(default_factory=Definitions, hash=False)

    @property
    def listens(self) -> tuple[str, ...]:
        """The addresses on which the proxy takes mail; none if a mail server is before us, and
        nothing is said of a proxy."""
        others = self.socket is not None or self.policy_socket is not None
        return self.listen or (() if others else ("0.0.0.0",))  # noqa: S104 - it is for everybody


# Every setting by name, in the order of Config.
SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {made.name: Setting(made.name, **made.metadata) for made in fields(Config) if made.metadata}
)
