"""What a delay costs ten large senders: the table, replayed against the decision; the picture."""

import importlib
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "Tools"))

DelayPicture = importlib.import_module("DelayPicture")

# When a mail is in, by delay: minutes and seconds. The retries of DelayPicture are the moments
# that occur here (why, it says), so this holds if, and only if, the decision lets in the first
# retry that is not too early, keeps its record until then, and no retry pushes the moment away.
TABLE = """\
delay        60   180   240   300   600   900  1500  1800   3600
gmail      6:02  6:02  6:02  6:02 29:02 29:02 29:02 56:36  98:44
yahoo      2:07  5:39  5:39  5:39 12:58 27:16 27:16 55:13 109:35
hotmail    1:01  3:04  5:06  5:06 12:08 16:10 28:10 32:10  60:10
qq         5:05  5:05  5:05  5:05 12:25 20:29 52:31 52:31  84:35
mail.ru    1:18 19:15 19:15 19:15 19:15 19:15 49:14 49:14  79:49
yandex     1:05  6:53  6:53  6:53 14:55 30:28 30:28 30:28  61:01
mail.com   5:02  5:02  5:02  5:02 12:37 23:59 41:03 41:03  66:38
gmx        5:01  5:01  5:01  5:01 12:33 23:50 40:46 40:46  66:09
aol        5:32  5:32  5:32  5:32 11:32 21:32 31:32 31:32   lost
india.com  6:21  6:21  6:21  6:21 16:21 16:21 36:21 36:21  76:21
"""
HEAD, *ROWS = [line.split() for line in TABLE.splitlines()]
CASES = [
    (row[0], int(delay), time)
    for row in ROWS
    for delay, time in zip(HEAD[1:], row[1:], strict=True)
]


@pytest.mark.parametrize(("sender", "delay", "time"), CASES)
def test_mail_is_in_at_the_first_retry_that_is_not_too_early(
    sender: str, delay: int, time: str
) -> None:
    assert DelayPicture.clock(DelayPicture.arrives(DelayPicture.RETRIES[sender], delay)) == time


def test_the_picture_shows_all_of_it() -> None:
    assert tuple(map(int, HEAD[1:])) == DelayPicture.DELAYS
    assert [row[0] for row in ROWS] == list(DelayPicture.RETRIES)
    drawn = ElementTree.fromstring(DelayPicture.picture())  # noqa: S314 - our own
    shown = [text.text for text in drawn.iter() if text.text]
    for word in (word for row in ROWS for word in row):
        assert word in shown


def test_the_picture_in_the_documents_is_up_to_date() -> None:
    assert DelayPicture.PICTURE.read_text() == DelayPicture.picture()


def test_check_tells_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(DelayPicture, "PICTURE", tmp_path / "delays.svg")
    monkeypatch.setattr(sys, "argv", ["DelayPicture.py", "--check"])
    assert DelayPicture.main() == 1
    assert "run: python Tools/DelayPicture.py" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(sys, "argv", ["DelayPicture.py"])
    assert DelayPicture.main() == 0
    monkeypatch.setattr(sys, "argv", ["DelayPicture.py", "--check"])
    assert DelayPicture.main() == 0
