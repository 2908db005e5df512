"""
Telling about every change of a running program
===============================================
The Introspector of Axon, under the path at which programs look for it: a component that says, in
lines of text for a topology viewer, which components, boxes and links come and go.

Example Usage
-------------
Watch a pipeline of three come and go::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.Introspector import Introspector

    Pipeline(Introspector(), ConsoleEchoer()).activate()
"""

from Axon.Introspector import Introspector as Introspector
