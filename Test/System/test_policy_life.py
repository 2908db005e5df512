"""What the administrator of a site with rules does with it: checks and explains its file, changes
it while the program runs, brings the records of milter-greylist, lets one mail in at once."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from Test.System.policy_site import Mailboxes, Names, Site, zones
from Test.System.processes import PATIENCE_SECONDS, ROOT, wait_until

STRANGER = "127.0.12.1"
SAMPLES = ROOT / "Test" / "Policies"
OK, NO = "ok@example.org", "no@example.org"
FIRST = f"racl whitelist rcpt {OK}\nracl greylist default\n"
OTHER = FIRST.replace(OK, NO)


@pytest.fixture(scope="module")
def boxes() -> Iterator[Mailboxes]:
    with Mailboxes() as mailboxes:
        yield mailboxes


@pytest.fixture(scope="module")
def resolver() -> Iterator[tuple[str, int]]:
    with Names(*zones()).serving() as address:
        yield address


@pytest.fixture
def site(tmp_path: Path, boxes: Mailboxes, resolver: tuple[str, int]) -> Iterator[Site]:
    """Not started."""
    made = Site(tmp_path, boxes.port, resolver)
    yield made
    made.end_if_running()


def run(site: Site, *options: object) -> subprocess.CompletedProcess[str]:
    command = site.command(*options)
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


def codes(site: Site, *recipients: str) -> list[int]:
    return [site.asks(STRANGER, "x@y.test", recipient).code for recipient in recipients]


# ---- the file


def adapted(name: str, site: Site) -> str:
    """A file that a site brings, with the paths of this one."""
    text = (SAMPLES / f"{name}.conf").read_text(encoding="utf-8")
    for folder in ("/var/run", "/var/spool/grey", "/var/lib/grey", "/var/log", "/run/grey"):
        text = text.replace(f"{folder}/", f"{site.folder}/")
    text = text.replace("tarpit 20s", "tarpit 1s")
    # The user is none of this machine.
    return "\n".join(line for line in text.splitlines() if not line.startswith("user ")) + "\n"


@pytest.mark.parametrize("name", ["sample_a", "sample_b", "sample_c"])
def test_a_file_that_a_site_brings_is_served(site: Site, name: str) -> None:
    site.write(adapted(name, site))
    checked = run(site, "-c")
    assert checked.returncode == os.EX_OK, checked.stderr
    assert "is okay" in checked.stderr
    site.start()
    told = site.asks("127.0.12.1", "x@y.test", "anna@example.org")
    said = {"sample_a": "250 2.1.5", "sample_b": "250 2.1.5", "sample_c": "451 4.7.1 Service unava"}
    # In the third nobody is where urlcheck asks.
    assert f"{told.code} {told.text}".startswith(said[name])
    assert site.end() == os.EX_OK


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("racl greylist default", os.EX_OK, "is okay"),
        ("racl greylist default delay 900\r\n", os.EX_OK, "is okay"),
        ("racl whitelist addr 10.0.0.0/33\n", os.EX_DATAERR, '"/33" is too long a prefix'),
        ('racl whitelist list "zz"\n', os.EX_DATAERR, 'there is no list "zz"'),
        ('racl blacklist body "x"\n', os.EX_DATAERR, "write dacl"),
        ('racl greylist default msg "abc\n', os.EX_DATAERR, "no closing quote"),
        ("extendedregex\nracl whitelist from /(/\n", os.EX_OSERR, "bad regular expression"),
        ('dumpfile "/nonexistent/x.db"\n', os.EX_CONFIG, "/nonexistent does not exist: make it"),
    ],
)
def test_the_check_says_what_is_wrong_and_its_code_how(
    site: Site, text: str, code: int, said: str
) -> None:
    site.write(text)
    done = run(site, "-c")
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not (site.folder / "greylist.sqlite3").exists()


def test_a_decision_is_explained_without_a_trace_in_the_database(site: Site) -> None:
    site.write('racl "f" blacklist spf fail\nracl "n" whitelist domain nice.test\n')
    done = run(site, "--explain", "127.0.70.1", "x@bad.test", "anna@example.org")
    assert done.returncode == os.EX_OK, done.stderr
    assert "blacklist: spf fail: yes" in done.stdout
    assert done.stdout.splitlines()[-1] == "reject, rule: 551 5.7.1 Go away!"
    done = run(site, "--explain", "127.0.70.1", "<>", "anna@example.org", "--helo", "mx.test")
    assert "whitelist: domain nice.test: yes" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("pass, rule")
    assert run(site, "--explain", "999.1.1.1", "<>", "b@example.org").returncode == os.EX_USAGE


# ---- while it runs


def test_the_file_is_read_when_it_changes_and_kept_out_when_it_is_bad(site: Site) -> None:
    site.write(FIRST)
    site.start()
    assert codes(site, OK, NO) == [250, 451]
    before = site.config.stat()
    site.write(OTHER)  # nobody need say so
    site.wait_for("new sessions have the new configuration")
    assert codes(site, OK, NO) == [451, 250]
    site.reload("racl whitelist rcpt\n", "the configuration stays as it was")
    assert ":20: expected a mail address" in site.said()
    assert codes(site, OK, NO) == [451, 250]
    # The old file comes back, with its old date.
    kept = site.folder / "kept.conf"
    site.write_to(kept, FIRST)
    os.utime(kept, ns=(before.st_mtime_ns, before.st_mtime_ns))
    kept.replace(site.config)
    wait_until("the old file", lambda: codes(site, OK, NO) == [250, 451])
    site.config.unlink()
    site.wait_for('greylist.conf" unavailable')
    assert codes(site, OK, NO) == [250, 451]


def test_mail_that_is_waited_for_gets_in_once(site: Site) -> None:
    site.write(f"expect_file = {site.folder}/expected\nracl greylist default\n")
    site.start()
    assert codes(site, "bob@example.org") == [451]
    assert run(site, "--expect", "<Bob@Example.org>", "--once").returncode == os.EX_OK
    wait_until("the mail to get in", lambda: codes(site, "bob@example.org") == [250])
    site.wait_for_log("reason=expected")
    assert codes(site, "bob@example.org") == [451]
    assert run(site, "--expect", "no address").returncode == os.EX_USAGE


def test_in_a_dry_run_nobody_waits_and_the_log_names_the_rule(site: Site) -> None:
    site.write(
        "dry_run = yes\n"
        'racl "trap" blacklist rcpt trap@example.org\n'
        'racl "slow" whitelist tarpit 20s rcpt slow@example.org\n'
    )
    site.start()
    began = site.clock()
    told = codes(site, "trap@example.org", "slow@example.org", "anna@example.org", "x@other.test")
    assert told == [250, 250, 250, 550]
    assert site.clock() - began < 5.0
    site.wait_for_log("verdict=pass", "rule=trap", "would=reject/rule")
    site.wait_for_log("verdict=pass", "would=defer/new")


def test_a_bounce_is_deferred_at_its_end_and_other_mail_before(
    site: Site, boxes: Mailboxes
) -> None:
    site.write("delayedreject\ngreylist_delay = 1s\nracl blacklist rcpt trap@example.org\n")
    site.start()
    taken = len(boxes.taken)
    with site.visitor(STRANGER, "") as client:
        assert [client.to(name).code for name in (OK, "trap@example.org")] == [250, 551]
        assert client.send().code == 451
        assert client.ask("MAIL FROM:<x@y.test>").code == 250
        assert client.to(OK).code == 451

    def again() -> bool:
        with site.visitor(STRANGER, "") as client:
            return client.to(OK).code == 250 and client.send().code == 250

    wait_until("the bounce to be taken", again)
    assert len(boxes.taken) == taken + 1


# ---- records


def test_the_dump_of_one_program_is_what_the_next_one_knows(
    site: Site, tmp_path_factory: pytest.TempPathFactory, boxes: Mailboxes
) -> None:
    dump = site.folder / "greylist.db"
    text = f'greylist_delay = 1s\nautowhite 1d\ndumpfile "{dump}" 640\n'
    site.write(text)
    site.start()
    known, waiting = "known@y.test", "waiting@y.test"
    site.asks(STRANGER, known, OK)
    wait_until("a retry", lambda: site.asks(STRANGER, known, OK).code == 250)
    assert site.asks(STRANGER, waiting, OK).code == 451
    assert site.end() == os.EX_OK
    records = [line for line in dump.read_text().splitlines() if line and line[0] != "#"]
    assert len(records) == 2
    assert {line.split("\t")[1] for line in records} == {f"<{known}>", f"<{waiting}>"}
    assert [" AUTO " in line for line in sorted(records)] == [True, False]
    assert dump.stat().st_mode & 0o777 == 0o640
    new = Site(tmp_path_factory.mktemp("new"), boxes.port, None)
    new.write(text)
    with new:
        new.wait_for(r"2 records read, 0 lines skipped")
        assert new.asks(STRANGER, known, OK).code == 250
        new.wait_for_log("reason=known")
    third = Site(tmp_path_factory.mktemp("third"), boxes.port, None)
    third.write("greylist_delay = 1s\n")
    done = run(third, "--import", "milter-greylist", dump)
    assert (done.returncode, done.stdout) == (0, "read 2, taken over 2, left out 0\n")
    assert run(third, "--import", "milter-greylist", "/nonexistent").returncode == os.EX_OSERR
    with third:
        assert third.asks(STRANGER, known, OK).code == 250


# ---- many processes


def test_workers_have_the_same_rules_and_change_them_together(site: Site) -> None:
    several = "workers = 2\n"
    site.write(several + FIRST)
    site.start()
    assert {code for _ in range(8) for code in codes(site, OK)} == {250}
    site.reload(several + OTHER, "all workers have the new configuration")
    assert {code for _ in range(8) for code in codes(site, NO)} == {250}
    assert {code for _ in range(8) for code in codes(site, OK)} == {451}
    site.reload(several + "racl\n", "the configuration stays as it was")
    assert {code for _ in range(8) for code in codes(site, NO)} == {250}
