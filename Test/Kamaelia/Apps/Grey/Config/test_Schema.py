"""Schema: the table, the defaults, and that the shipped file and the manual agree with them."""

import copy
import inspect
import re
from dataclasses import FrozenInstanceError, fields, replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Loader import ConfigError, load, loads
from Kamaelia.Apps.Grey.Config.Schema import SETTINGS, Config
from Kamaelia.Apps.Grey.Config.Setting import One, Rows, Setting
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
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
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Types import FailMode, Policy
from Kamaelia.Apps.Grey.FrontDoor.Admission import AdmissionRules
from Kamaelia.Apps.Grey.FrontDoor.MilterDoor import MilterDoor
from Kamaelia.Apps.Grey.FrontDoor.VerifyCache import VerifyCache

ROOT = Path(__file__).parents[5]
DIST = ROOT / "Config" / "greylist.conf.dist"
MANUAL = ROOT / "Docs" / "operating" / "greylist.conf.md"

# The original's settings, which its users' files have.
ORIGINAL = {
    "port",
    "servername",
    "serverid",
    "smtp_ip",
    "smtp_port",
    "inactivity_timeout",
    "greylist_log",
    "greylist_debuglog",
    "allowed_senders",
    "allowed_sender_nets",
    "allowed_domains",
    "whitelisted_triples",
    "whitelisted_nonstandard_triples",
}

# Written out a second time on purpose: a default does not change by accident.
DEFAULTS = {
    "listen": (),
    "port": 25,
    "servername": "localhost",
    "serverid": "Kamaelia Grey",
    "smtp_ip": "127.0.0.1",
    "smtp_port": 8025,
    "backends": (),
    "backend_protocol": ServerProtocol.SMTP,
    "backend_tls": ServerTLS.OFF,
    "backend_tls_ca": None,
    "backend_tls_name": "",
    "client_info": ClientInfo.NONE,
    "relay_check": True,
    "verify_recipients": Verify.NEW,
    "verify_found_lifetime": 3600,
    "verify_unknown_lifetime": 600,
    "backend_connections_kept": 32,
    "socket": None,
    "socket_mode": 0o660,
    "socket_owner": "",
    "milter_patience": 8,
    "policy_socket": None,
    "policy_socket_mode": 0o660,
    "policy_socket_owner": "",
    "peers": (),
    "syncaddr": ("*", 5252),
    "syncsrcaddr": "*",
    "syncmaxqlen": 1024,
    "tls_certificate": None,
    "tls_key": None,
    "tls_names": (),
    "tls_port": 0,
    "proxy_protocol_from": Networks(),
    "xclient_from": Networks(),
    "chunking": False,
    "allowed_senders": Networks([ip_network("127.0.0.1/32"), ip_network("::1/128")]),
    "allowed_sender_nets": Networks(),
    "allowed_domains": frozenset(),
    "whitelisted_triples": (),
    "whitelisted_nonstandard_triples": (),
    # Where milter-greylist has the setting, its manual page has the default.
    "greylist_mode": Mode.ALL,
    "greylist_delay": 30 * 60,
    "worst_delay": 240,
    "retry_window": 5 * 24 * 3600,
    "pass_lifetime": 24 * 3600,
    "network_prefix4": 32,
    "network_prefix6": 128,
    "key_order": (KeyKind.NETWORK,),
    "normalise_senders": False,
    "client_passes": 0,
    "client_abuse": 50,
    "never_whitelist": Networks(),
    "greylist_only_for": (),
    "never_greylist_for": (),
    "postgrey_whitelist_clients": (),
    "postgrey_whitelist_recipients": (),
    "suspicious_lists": (),
    "trusted_lists": (),
    "big_senders": (),
    "big_senders_refresh": 24 * 3600,
    "big_senders_file": None,
    "expect_file": None,
    "noauth": False,
    "nospf": False,
    "noaccessdb": False,
    "testmode": False,
    "dry_run": False,
    "delayedreject": False,
    "greylist_code": "451",
    "greylist_ecode": "4.7.1",
    "quiet": False,
    "report": Report.ALL,
    "before_decider": (),
    "resolvers": (),
    "lookup_timeout": 3,
    "decision_timeout": 10,
    "lookup_failure": LookupFailure.IGNORE,
    "database": Path("/var/lib/kamaelia-grey/greylist.sqlite3"),
    "store_failure": FailMode.ACCEPT,
    "sweep_interval": 600,
    "memory_records": 1_000_000,
    "new_per_network": 1000,
    "dumpfile": None,
    "dumpfile_mode": 0o600,
    "dumpfreq": 600,
    "dump_at_end_only": False,
    "dump_no_time_translation": False,
    "logexpired": False,
    "message_size_limit": 50 * 1024 * 1024,
    "max_connections": 1000,
    "max_client_connections": 50,
    "client_rate": 0,
    "reserved_connections": 0,
    "reserved_networks": Networks(),
    "memory_limit": 0,
    "greet_pause": 0,
    "max_recipients": 1000,
    "inactivity_timeout": 300,
    "connect_timeout": 30,
    "backend_reply_timeout": 300,
    "backend_final_timeout": 570,
    "drain_timeout": 30,
    "nodetach": False,
    "workers": 1,
    "pid_file": None,
    "user": "",
    "greylist_log": None,
    "greylist_debuglog": None,
    "log_to": LogTo.STDERR,
    "log_format": LogFormat.TEXT,
    "logfac": "mail",
    "verbose": False,
    "access_rules": (),
    "definitions": Definitions(),
}


