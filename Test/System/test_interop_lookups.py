"""Look-ups that ask real daemons: OpenLDAP's slapd, with and without TLS, and SpamAssassin's spamd.
Both are unpacked by `go`, not installed, and run as long as the test in a folder of it."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions, LdapCheckDef, LdapConf
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    LdapCheck,
    LookupFailed,
    LookupText,
    SpamAnswer,
    Spamd,
)
from Kamaelia.Apps.Grey.Lookups.Contents import Contents
from Kamaelia.Apps.Grey.Lookups.LdapChecks import Connector, LdapLookup
from Kamaelia.Apps.Grey.Lookups.Spamd import SpamdLookup
from Test.Kamaelia.Apps.Grey.Lookups.quiet_ldap3 import ldap3
from Test.System.processes import PATIENCE_SECONDS, free_port, wait_until

BASE = "dc=example,dc=net"
ADMIN, SECRET = f"cn=admin,{BASE}", "hush"
SCHEMA = """
attributetype ( 1.3.6.1.4.1.99999.1 NAME 'milterGreylistStatus'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.2 NAME 'milterGreylistDelay'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.99999.3 NAME 'greyUser' SUP top AUXILIARY
  MAY ( milterGreylistStatus $ milterGreylistDelay ) )
"""
ENTRIES = f"""dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: uid=anna,{BASE}
objectClass: inetOrgPerson
objectClass: greyUser
cn: Anna (a*b)
sn: A
uid: anna
mail: anna@example.net
milterGreylistStatus: TRUE
milterGreylistDelay: 15m

