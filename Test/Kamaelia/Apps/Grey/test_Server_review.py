"""What must not keep a server from ending."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from Kamaelia.Apps.Grey.FrontDoor.SMTPProxy import SMTPProxy
from Test.Kamaelia.Apps.Grey.support import FakeServer, Grey


def test_a_session_that_could_not_be_activated_is_not_waited_for_at_the_end(
    mail_server: Callable[..., FakeServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # of epoll_ctl: too many watches

    grey = Grey(mail_server().address, drain_timeout=0).start()
    with monkeypatch.context() as patch:
        patch.setattr(SMTPProxy, "activate", fail)
        client = grey.client()
        grey.until(lambda: any("could not be made" in text for text in grey.log.texts))
    client.close()
    grey.shut_down()
    grey.wait_for_end()
    grey.close()
