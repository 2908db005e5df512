"""
The smallest pipeline: what you type is said again, until the end of input (ctrl-D) or ctrl-C.

    python Examples/Pipelines/console_echo.py
    ls | python Examples/Pipelines/console_echo.py

    +---------------+  lines  +---------------+
    | ConsoleReader | ------> | ConsoleEchoer |
    +---------------+         +---------------+

Neither knows of the other: each has boxes, and the Pipeline links them. While you think, both
sleep. What may stand between them is in shout.py: a component of your own.
"""

from contextlib import suppress

from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.Console import ConsoleEchoer, ConsoleReader

with suppress(KeyboardInterrupt):
    Pipeline(ConsoleReader(prompt=""), ConsoleEchoer()).run()