def test_the_defaults_are_these() -> None:
    config = Config()
    assert {field.name: getattr(config, field.name) for field in fields(config)} == DEFAULTS


def test_other_defaults_of_the_policy_are_the_same() -> None:
    config, policy = Config(), Policy()
    assert config.store_failure is policy.store_failure
    assert config.noauth is policy.greylist_authenticated
    assert config.new_per_network == policy.new_per_network


def test_the_defaults_of_the_parts_are_the_same() -> None:
    config, rules, cache = Config(), AdmissionRules(), inspect.signature(VerifyCache)
    assert config.max_connections == rules.max_connections
    assert config.max_client_connections == rules.per_client
    assert (config.client_rate, config.memory_limit) == (rules.per_client_rate, rules.memory_limit)
    assert config.verify_found_lifetime == cache.parameters["found_seconds"].default
    assert config.verify_unknown_lifetime == cache.parameters["unknown_seconds"].default
    assert config.milter_patience == inspect.signature(MilterDoor).parameters["patience"].default


def test_the_original_settings_are_all_there() -> None:
    assert set(SETTINGS) >= ORIGINAL


def test_the_table_has_a_row_for_every_field() -> None:
    names = [field.name for field in fields(Config)]
    assert list(SETTINGS) == [n for n in names if n not in ("access_rules", "definitions")]
    for setting in SETTINGS.values():
        assert setting.reason == setting.reason.strip(" .")
        assert "\n" not in setting.reason


def test_a_config_is_frozen_and_can_be_compared_and_copied() -> None:
    config = Config()
    with pytest.raises(FrozenInstanceError):
        config.port = 26  # type: ignore[misc]
    assert config == Config()
    assert hash(config) == hash(Config())
    assert copy.deepcopy(config) == config
    assert replace(config, port=26).port == 26


def test_shapes_say_what_they_take() -> None:
    assert str(SETTINGS["greylist_log"].shape) == "a file, or empty"
    assert str(SETTINGS["allowed_domains"].shape) == "list of: domain"
    assert str(SETTINGS["whitelisted_triples"].shape) == "lines of: client sender recipient"


# --- Config/greylist.conf.dist ------------------------------------------------------------


def uncommented(text: str) -> str:
    """The shipped file with its settings switched on: `#name` and, below it, `#    row`."""
    text = re.sub(r"^#(?=[a-z]\w* ?[=:])", "", text, flags=re.MULTILINE)
    return re.sub(r"^#(?=    \S)", "", text, flags=re.MULTILINE)


# What the shipped file sets: the modern values, where the defaults are those of the manual page.
RECOMMENDED = {
    "greylist_mode": "suspicious",
    "greylist_delay": "60s",
    "retry_window": "24h",
    "pass_lifetime": "36d",
    "network_prefix4": "24",
    "network_prefix6": "64",
    "key_order": "spf\nname\nnetwork",
    "normalise_senders": "yes",
    "client_passes": "5",
    "nospf": "yes",
}


