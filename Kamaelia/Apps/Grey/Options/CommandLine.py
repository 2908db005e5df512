"""
The command line of kamaelia-grey
=================================
The letters are those of milter-greylist 3.0 and 4.6, so that its start scripts go on working; each
has a long name, and most have a twin in greylist.conf, which they beat. What milter-greylist does
not have (``--reload``, ``--explain`` and the like) has a long name only, but for ``-R``.

Example Usage
-------------
>>> command = parse(["-f", "/etc/greylist.conf", "-L", "24", "-w", "5m"])
>>> command.task, command.file
(<Task.START: 'start'>, PosixPath('/etc/greylist.conf'))
>>> command.overrides.values
(('network_prefix4', 24), ('greylist_delay', 300))

Rules
-----
* Whatever is wrong with the command line is usage: said on standard error, exit code 64. So is -h,
  which was always so; ``--help`` is an answer, on standard output with 0.
* A value is read by the kind of the setting that it stands for: ``-L abc`` is no number here, and
  ``-L 33`` no prefix. (milter-greylist takes the first for 0, and all clients for one.)
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

from Kamaelia.Apps.Grey.Config.Schema import SETTINGS
from Kamaelia.Apps.Grey.Config.Setting import One
from Kamaelia.Apps.Grey.Config.Sockets import place
from Kamaelia.Apps.Grey.Config.Values import BadValueError, duration, user_name
from Kamaelia.Apps.Grey.Importers.Importing import KINDS
from Kamaelia.Apps.Grey.Options.Overrides import Overrides

EXPECT_SECONDS = 15 * 60
ONCE_SECONDS = 24 * 3600  # for --once without --for: who is waited for at all, comes in a day
_LONGEST_WORD = 1000


class Task(Enum):
    """What the program is to do."""

    START = "start"
    CHECK = "check"
    RELOAD = "reload"
    VERSION = "version"
    EXPECT = "expect"
    IMPORT = "import"
    BIG_SENDERS = "big senders"
    EXPLAIN = "explain"


@dataclass(frozen=True, slots=True)
class Command:
    """What the command line says. `words` are the operands of the task: a recipient; kind and path;
    client, sender and recipient. `seconds` and `once` belong to EXPECT, `helo` to EXPLAIN."""

    task: Task = Task.START
    file: Path | None = None
    foreground: bool = False
    strict: bool = False
    log_rules: bool = False
    overrides: Overrides = Overrides()  # noqa: RUF009 - frozen
    words: tuple[str, ...] = ()
    seconds: int = EXPECT_SECONDS
    once: bool = False
    helo: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """An option and the setting that means the same. field: of Config. twin: as milter-greylist's
    greylist.conf has it. metavar "": it takes no value and switches the setting on."""

    letter: str
    name: str
    field: str
    twin: str
    metavar: str
    help: str


OPTIONS = (
    Option("A", "noauth", "noauth", "noauth", "", "greylist clients that have logged in, too"),
    Option("a", "autowhite", "pass_lifetime", "autowhite", "TIME", "how long a pass lasts; 0: not"),
    Option("d", "dumpfile", "dumpfile", "dumpfile", "FILE", "the records as text"),
    Option(
        "L", "subnetmatch", "network_prefix4", "subnetmatch", "0..32", "IPv4 prefix of one client"
    ),
    Option("M", "subnetmatch6", "network_prefix6", "subnetmatch6", "0..128", "the same of IPv6"),
    Option("P", "pidfile", "pid_file", "pidfile", "FILE", "file with the number of the process"),
    Option("p", "socket", "socket", "socket", "SOCKET", "socket of the milter protocol"),
    Option("q", "quiet", "quiet", "quiet", "", "do not say how long to wait"),
    Option("S", "nospf", "nospf", "nospf", "", "greylist mail that passes SPF, too"),
    Option("T", "testmode", "testmode", "testmode", "", "mail passes unless a rule says otherwise"),
    Option("u", "user", "user", "user", "USER[:GROUP]", "become this user; takes root"),
    Option("v", "verbose", "verbose", "verbose", "", "log in detail"),
    Option(
        "w", "greylist", "greylist_delay", "greylist", "TIME", "a retry gets in after this time"
    ),
)


def parse(arguments: Sequence[str] | None = None) -> Command:
    """Read the command line (None: of this process). Raises SystemExit, after it has been said
    why."""
    parser = _parser()
    found = parser.parse_args(arguments)
    if found.from_postgrey is not None:
        parser.error("--from-postgrey must be the first word")
    task, words = _task(found)
    _refuse_strays(parser, found, task)
    values = tuple(
        (option.field, getattr(found, option.field))
        for option in OPTIONS
        if getattr(found, option.field) is not None
    )
    return Command(
        task=task,
        file=None if found.file is None else Path(found.file),
        foreground=found.foreground,
        strict=found.strict,
        log_rules=found.log_rules,
        overrides=Overrides(values),
        words=words,
        seconds=found.seconds or (ONCE_SECONDS if found.once else EXPECT_SECONDS),
        once=found.once,
        helo=found.helo or "",
    )


class _Parser(argparse.ArgumentParser):
    """Wrong usage ends with the code of sysexits.h, not with argparse's own."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


