"""Countries, from files that the test makes."""

import logging
import os
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Access.Questions import Country, LookupFailed
from Kamaelia.Apps.Grey.Lookups.Country import CHECK_SECONDS, KEEP_SECONDS, CountryLookup

NESTED, FLAT = "country.iso_code", "country_code"


def make(path: Path, places: dict[str, str], layout: str = NESTED, version: int = 6) -> Path:
    writer = MMDBWriter(version, "Test-Country", ipv4_compatible=version == 6)
    for network, code in places.items():
        record = {"country": {"iso_code": code}} if layout == NESTED else {"country_code": code}
        writer.insert_network(IPSet([network]), record)
    fresh = path.with_name("fresh")
    writer.to_db_file(str(fresh))
    return fresh.replace(path)


def ask(countries: CountryLookup, client: str) -> object:
    found: list[tuple[object, float]] = []
    countries.start(Country(client), lambda answer, keep: found.append((answer, keep)))
    ((answer, keep),) = found
    assert keep == (0.0 if isinstance(answer, LookupFailed) else KEEP_SECONDS)
    return answer


@pytest.mark.parametrize("layout", [NESTED, FLAT])
def test_both_layouts_and_both_families_are_read(tmp_path: Path, layout: str) -> None:
    path = make(tmp_path / "db", {"192.0.2.0/24": "NZ", "2001:db8::/32": "is"}, layout)
    countries = CountryLookup(str(path), "")
    clients = ("192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", "fe80::1%eth0", "198.51.100.1")
    assert [ask(countries, client) for client in clients] == ["NZ", "IS", "NZ", "ZZ", "ZZ"]


def test_each_family_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    ipv4 = make(tmp_path / "v4", {"192.0.2.0/24": "NZ"}, version=4)
    ipv6 = make(tmp_path / "v6", {"2001:db8::/32": "IS", "192.0.2.0/24": "XX"})
    countries = CountryLookup(str(ipv4), str(ipv6))
    assert (ask(countries, "192.0.2.7"), ask(countries, "2001:db8::7")) == ("NZ", "IS")
    assert ask(CountryLookup("", str(ipv6)), "192.0.2.7") == "XX"
    assert ask(CountryLookup(str(ipv4), ""), "2001:db8::7") == "ZZ"


@pytest.mark.parametrize("client", ["", "unknown", "192.0.2.7 ", "1.2.3.4.5"])
def test_what_is_no_address_is_nowhere(tmp_path: Path, client: str) -> None:
    path = make(tmp_path / "db", {"0.0.0.0/0": "NZ"})
    assert ask(CountryLookup(str(path), ""), client) == "ZZ"


@pytest.mark.parametrize("code", ["", "NZL", "N1", "Ñ1", "n\n"])
def test_a_code_that_is_none_is_unknown(tmp_path: Path, code: str) -> None:
    path = make(tmp_path / "db", {"192.0.2.0/24": code})
    assert ask(CountryLookup(str(path), ""), "192.0.2.7") == "ZZ"


def test_a_new_file_is_read_when_it_is_time_to_look(tmp_path: Path) -> None:
    clock = FakeClock()
    path = make(tmp_path / "db", {"192.0.2.0/24": "NZ"})
    countries = CountryLookup(str(path), "", clock)
    assert ask(countries, "192.0.2.7") == "NZ"
    make(path, {"192.0.2.0/24": "AU"})
    assert ask(countries, "192.0.2.7") == "NZ"
    clock.advance(CHECK_SECONDS)
    assert ask(countries, "192.0.2.7") == "AU"


def test_a_file_that_is_written_over_in_its_place_harms_nobody(tmp_path: Path) -> None:
    clock = FakeClock()
    path = make(tmp_path / "db", {"192.0.2.0/24": "NZ"})
    countries = CountryLookup(str(path), "", clock)
    assert ask(countries, "192.0.2.7") == "NZ"
    with path.open("r+b") as file:
        file.truncate(0)
    assert ask(countries, "192.0.2.7") == "NZ"
    clock.advance(CHECK_SECONDS)
    assert ask(countries, "192.0.2.7") == "NZ"  # a broken one does not take its place
    make(path, {"192.0.2.0/24": "AU"})
    clock.advance(CHECK_SECONDS)
    assert ask(countries, "192.0.2.7") == "AU"


def test_a_file_that_is_not_there_is_one_line_and_may_come_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    path = tmp_path / "db"
    countries = CountryLookup(str(path), "", clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            failure = ask(countries, "192.0.2.7")
            assert isinstance(failure, LookupFailed)
            assert "No such file" in failure.reason
            clock.advance(CHECK_SECONDS)
    assert len(caplog.records) == 1
    make(path, {"192.0.2.0/24": "NZ"})
    assert ask(countries, "192.0.2.7") == "NZ"
    path.unlink()
    clock.advance(CHECK_SECONDS)
    assert ask(countries, "192.0.2.7") == "NZ"


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        failure = ask(CountryLookup(str(path), ""), "192.0.2.7")
        assert isinstance(failure, LookupFailed)
        assert "not a file" in failure.reason


def test_any_damage_to_a_file_is_a_failure_or_some_country(tmp_path: Path) -> None:
    path = make(tmp_path / "db", {"192.0.2.0/24": "NZ", "2001:db8::/32": "IS"})
    good = path.read_bytes()
    broken = [good[:cut] for cut in range(0, len(good), 97)]
    broken += [good[:at] + b"\xff" + good[at + 1 :] for at in range(0, len(good), 13)]
    failures = 0
    for at, data in enumerate(broken):
        path = tmp_path / f"db{at}"
        path.write_bytes(data)
        answer = ask(CountryLookup(str(path), ""), "192.0.2.7")
        failures += isinstance(answer, LookupFailed)
        assert isinstance(answer, str | LookupFailed)
    assert failures > 20


def test_without_a_database_it_says_so() -> None:
    failure = ask(CountryLookup("", ""), "192.0.2.7")
    assert isinstance(failure, LookupFailed)
    assert "no geoipdb" in failure.reason
