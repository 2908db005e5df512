"""
What postgrey has remembered
============================
Two Berkeley databases, postgrey.db and postgrey_clients.db in /var/lib/postgrey; either is read.

    client network/sender/recipient -> first try,latest try[,client's name]
    client address                  -> passes,latest pass

They are read as text, as `db_dump` writes it; the program is called if the file is a database. A
machine with postgrey also has Perl's BerkeleyDB, which will do. Stop postgrey before: what is new,
it has in memory and in a journal.

A triplet has passed if its latest try came as late as postgrey's delay asks for, or ours; postgrey
itself does not write down more. Senders and recipients become what our settings make of them. A #
that postgrey has put for a number stays, where ours would have kept the number: such a sender is a
stranger once more. With --privacy there are only hashes, of which nothing can be made.

>>> from Kamaelia.Apps.Grey.Core.Types import Policy
>>> text = ["format=print", "HEADER=END", " 192.0.2.0/a@example.net/b@example.org", " 1000,1400"]
>>> [(triplet, record)] = read(text, Ours(Policy(prefix4=24), now=2000))
>>> triplet.network, record.passed_at
('192.0.2.0/24', 1400)
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryDirectory

from Kamaelia.Apps.Grey.Core.Clients import client_triplet
from Kamaelia.Apps.Grey.Core.Normalise import addresses_of
from Kamaelia.Apps.Grey.Core.Types import Triplet
from Kamaelia.Apps.Grey.Importers.Found import Found, ImportFailedError, Ours, seconds_in
from Kamaelia.Apps.Grey.Store.Dump import BadLine, shown

DELAY_SECONDS = 300  # postgrey's own default
KEPT_SECONDS = 35 * 24 * 3600
_LONGEST_LINE = 16_384
_HASH = re.compile(r"[0-9a-f]{40}", re.ASCII)
_ESCAPE = re.compile(r"\\(\\|[0-9a-fA-F]{2})")
_PERL = (
    "use BerkeleyDB; my $env = BerkeleyDB::Env->new(-Home => $ARGV[0],"
    " -Flags => DB_CREATE|DB_RECOVER|DB_INIT_TXN|DB_INIT_MPOOL|DB_INIT_LOG)"
    ' or die "$BerkeleyDB::Error\\n";'
    " my %h; tie %h, 'BerkeleyDB::Btree', -Filename => $ARGV[1], -Env => $env, -Flags => DB_RDONLY"
    ' or die "$BerkeleyDB::Error\\n"; print "format=bytevalue\\nHEADER=END\\n";'
    " while (my ($k, $v) = each %h) {"
    ' print " ", unpack("H*", $k), "\\n ", unpack("H*", $v), "\\n" }'
    ' print "DATA=END\\n";'
)


def read_file(path: Path, ours: Ours) -> Iterator[Found]:
    """Give what a database, or its text, has. Raises ImportFailedError and OSError."""
    with path.open("rb") as file:
        is_text = file.read(8) in (b"VERSION=", b"format=p", b"format=b")
    if is_text:
        with path.open(encoding="utf-8", errors="replace") as text:
            yield from read(iter(lambda: text.readline(_LONGEST_LINE), ""), ours)
        return
    with TemporaryDirectory(prefix="postgrey-") as folder:
        # What is new may still be in the journal beside it. It is played into a copy.
        for each in (path, *path.parent.glob("log.*")):
            shutil.copy(each, folder)
        yield from _dumped(path, _command(path, Path(folder)), ours)


def _dumped(path: Path, command: list[str], ours: Ours) -> Iterator[Found]:
    with subprocess.Popen(  # noqa: S603 - no shell, and the path is an argument
        command, stdout=PIPE, stderr=PIPE, text=True, encoding="utf-8", errors="replace"
    ) as child:
        assert child.stdout is not None  # noqa: S101
        assert child.stderr is not None  # noqa: S101
        output = child.stdout
        yield from read(iter(lambda: output.readline(_LONGEST_LINE), ""), ours)
        complaint = child.stderr.read(2000)
    if child.returncode:
        raise ImportFailedError(f"{path}: {Path(command[0]).name} says: {shown(complaint)}")


def _command(path: Path, folder: Path) -> list[str]:
    for version in ("db5.3", "db", "db4.8"):
        if (found := shutil.which(f"{version}_dump")) is not None:
            if (recover := shutil.which(f"{version}_recover")) is not None:
                subprocess.run([recover, "-h", str(folder)], capture_output=True, check=False)  # noqa: S603
            return [found, "-p", str(folder / path.name)]
    if (perl := shutil.which("perl")) is not None:
        return [perl, "-e", _PERL, str(folder), path.name]
    raise ImportFailedError(
        f"{path}: neither db_dump nor Perl is there to read it. Where they are, write it out with"
        " db_dump -p, and import that file"
    )


def read(lines: Iterable[str], ours: Ours) -> Iterator[Found]:
    """Give what the text of `db_dump`, with or without -p, has."""
    numbered = ((number, line.rstrip("\r\n")) for number, line in enumerate(lines, 1))
    in_hex = True
    for _, line in numbered:
        if line == "format=print":
            in_hex = False
        if line == "HEADER=END":
            break
    data = ((number, line[1:]) for number, line in numbered if line.startswith(" "))
    while len(pair := list(islice(data, 2))) == 2:
        (number, key), (_, value) = pair
        try:
            yield _entry(_text(key, in_hex=in_hex), _text(value, in_hex=in_hex), ours)
        except ValueError as error:
            yield BadLine(number, shown(key), str(error))


def _entry(key: str, value: str, ours: Ours) -> Found:
    if _HASH.fullmatch(key):
        raise ValueError("written with --privacy: only hashes, which say nothing")
    parts = value.split(",")
    if len(parts) < 2:
        raise ValueError("not two numbers")
    first, last = seconds_in(parts[0]), seconds_in(parts[1])
    if "/" not in key:
        record = ours.passed(last, last, KEPT_SECONDS, count=min(first, 1_000_000))
        return client_triplet(ours.network(key)), record
    address, sender, recipient = _three(key)
    plain = ours.triplet(address, sender, recipient)
    both = addresses_of(plain.sender, plain.recipient, normalise=ours.policy.normalise_senders)
    triplet = Triplet(plain.network, *both)
    if last - first >= min(DELAY_SECONDS, ours.policy.delay_seconds):
        return triplet, ours.passed(first, last, KEPT_SECONDS)
    return triplet, ours.waiting(first)


def _three(key: str) -> tuple[str, str, str]:
    """The parts; a local part may have slashes of its own."""
    address, _, rest = key.partition("/")
    at = rest.find("@")
    slash = 0 if rest.startswith("/") else rest.find("/", max(at, 0))
    if slash < 0:
        raise ValueError("not client, sender and recipient")
    return address, rest[:slash], rest[slash + 1 :]


def _text(data: str, *, in_hex: bool) -> str:
    if in_hex:
        return bytes.fromhex(data).decode("utf-8", "replace")
    plain = _ESCAPE.sub(lambda found: _escaped(found[1]), data)
    return plain.encode("latin-1", "replace").decode("utf-8", "replace")


def _escaped(code: str) -> str:
    return "\\" if code == "\\" else chr(int(code, 16))