dn: uid=bob,{BASE}
objectClass: inetOrgPerson
cn: Bob
sn: B
uid: bob
mail: bob@example.net
"""


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(port: int, command: list[object], **environment: str) -> Iterator[None]:
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    try:
        wait_until(f"{command[0]} on port {port}", lambda: accepts(port))
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


class Directory:
    """slapd, with the entries above; reading anything needs a password."""

    def __init__(self, unpacked: Path, folder: Path) -> None:
        self.unpacked, self.folder = unpacked, folder
        self.libraries = str(unpacked / "usr/lib/x86_64-linux-gnu")
        self.port, self.tls_port = free_port(), free_port()
        self.authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca_file)
        server = self.authority.issue_cert("127.0.0.1", "localhost")
        server.private_key_pem.write_to_path(folder / "key.pem")
        server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        (folder / "db").mkdir()
        (folder / "grey.schema").write_text(SCHEMA)
        (folder / "data.ldif").write_text(ENTRIES)
        schemas = [unpacked / f"etc/ldap/schema/{name}.schema" for name in ("core", "cosine")]
        schemas += [unpacked / "etc/ldap/schema/inetorgperson.schema", folder / "grey.schema"]
        (folder / "slapd.conf").write_text(
            "".join(f"include {schema}\n" for schema in schemas)
            + f"pidfile {folder}/pid\nTLSCACertificateFile {self.ca_file}\n"
            f"TLSCertificateFile {folder}/cert.pem\nTLSCertificateKeyFile {folder}/key.pem\n"
            f'database ldif\nsuffix "{BASE}"\ndirectory {folder}/db\n'
            f'rootdn "{ADMIN}"\nrootpw {SECRET}\naccess to * by anonymous auth\n'
        )

    @contextmanager
    def run(self) -> Iterator[None]:
        program, conf = self.unpacked / "usr/sbin/slapd", self.folder / "slapd.conf"
        environment = {**os.environ, "LD_LIBRARY_PATH": self.libraries}
        add: list[str | Path] = [
            program.with_name("slapadd"),
            "-f",
            conf,
            "-l",
            self.folder / "data.ldif",
        ]
        subprocess.run(add, check=True, env=environment, capture_output=True)
        where = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        command: list[object] = [program, "-h", where, "-f", conf, "-d", "0"]
        with running(self.tls_port, command, LD_LIBRARY_PATH=self.libraries):
            yield

    def lookup(self, uri: str, password: str = SECRET, ca_file: Path | None = None) -> LdapLookup:
        definitions = Definitions(
            ldapchecks={"prefs": LdapCheckDef("")}, ldapconf=LdapConf(uri, 10, ADMIN, password)
        )
        authority = str(ca_file) if ca_file else None
        return LdapLookup(definitions, Connector(definitions.ldapconf, authority))


@pytest.fixture
def directory(find_program: Callable[[str], Path], tmp_path: Path) -> Iterator[Directory]:
    made = Directory(find_program("slapd"), tmp_path)
    with made.run():
        yield made


def ask(look: LdapLookup, search: str) -> object:
    answer, _ = look(LdapCheck("prefs", f"ldap:///{BASE}??sub?{search}"))
    return answer


@pytest.mark.needs("slapd")
def test_slapd_is_asked(directory: Directory) -> None:
    look = directory.lookup(f"ldap://127.0.0.1:1 ldap://127.0.0.1:{directory.port}")
    for _ in range(3):  # the second and third by the connection of the first
        answer = ask(look, "(&(mail=anna@example.net)(cn=Anna %5C28a%5C2ab%5C29))")
        assert isinstance(answer, LookupText)
        assert answer.matched
        assert ("miltergreylistdelay", "15m") in answer.lines
    bob = ask(look, "(mail=bob@example.net)")
    assert isinstance(bob, LookupText)
    assert not bob.matched
    assert ask(look, "(mail=nobody@example.net)") == LookupText(False)
    look.close()


@pytest.mark.needs("slapd")
def test_slapd_is_asked_in_tls_only_if_it_is_the_right_one(directory: Directory) -> None:
    uri = f"ldaps://127.0.0.1:{directory.tls_port}"
    look = directory.lookup(uri, ca_file=directory.ca_file)
    answer = ask(look, "(uid=anna)")
    assert isinstance(answer, LookupText)
    assert answer.matched
    look.close()
    stranger = ask(directory.lookup(uri), "(uid=anna)")
    assert isinstance(stranger, LookupFailed)
    assert "certificate" in stranger.reason.lower()


@pytest.mark.needs("slapd")
def test_a_password_that_slapd_does_not_take_is_a_failure(directory: Directory) -> None:
    answer = ask(directory.lookup(f"ldap://127.0.0.1:{directory.port}", "wrong"), "(uid=anna)")
    assert isinstance(answer, LookupFailed)
    assert "invalidCredentials" in answer.reason
    assert "wrong" not in answer.reason


@pytest.mark.needs("slapd")
def test_a_slapd_that_was_started_again_is_asked_again(
    find_program: Callable[[str], Path], tmp_path: Path
) -> None:
    made = Directory(find_program("slapd"), tmp_path)
    look = made.lookup(f"ldap://127.0.0.1:{made.port}")
    with made.run():
        assert isinstance(ask(look, "(uid=anna)"), LookupText)
    assert isinstance(ask(look, "(uid=anna)"), LookupFailed)
    (tmp_path / "data.ldif").write_text("")
    with made.run():
        assert isinstance(ask(look, "(uid=anna)"), LookupText)
    look.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that anybody may enter: started by root, spamd becomes somebody else."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


RULES = """required_score 5
use_bayes 0
header GREY_SUBJECT Subject =~ /cheap pills/
score GREY_SUBJECT 6.3
body GREY_BODY /hello/
score GREY_BODY 0.25
"""


@pytest.mark.needs("spamd")
def test_spamd_is_asked(find_program: Callable[[str], Path], open_folder: Path) -> None:
    # As somebody else it may not be let into the folder in which it was unpacked.
    unread = shutil.ignore_patterns("doc", "man")
    unpacked = open_folder / "spamd"
    shutil.copytree(find_program("spamd"), unpacked, symlinks=True, ignore=unread)
    rules = open_folder / "rules"
    rules.mkdir()
    (rules / "local.cf").write_text(RULES)
    (rules / "init.pre").write_text("loadplugin Mail::SpamAssassin::Plugin::Check\n")
    libraries = [unpacked / "usr/share/perl5", *unpacked.glob("usr/lib/*/perl5/*")]
    port = free_port()
    command: list[object] = ["perl", "-T", *(f"-I{each}" for each in libraries)]
    command += [unpacked / "usr/sbin/spamd", "-L", "-x", "--nouser-config", "-m", "1"]
    command += ["-i", "127.0.0.1", "-p", port, "-C", rules, f"--siteconfigpath={rules}"]
    command += [f"--helper-home-dir={open_folder}", "-s", "null", "-u", "nobody"]
    contents = Contents()
    contents.add(1, b"Subject: cheap pills\r\n\r\nhello\r\n")
    contents.add(2, b"Subject: lunch\r\n\r\nhello\r\n")
    contents.add(3, b"")
    look = SpamdLookup(("inet", f"127.0.0.1:{port}"), contents, PATIENCE_SECONDS)
    with running(port, command):
        spam, lunch, nothing = (look(Spamd(number))[0] for number in (1, 2, 3))
    assert isinstance(spam, SpamAnswer)
    assert (spam.is_spam, spam.tenths // 10) == (True, 6)
    assert isinstance(lunch, SpamAnswer)
    assert (lunch.is_spam, lunch.tenths // 10) == (False, 0)
    assert isinstance(nothing, SpamAnswer)


__all__ = ["ldap3"]  # imported for its warnings, before others do
