"""--from-postgrey: a greylist.conf that does what postgrey's options said."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config.Loader import Config, ConfigError, loads
from Kamaelia.Apps.Grey.Core.Modes import LogTo, Mode, Report
from Kamaelia.Apps.Grey.Core.Types import FailMode
from Kamaelia.Apps.Grey.Options.Postgrey import BadOptionsError, from_postgrey, show

DOOR = "--inet=10023"
DAY = 86_400


def text_of(*options: str, there: tuple[str, ...] = ()) -> str:
    return from_postgrey(options, hostname="mx.example.org", exists=lambda path: str(path) in there)


def meaning(*options: str) -> Config:
    return loads(text_of(DOOR, *options))


def comments(*options: str) -> str:
    lines = text_of(DOOR, *options).splitlines()
    return "\n".join(line for line in lines[3:] if line.startswith("#"))


def test_postgreys_defaults_become_settings() -> None:
    config = meaning()
    assert str(config.policy_socket) == "inet:10023@127.0.0.1"
    assert config.listens == ()  # no proxy beside it
    assert (config.greylist_delay, config.greylist_mode) == (300, Mode.ALL)
    assert config.greylist_delay + config.retry_window == 2 * DAY
    assert config.pass_lifetime == 35 * DAY
    assert (config.network_prefix4, config.network_prefix6) == (24, 64)
    assert (config.client_passes, config.client_abuse, config.normalise_senders) == (5, 100, True)
    assert (config.noauth, config.nospf, len(config.allowed_senders)) == (True, True, 0)
    assert (config.user, config.servername) == ("postgrey:postgrey", "mx.example.org")
    assert config.database == Path("/var/lib/postgrey/kamaelia-grey.sqlite3")
    assert (config.nodetach, config.log_to, config.logfac) == (True, LogTo.STDERR, "mail")
    assert (config.store_failure, config.report) == (FailMode.DEFER, Report.DELAYS)
    assert config.new_per_network == 0
    assert config.access_rules == ()


@pytest.mark.parametrize(
    ("options", "socket"),
    [
        (["--inet=127.0.0.2:7"], "inet:7@127.0.0.2"),
        (["--inet=[::1]:7"], "inet6:7@::1"),
        (["--inet=::1:7"], "inet6:7@::1"),
        (["--inet=localhost:7"], "inet:7@127.0.0.1"),
        (["--inet=*:7"], "inet6:7@::"),
        (["--inet=0:7"], "inet:7@0.0.0.0"),
        (["-i", "7"], "inet:7@127.0.0.1"),
        (["--inet", "7"], "inet:7@127.0.0.1"),
        (["--inet=7", "--inet=8"], "inet:8@127.0.0.1"),
        (["--inet=7", "--unix=/run/p"], "inet:7@127.0.0.1"),
        (["--unix=/run/p"], "unix:/run/p"),
        (["-u", "/run/p"], "unix:/run/p"),
        (["--inet=7", "--", "--inet=8"], "inet:7@127.0.0.1"),
    ],
)
def test_the_door_is_where_postgreys_was(options: list[str], socket: str) -> None:
    assert str(loads(text_of(*options)).policy_socket) == socket


def test_a_socket_has_its_mode() -> None:
    assert loads(text_of("--unix=/run/p")).policy_socket_mode == 0o666
    assert loads(text_of("--unix=/run/p", "--socketmode=0660")).policy_socket_mode == 0o660
    assert "--socketmode=rw: no counterpart" in text_of("--unix=/run/p", "--socketmode=rw")


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        (["--delay=60"], "greylist_delay", 60),
        (["--delay", "60"], "greylist_delay", 60),
        (["--delay=+60"], "greylist_delay", 60),
        (["--delay=10", "--delay=20"], "greylist_delay", 20),
        (["--delay=0"], "greylist_delay", 300),
        (["--delay=9999999"], "greylist_delay", 604_800),
        (["--delay=-5"], "greylist_mode", Mode.OFF),
        (["--max-age=60"], "pass_lifetime", 60 * DAY),
        (["--max-age=0"], "pass_lifetime", 35 * DAY),
        (["--max-age=-1"], "pass_lifetime", DAY),
        (["--retry-window=6h"], "retry_window", 6 * 3600 - 300),
        (["--retry-window=6H"], "retry_window", 6 * 3600 - 300),
        (["--retry-window=4", "--delay=60"], "retry_window", 4 * DAY - 60),
        (["--retry-window=9999"], "retry_window", 52 * 7 * DAY),
        (["--retry-window=0"], "retry_window", 2 * DAY),
        (["--ipv4cidr=16"], "network_prefix4", 16),
        (["--ipv6cidr=48"], "network_prefix6", 48),
        (["--ipv4cidr=0"], "network_prefix4", 24),
        (["--lookup-by-host"], "network_prefix4", 32),
        (["--lookup-by-host", "--lookup-by-subnet", "--ipv6cidr=9"], "network_prefix6", 128),
        (["--lookup-by-subnet"], "network_prefix4", 24),
        (["--auto-whitelist-clients"], "client_passes", 5),
        (["--auto-whitelist-clients", "--delay=1"], "client_passes", 5),
        (["--auto-whitelist-clients", "7"], "client_passes", 7),
        (["--auto-whitelist-clients=1"], "client_passes", 1),
        (["--auto-whitelist-clients=0"], "client_passes", 0),
        (["--auto-whitelist-clients="], "client_passes", 0),
        (["--auto-whitelist-clients=9999"], "client_passes", 1000),
        (["--user=mail", "--group=adm"], "user", "mail:adm"),
        (["--pidfile=/run/p.pid"], "pid_file", Path("/run/p.pid")),
        (["--dbdir=/srv/my grey/"], "database", Path("/srv/my grey/kamaelia-grey.sqlite3")),
        (["-d"], "nodetach", False),
        (["--daemonize"], "log_to", LogTo.SYSLOG),
        (["--syslog-facility=local3"], "logfac", "local3"),
        (["-v"], "verbose", True),
        (["--hostname=mx2.example.org"], "servername", "mx2.example.org"),
    ],
)
def test_an_option_becomes_a_setting(options: list[str], name: str, value: object) -> None:
    assert getattr(meaning(*options), name) == value


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--privacy"], "--privacy: no counterpart"),
        (["--exim"], "--exim: no counterpart"),
        (["--quiet"], "`quiet` here is another thing"),
        (["-q"], "--quiet: no counterpart"),
        (["--listen-queue-size=5"], "--listen-queue-size: no counterpart"),
        (["--greylist-action=451"], "--greylist-action=451: no counterpart"),
        (["--x-greylist-header=X-G: %t"], "--x-greylist-header=X-G: %t: no counterpart"),
        (["--unix=/run/p"], "--unix=/run/p: postgrey takes --inet"),
        (["--hostname=a b"], "--hostname=a b: no counterpart"),
        (["--user=a b"], "--user=a b:postgrey: no counterpart"),
        (["--syslog-facility=odd"], "--syslog-facility=odd: no counterpart"),
        (["--pidfile=/run/"], "--pidfile=/run/: no counterpart"),
        (["--pidfile=/run/\x1b"], "--pidfile=/run/?: no counterpart"),
        (["--greylist-text=a\nb"], "--greylist-text=a?b: no counterpart"),
        (["--delay=9999999"], "--delay=9999999: up to 1w"),
        (["--delay=-1"], "--delay=-1: nobody waits"),
        (["--max-age=-1"], "--max-age=-1: from 1 day"),
        (["--retry-window=1h", "--delay=7200"], "postgrey lets nobody in"),
        (["--retry-window=9999"], "--retry-window: up to 52w"),
        (["--auto-whitelist-clients=9999"], "up to 1000 here"),
        ([], "Without --greylist-text"),
        ([], "/etc/postgrey/whitelist_clients.local is not there"),
    ],
)
def test_what_has_no_counterpart_is_said(options: list[str], said: str) -> None:
    assert said in comments(*options)
    meaning(*options)


def test_the_action_that_there_is_is_not_spoken_of() -> None:
    assert "greylist-action" not in comments("--greylist-action=defer_if_permit")


def test_the_text_becomes_a_rule() -> None:
    (rule,) = meaning('--greylist-text=Wait "%s" s for %r, 100% \\ #x').access_rules
    assert rule.extras.msg == 'Wait "%Rt" s for %sr, 100%% \\ #x'
    assert rule.is_default


def test_the_usual_lists_are_read_if_they_are_there(tmp_path: Path) -> None:
    usual = "/etc/postgrey/whitelist_clients"
    text = text_of(DOOR, there=(usual, f"{usual}.local"))
    assert f"postgrey_whitelist_clients:\n    {usual}\n    {usual}.local\n" in text
    assert "\npostgrey_whitelist_recipients =\n" in text
    one, two = str(tmp_path / "one"), str(tmp_path / "two #2")
    named = (f"--whitelist-clients={one}", "--whitelist-clients", two, f"--whitelist-clients={one}")
    text = text_of(DOOR, *named, there=(usual, one, two))
    assert f'postgrey_whitelist_clients:\n    {one}\n    "{two}"\n' in text
    assert usual not in text
    for path in (one, two):
        Path(path).write_text("example.net\n", encoding="ascii")
    assert loads(text).postgrey_whitelist_clients == (Path(one), Path(two))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--delay=60"], "must be there"),
        ([DOOR, "--nosuch"], "no option of postgrey"),
        ([DOOR, "--del=60"], "no option of postgrey"),
        ([DOOR, "-qv"], "no option of postgrey"),
        ([DOOR, "--help"], "manual page"),
        ([DOOR, "--version"], "manual page"),
        ([DOOR, "--delay=5m"], "no number"),
        ([DOOR, "--delay"], "takes a value"),
        ([DOOR, "--delay="], "takes a value"),
        ([DOOR, "--pidfile", "--quiet"], "takes a value"),
        ([DOOR, "--quiet=1"], "takes no value"),
        ([DOOR, "--retry-window=3d"], "write days, or hours"),
        ([DOOR, "--auto-whitelist-clients=abc"], "write a number"),
        ([DOOR, "--ipv4cidr=40"], "from 0 to 32"),
        ([DOOR, "--ipv6cidr=-1"], "from 0 to 128"),
        (["--inet=mx.example.org:7"], "write it in numbers"),
        (["--inet=99999"], "from 1 to 65535"),
        (["--inet=smtp"], "--inet=smtp"),
        (["--unix=run/p"], "--unix"),
    ],
)
def test_what_postgrey_would_refuse_is_refused(options: list[str], said: str) -> None:
    with pytest.raises(BadOptionsError, match=said):
        text_of(*options)


# --- Debian's file ---


def debians(folder: Path, text: str) -> str:
    path = folder / "postgrey"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_debians_file_is_read(tmp_path: Path) -> None:
    path = debians(
        tmp_path,
        '# comment\nPOSTGREY_OPTS="--inet=10024 --delay=60"  # here\n'
        'POSTGREY_OPTS="$POSTGREY_OPTS --max-age=7 /no/file"\n'
        '#POSTGREY_TEXT="no"\nPOSTGREY_TEXT="Come back, please"\n',
    )
    config = loads(text_of(path))
    assert str(config.policy_socket) == "inet:10024@127.0.0.1"
    assert (config.greylist_delay, config.pass_lifetime) == (60, 7 * DAY)
    assert config.access_rules[0].extras.msg == "Come back, please"
    assert (config.nodetach, config.pid_file) == (False, Path("/var/run/postgrey.pid"))
    assert loads(text_of(path, "--delay=90")).greylist_delay == 90


@pytest.mark.parametrize("text", ["# nothing\n", 'POSTGREY_OPTS="--inet=1\n'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadOptionsError, match="postgrey"):
        text_of(debians(tmp_path, text))


def test_without_a_word_debians_file_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(debians(tmp_path, "POSTGREY_OPTS=--inet=7"))
    monkeypatch.setattr("Kamaelia.Apps.Grey.Options.Postgrey.DEFAULTS_FILE", path)
    assert str(loads(text_of()).policy_socket) == "inet:7@127.0.0.1"


# --- as a command ---


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert show([DOOR, "--whitelist-clients=/no/file"]) == os.EX_OK
    printed = capsys.readouterr()
    assert "policy_socket = inet:10023@127.0.0.1\n" in printed.out
    assert printed.err == ""


def test_what_is_wrong_is_said_and_nothing_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert show(["--nosuch"]) == os.EX_USAGE
    assert show([str(tmp_path / "away")]) == os.EX_OSERR
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "'--nosuch' is no option of postgrey" in printed.err
    assert "away" in printed.err


_WORDS = st.sampled_from(
    [
        *("--delay", "60", "--delay=-3", "--delay=0", "--max-age=1", "--retry-window=2h", "-d"),
        *(
            "--inet=7",
            "--unix=/run/\u00e9\u200b",
            '--dbdir=/a\\b"c #',
            "--user=\n",
            "--pidfile=x=y",
        ),
        *('--greylist-text=%s%%r"\\', "--hostname=-", "--auto-whitelist-clients", "3", "-q"),
        *("--lookup-by-host", "--ipv4cidr=0", "--socketmode=7", "--whitelist-clients=/\x85#"),
    ]
)


@settings(max_examples=50)
@given(st.lists(_WORDS, max_size=6))
def test_whatever_comes_out_can_be_loaded(options: list[str]) -> None:
    try:
        text = from_postgrey([DOOR, *options], hostname="mx", exists=lambda _: False)
    except (BadOptionsError, OSError):
        return
    try:
        loads(text)
    except ConfigError as error:
        raise AssertionError(text) from error
