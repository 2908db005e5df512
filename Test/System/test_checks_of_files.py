"""What root has made and the program's user may not use: said by -c and by the start."""

import os
import pwd

import pytest

from Test.System.test_failed_starts import Site
from Test.System.test_failed_starts import site as site


def of_root(site: Site, more: str = "") -> str:
    path = site.state / f"grey.sqlite3{more}"
    path.touch(0o644)
    return str(path)


@pytest.mark.parametrize(
    "options", [("-c",), ("-D",), ("-D", "workers"), ()], ids=["c", "D", "workers", "daemon"]
)
def test_a_database_of_roots_keeps_it_from_starting(site: Site, options: tuple[str, ...]) -> None:
    path = of_root(site)
    changed = {"workers": "2"} if "workers" in options else {}
    words = [word for word in options if word != "workers"] or ["-v"]
    code, said = site.fails(*words, **changed)
    assert code == os.EX_CONFIG, said
    line = f"database = {path}: user nobody may not write {path}: chown nobody {path}"
    assert line in said.splitlines()
    assert site.left == []
    entry = pwd.getpwnam("nobody")
    os.chown(path, entry.pw_uid, entry.pw_gid)
    log = of_root(site, "-wal")
    code, said = site.fails("-c")
    assert code == os.EX_CONFIG, said
    assert f"user nobody may not write {log}: " in said


def test_files_that_root_alone_may_read_or_write_are_mentioned(site: Site) -> None:
    log, clients = site.state / "mail.log", site.folder / "clients"
    for each in (log, clients):
        each.touch(0o600)
    site.silent.close()  # refused is sooner over than silent
    settings = {"greylist_log": str(log), "postgrey_whitelist_clients": str(clients)}
    code, said = site.fails("-c", **settings)
    assert code == os.EX_OK, said
    assert f"greylist_log = {log}: user nobody may not write it: chown nobody {log}" in said
    assert f"{clients}: user nobody may not read it, so no reload will work" in said
    assert "is okay" in said
    program = site.start("-D", **settings)
    assert program.stderr is not None
    assert any(f"{clients}: user nobody may not read it" in line for line in program.stderr)
