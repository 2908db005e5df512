"""
Show messages, by its older name
================================
consoleEchoer is the ConsoleEchoer of Kamaelia.Util.Console.

Example Usage
-------------
::

    from Kamaelia.Util.ConsoleEcho import consoleEchoer

    consoleEchoer(forwarder=True)
"""

from Kamaelia.Util.Console import ConsoleEchoer

consoleEchoer = ConsoleEchoer
