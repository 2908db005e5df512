"""What a sendmail said can be read."""

from Test.Peers.sendmail import by_process

MIXED = """30 >>> STARTTLS
28 <<< [EOF]
30 <<< 220 2.0.0 Ready to start TLS
28 >>> 421 4.4.1 Lost input channel
30 >>> EHLO mail.example.net
"""


def test_the_lines_of_each_process_are_together_and_in_order() -> None:
    assert by_process(MIXED).strip().split("\n") == [
        "28 <<< [EOF]",
        "28 >>> 421 4.4.1 Lost input channel",
        "30 >>> STARTTLS",
        "30 <<< 220 2.0.0 Ready to start TLS",
        "30 >>> EHLO mail.example.net",
    ]


def test_nothing_is_nothing() -> None:
    assert by_process("") == ""
