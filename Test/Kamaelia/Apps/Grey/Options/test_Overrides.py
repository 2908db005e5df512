"""The command line over the file: at the start and after each reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Loader import ConfigError, loads
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Options.Overrides import Overrides
from Kamaelia.Apps.Grey.Options.Reading import code_of, read


def test_what_the_command_line_does_not_name_stays_as_the_file_says() -> None:
    config = loads("greylist_delay = 9m\nquiet = yes\n")
    over = Overrides((("greylist_delay", 60),)).apply(config)
    assert (over.greylist_delay, over.quiet) == (60, True)


def test_a_reading_has_the_overrides_each_time(tmp_path: Path) -> None:
    path = tmp_path / "greylist.conf"
    overrides = Overrides((("greylist_delay", 60),))
    for text in ("greylist_delay = 9m\n", "greylist_delay = 8m\n", ""):
        path.write_text(text)
        assert read(path, overrides)[0].greylist_delay == 60


def test_what_the_file_can_not_contradict_alone_is_found_in_both_together() -> None:
    config = loads("max_connections = 10\n")
    overrides = Overrides((("workers", 20),))
    assert overrides.problems(overrides.apply(config))
    assert Overrides().problems(config) == []
    assert Overrides((("quiet", True),)).problems(config) == []


def test_paths_of_a_daemon_are_where_it_was_started(tmp_path: Path) -> None:
    config = loads(
        "database = grey.db\npid_file = /run/grey/pid\ntls_certificate = b.pem\n"
        "tls_names:\n    a.example.org a.pem /k.pem\n"
        "before_decider:\n    mine.py Untag\n"
    )
    made = Overrides(folder=tmp_path).apply(config)
    assert made.database == tmp_path / "grey.db"
    assert made.pid_file == Path("/run/grey/pid")
    assert made.tls_names == (("a.example.org", tmp_path / "a.pem", Path("/k.pem")),)
    assert made.before_decider == ((tmp_path / "mine.py", "Untag"),)
    assert made.greylist_log is None


def test_who_has_only_absolute_paths_keeps_all_of_it(tmp_path: Path) -> None:
    config = loads("database = /var/grey.db\n")
    assert Overrides(folder=tmp_path).apply(config) == config


def test_the_code_says_whose_fault_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as bad:
        read(tmp_path / "none.conf", Overrides())
    assert code_of(bad.value) == 71
    with pytest.raises(ConfigError) as bad:
        loads("prt = 25\n")
    assert code_of(bad.value) == 65


def test_a_regular_expression_that_is_none_is_71_as_it_always_was(tmp_path: Path) -> None:
    path = tmp_path / "greylist.conf"
    path.write_text("racl blacklist from /(/\nextendedregex\nracl blacklist from /(/\n")
    with pytest.raises(ConfigError) as bad:
        read(path, Overrides())
    assert code_of(bad.value) == 71


def test_what_is_odd_comes_beside_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "greylist.conf"
    path.write_text("nodrac\n")
    config, warnings = read(path, Overrides())
    assert config == Config()
    assert f"{path}:1:1" in warnings[0]


def test_strict_is_as_milter_greylist_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "greylist.conf"
    path.write_text("quiet")  # without an end of its line
    assert read(path, Overrides())[0].quiet
    with pytest.raises(ConfigError):
        read(path, Overrides(), strict=True)


def test_without_a_file_the_defaults_are_overridden() -> None:
    assert read(None, Overrides((("quiet", True),)))[0] == Config(quiet=True)