class _Usage(argparse.Action):
    """-h: all of it, on standard error, with 64."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        parser.print_help(sys.stderr)
        parser.exit(os.EX_USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="kamaelia-grey",
        description="Greylisting SMTP proxy: strangers are asked to come back, friends get in.",
        epilog="Without -f the configuration is looked for in /usr/local/etc/Kamaelia, "
        "/usr/local/etc, /etc/Kamaelia, /etc and here, as greylist.conf and greylist.conf.dist.",
        add_help=False,
        allow_abbrev=False,
    )
    _add_settings(parser)
    _add_tasks(parser)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-h", action=_Usage, nargs=0, help="this text, as an error")
    parser.add_argument("--help", action="help", help="this text")
    parser.add_argument(
        *("-D", "--nodetach"), dest="foreground", action="store_true", help="stay in the foreground"
    )
    parser.add_argument("-f", "--file", metavar="FILE", help="configuration file")
    parser.add_argument(
        *("-l", "--log-rules"), action="store_true", help="log the access rules and their matching"
    )
    group = parser.add_argument_group("options that beat the file")
    for option in OPTIONS:
        names = (f"-{option.letter}", f"--{option.name}")
        if option.metavar:
            group.add_argument(
                *names,
                dest=option.field,
                metavar=option.metavar,
                type=_READERS.get(option.field) or _reader(option.field),
                help=option.help,
            )
        else:
            group.add_argument(
                *names, dest=option.field, action="store_const", const=True, help=option.help
            )


def _add_tasks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("instead of taking mail")
    what = group.add_mutually_exclusive_group()
    what.add_argument(
        *("-c", "--check"), action="store_true", help="check the file and what it names"
    )
    what.add_argument(
        *("-R", "--reload"), action="store_true", help="check the file, have the program read it"
    )
    what.add_argument("-r", "--version", action="store_true", help="the version, and of what else")
    what.add_argument(
        "--expect", metavar="RECIPIENT", type=_recipient, help="let mail in that is waited for"
    )
    what.add_argument(
        *("--import",),
        dest="import_",
        nargs=2,
        metavar=("KIND", "PATH"),
        help=f"take over the records of another greylister: {', '.join(KINDS)}",
    )
    what.add_argument(
        "--from-postgrey",
        nargs=argparse.REMAINDER,
        metavar="OPTION",
        help="as the first word: a greylist.conf that does what postgrey does with these",
    )
    what.add_argument(
        "--big-senders", action="store_true", help="the networks of big_senders, and their age"
    )
    what.add_argument(
        "--explain",
        nargs=3,
        type=_word,
        metavar=("CLIENT", "SENDER", "RECIPIENT"),
        help="what would be decided, and why",
    )
    group.add_argument("--strict", action="store_true", help="with -c: as milter-greylist reads it")
    group.add_argument(
        "--for",
        dest="seconds",
        metavar="TIME",
        type=_kind(duration(1, 30 * 86_400)),
        help="with --expect: for how long",
    )
    group.add_argument("--once", action="store_true", help="with --expect: for one mail")
    group.add_argument("--helo", metavar="NAME", type=_word, help="with --explain: its HELO name")


def _task(found: argparse.Namespace) -> tuple[Task, tuple[str, ...]]:
    if found.expect is not None:
        return Task.EXPECT, (found.expect,)
    if found.import_ is not None:
        return Task.IMPORT, tuple(found.import_)
    if found.explain is not None:
        return Task.EXPLAIN, tuple(found.explain)
    for task, is_it in (
        (Task.CHECK, found.check),
        (Task.RELOAD, found.reload),
        (Task.VERSION, found.version),
        (Task.BIG_SENDERS, found.big_senders),
    ):
        if is_it:
            return task, ()
    return Task.START, ()


def _refuse_strays(parser: argparse.ArgumentParser, found: argparse.Namespace, task: Task) -> None:
    """An option that says nothing to this task was meant for another."""
    for is_there, name, belongs_to in (
        (found.strict, "--strict", Task.CHECK),
        (found.seconds is not None, "--for", Task.EXPECT),
        (found.once, "--once", Task.EXPECT),
        (found.helo is not None, "--helo", Task.EXPLAIN),
    ):
        if is_there and task is not belongs_to:
            what = "-c" if belongs_to is Task.CHECK else f"--{belongs_to.value}"
            parser.error(f"{name} goes with {what} only")
    if found.import_ is not None and found.import_[0] not in KINDS:
        parser.error(f"argument --import: KIND is one of {', '.join(KINDS)}")


# ---- values


def _kind(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """A kind of value as argparse wants it: what it complains of is said."""

    def read(text: str) -> Any:  # noqa: ANN401 - of the kind
        try:
            return kind(text)
        except BadValueError as error:
            cure = f": {error.cure}" if error.cure else ""
            raise argparse.ArgumentTypeError(f"{error}{cure}") from error

    return read


def _reader(field: str) -> Callable[[str], Any]:
    shape = SETTINGS[field].shape
    assert isinstance(shape, One)  # noqa: S101 - of a table in this module
    return _kind(shape.kind)


def _path(text: str) -> Path:
    # Later the program may be in another folder.
    if not text or text.endswith("/"):
        raise BadValueError(f"{text!r} is not the name of a file")
    return Path.cwd() / text


def _user(text: str) -> str:
    name, colon, group = text.partition(":")
    if colon:
        user_name(group)
    return user_name(name) + colon + group


def _word(text: str) -> str:
    if len(text) > _LONGEST_WORD or not text.isprintable():
        raise argparse.ArgumentTypeError("that is too long, or cannot be printed")
    return text


def _recipient(text: str) -> str:
    text = _word(text).strip("<>")
    _, at, domain = text.rpartition("@")
    if not (at and domain) or " " in text:  # without a local part: the whole domain
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is no mail address")
    return text


_READERS: dict[str, Callable[[str], Any]] = {
    "dumpfile": _kind(_path),
    "pid_file": _kind(_path),
    "socket": _kind(place),
    "user": _kind(_user),
}
