"""The fuzzing targets of Tools/Fuzz, for a second each; and that they would notice something."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[2] / "Tools" / "Fuzz"))

import RunFuzz
from Target import Target, slices
from Targets import TARGETS

from Kamaelia.Support.Protocol.DNS import Wire
from Kamaelia.Support.Protocol.HTTP.StaticFiles import NoSuchFile
from Kamaelia.Support.Protocol.Milter.Packets import PacketReader, packet
from Kamaelia.Support.Protocol.MXSync.SyncServer import SyncServer
from Kamaelia.Support.Protocol.PostfixPolicy import action
from Kamaelia.Support.Protocol.SMTP.Body import BodyScanner
from Kamaelia.Support.Protocol.SMTP.Replies import ReplyParser

FUZZ = Path(__file__).parents[2] / "Tools" / "Fuzz"
by_name = pytest.mark.parametrize("name", TARGETS)


@by_name
def test_the_seeds_hold(name: str) -> None:
    target = TARGETS[name]
    for seed in (*target.seeds, b"", b"\0", b"\xff"):
        target.run(seed)


@by_name
def test_changed_seeds_hold(name: str) -> None:
    target, chance = TARGETS[name], random.Random(7)
    for _ in range(150):
        target.run(RunFuzz.mutated(target.seeds, target.words, chance))


@by_name
@settings(max_examples=50)
@given(data=st.data())
def test_any_bytes_hold(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    words = st.sampled_from([*target.words, b"\r\n", b" "])
    pieces = st.lists(st.one_of(words, st.binary(max_size=12)), max_size=12).map(b"".join)
    target.run(bytes([data.draw(st.integers(0, 255))]) + data.draw(pieces))


# ---- they notice


def fails(name: str, data: bytes) -> bool:
    try:
        TARGETS[name].run(data)
    except AssertionError:
        return True
    return False


class Forgetful(BodyScanner):
    """Misses a dot that comes alone."""

    def receive_data(self, data: bytes) -> bytes:
        return super().receive_data(b":" if data == b"." else data)


class Careless(BodyScanner):
    """Takes LF for a line end."""

    def receive_data(self, data: bytes) -> bytes:
        return super().receive_data(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


class Mistaken(ReplyParser):
    """Reads what comes alone as something else."""

    def receive_data(self, data: bytes) -> None:
        super().receive_data(b"y" if data == b"x" else data)


@pytest.mark.parametrize("wrong", [Forgetful, Careless])
def test_a_scanner_that_is_wrong_is_noticed(
    monkeypatch: pytest.MonkeyPatch, wrong: type[BodyScanner]
) -> None:
    data = b"\x01a\n.\r\n" if wrong is Careless else b"\x01a\r\n.\r\n"
    assert not fails("smtp_body", data)
    monkeypatch.setattr("SmtpTargets.BodyScanner", wrong)
    assert fails("smtp_body", data)


def test_a_parser_for_which_slices_matter_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not fails("smtp_reply", b"\x01250 x\r\n")
    monkeypatch.setattr("SmtpTargets.ReplyParser", Mistaken)
    assert fails("smtp_reply", b"\x01250 x\r\n")


def test_a_way_out_of_the_folder_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("OtherTargets.file_parts", lambda address: tuple(address.split("/")))
    assert fails("http_address", b"../etc/passwd")
    monkeypatch.setattr("OtherTargets.file_parts", no_such_file)
    assert not fails("http_address", b"../etc/passwd")


def no_such_file(address: str) -> tuple[str, ...]:
    raise NoSuchFile(address)


def test_frames_that_are_mixed_up_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wire.Frames, "message", lambda self: None)
    assert fails("dns_text", b"\1abc")


class Hasty(PacketReader):
    """Loses a byte that comes alone."""

    def receive_data(self, data: bytes) -> None:
        super().receive_data(data if len(data) > 1 else b"")


class Deaf(SyncServer):
    """Misses a line end that comes alone."""

    def receive_data(self, data: bytes) -> None:
        super().receive_data(b" " if data == b"\n" else data)


def test_packets_for_which_slices_matter_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\x02" + packet(b"O", b"\0\0\0\6" * 3)
    assert not fails("milter_session", data)
    monkeypatch.setattr("Kamaelia.Support.Protocol.Milter.FilterSession.PacketReader", Hasty)
    assert fails("milter_session", data[:1] + data[1:] + packet(b"C", b"x\0U"))


def test_a_line_that_one_slice_hides_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not fails("sync_server", b"\1quit\n")
    monkeypatch.setattr("DoorTargets.SyncServer", Deaf)
    assert fails("sync_server", b"\1quit\n")


def test_an_answer_that_is_two_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\0request=smtpd_access_policy\nsender=a\n\n"
    assert not fails("policy_request", data)
    monkeypatch.setattr("DoorTargets.action", lambda text: action("DUNNO") + action("OK"))
    assert fails("policy_request", data)


# ---- how they are run


def test_the_first_byte_says_how_the_rest_is_sliced() -> None:
    assert slices(b"\2abcde") == [b"ab", b"cd", b"e"]
    assert slices(b"\0abcde") == [b"abcde"]
    assert slices(b"") == [b""]


def test_inputs_are_as_long_as_may_be_and_the_same_again() -> None:
    seeds, words = [b"x" * RunFuzz.LONGEST], [b"word"]
    first, second = random.Random(3), random.Random(3)
    for _ in range(200):
        made = RunFuzz.mutated(seeds, words, first)
        assert len(made) <= RunFuzz.LONGEST
        assert made == RunFuzz.mutated(seeds, words, second)


def test_a_failing_input_is_shown_as_a_literal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def explode(data: bytes) -> None:
        raise ValueError(data)

    monkeypatch.setitem(TARGETS, "bomb", Target(explode, (b"\0seed",)))
    with pytest.raises(ValueError, match="b'"):
        RunFuzz.at_random("bomb", seconds=5)
    assert "bomb fails with: b'" in capsys.readouterr().err


def test_the_command_runs_one_target_or_one_input(tmp_path: Path) -> None:
    one = tmp_path / "input"
    one.write_bytes(b"\x01250 ok\r\n")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(FUZZ / "RunFuzz.py"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert run("list").stdout.split() == list(TARGETS)
    assert run("smtp_reply", "--input", str(one)).returncode == 0
    ran = run("smtp_reply", "--plain", "--seconds", "0")
    assert (ran.returncode, ran.stdout) == (0, "smtp_reply: 0 inputs\n")
    assert run("no_such_target", "--plain").returncode == 2
