"""
A pipeline without a loop in sight: each component says what to do when a message comes.

    python Examples/Pipelines/on_message.py
"""

from collections import Counter

from Axon.OnMessage import MessageComponent
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.Console import ConsoleEchoer
from Kamaelia.Util.DataSource import DataSource

LINES = ["the cat sat on the mat", "the mat was flat"]


class Words(MessageComponent):
    """Words() -> lines in, words out."""

    def on_inbox(self, line: str) -> None:
        for word in line.split():
            self.send(word)


class Tally(MessageComponent):
    """Tally() -> words in; at the end, how often each came."""

    def __init__(self) -> None:
        super().__init__()
        self.words: Counter[str] = Counter()

    def on_inbox(self, word: str) -> None:
        self.words[word] += 1

    def on_stop(self) -> None:  # DataSource has finished, and so has Words
        for word, times in self.words.most_common(3):
            self.send(f"{times} {word}\n")


Pipeline(DataSource(LINES), Words(), Tally(), ConsoleEchoer()).run()