def as_written(setting: Setting) -> str:
    """A setting at its default, or at what is recommended, as the shipped file has it."""
    off = "" if setting.name in RECOMMENDED else "#"
    value = RECOMMENDED.get(setting.name, setting.default)
    if isinstance(setting.shape, One) or not value:
        return f"{off}{setting.name} = {value}".rstrip()
    rows = "".join(f"\n{off}    {row}" for row in value.splitlines())
    return f"{off}{setting.name}:{rows}"


def recommended() -> Config:
    values = {n: SETTINGS[n].shape.default(text) for n, text in RECOMMENDED.items()}
    return replace(Config(), **values)


def test_the_shipped_file_loads_and_sets_what_is_recommended() -> None:
    assert load(DIST) == recommended()


def test_the_shipped_file_with_every_setting_switched_on_sets_no_more() -> None:
    text = uncommented(DIST.read_text(encoding="utf-8"))
    assert re.findall(r"^([a-z]\w*) ?[=:]", text, re.MULTILINE) == list(SETTINGS)
    assert loads(text) == recommended()


@pytest.mark.parametrize("name", RECOMMENDED)
def test_what_is_recommended_is_not_the_default_which_is_said(name: str) -> None:
    (paragraph,) = [
        p
        for p in DIST.read_text(encoding="utf-8").split("\n\n")
        if re.search(rf"^{name} ?[=:]", p, re.MULTILINE)
    ]
    assert f"Without this line: {SETTINGS[name].default}." in paragraph


def test_the_shipped_file_has_no_line_that_a_terminal_cuts() -> None:
    assert max(map(len, DIST.read_text(encoding="utf-8").splitlines())) <= 100


@pytest.mark.parametrize("name", SETTINGS)
def test_the_shipped_file_has_the_setting_its_default_and_its_reason(name: str) -> None:
    setting = SETTINGS[name]
    paragraphs = DIST.read_text(encoding="utf-8").split("\n\n")
    (paragraph,) = [p for p in paragraphs if re.search(rf"^#?{name} ?[=:]", p, re.MULTILINE)]
    assert paragraph.rstrip("\n").endswith(as_written(setting))
    prose = re.sub(r"\s*\n# *", " ", paragraph)
    assert setting.reason.lower() in prose.lower()


def test_the_examples_in_the_shipped_file_load(tmp_path: Path) -> None:
    for name in ("whitelist_clients", "whitelist_recipients"):  # postgrey need not be here
        (tmp_path / name).touch()
    text = DIST.read_text(encoding="utf-8")
    examples = re.findall(r"(?:^#  \| .*\n)+", text, re.MULTILINE)
    assert len(examples) >= 4
    for example in examples:
        lines = example.replace("#  | ", "").replace("/etc/postgrey", str(tmp_path))
        assert loads(lines) != Config()


# --- Docs/operating/greylist.conf.md ------------------------------------------------------


def table_row(setting: Setting) -> str:
    """A setting as the manual has it."""
    default = " ".join(f"`{line}`" for line in setting.default.splitlines()) or "(empty)"
    return f"| `{setting.name}` | {setting.shape} | {default} | {setting.reason} |"


def test_the_manual_has_every_setting_in_the_order_of_the_table() -> None:
    manual = MANUAL.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `.*$", manual, re.MULTILINE)
    assert rows == [table_row(setting) for setting in SETTINGS.values()]


def test_every_sample_in_the_manual_loads_and_changes_something() -> None:
    samples = re.findall(
        r"^```conf\n(.*?)^```$", MANUAL.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(samples) >= 7
    for sample in samples:
        assert loads(sample) != Config()


def test_the_mistakes_in_the_manual_are_what_one_sees() -> None:
    (shown,) = re.findall(
        r"^```text\n(.*?)^```$", MANUAL.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    text = "\n\nport = 99999\n\n\n\nalowed_domains:\n    example.org\n"
    with pytest.raises(ConfigError) as raised:
        loads(text, "/etc/greylist.conf")
    assert f"{raised.value}\n" == shown


def test_every_shape_is_one_of_two() -> None:
    assert {type(setting.shape) for setting in SETTINGS.values()} == {One, Rows}
