"""The server lets a Sendmail wait for as long as `milter_patience` says."""

from collections.abc import Callable
from dataclasses import replace
from threading import Thread

from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Config.Sockets import Place
from Test.Kamaelia.Apps.Grey.askers import AtMilter, Try
from Test.Kamaelia.Apps.Grey.support import FakeServer, Grey

ANYWHERE = Place(host="127.0.0.1", port=0)
RULES = loads('racl "slow" whitelist tarpit 20s\n').access_rules
SENT_AWAY = ["4 4.3.2 too many clients are kept waiting, try again later"]


def test_a_tarpit_within_its_patience_can_be_had_since_a_reload(
    mail_server: Callable[..., FakeServer], start_grey: Callable[..., Grey]
) -> None:
    server = mail_server()
    grey = start_grey(server, socket=ANYWHERE, access_rules=RULES)
    assert AtMilter(grey, server).bring(Try()).answers == SENT_AWAY
    patient = replace(grey.server.config, milter_patience=20)
    grey.call(lambda: grey.server.reload(patient))
    heard: list[list[str]] = []
    sendmail = Thread(target=lambda: heard.append(AtMilter(grey, server).bring(Try()).answers))
    sendmail.start()
    try:
        rules = grey.server._era.office.rules
        assert rules is not None
        grey.until(lambda: rules.tarpitted == 1)
    finally:
        grey.shut_down()  # nobody waits for who waits
        sendmail.join()
    assert heard == [["4 4.3.2 service is shutting down, try again later"]]
