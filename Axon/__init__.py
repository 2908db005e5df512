"""
Axon: components that talk through boxes
========================================
A component is a generator with inboxes and outboxes; linkages join boxes; a cooperative scheduler
runs thousands of components in one thread.

To read it as a text take the modules in this order; each builds only on those before it:

* messages and boxes: AxonExceptions, idGen, Ipc, Storage, Sinks, Box, Linkage, Postoffice;
* what runs: Stages, Microprocess, Waiter, Timers, Failures, Turns, Scheduler;
* components: Component, AdaptiveCommsComponent, ThreadedComponent, CoordinatingAssistantTracker,
  STM, and OnMessage, another style of writing them;
* from other programs: background, Handle, AsyncioBridge, experimental.Process;
* seeing inside: Instruments, Snapshot, Introspector, Trace, Monitor (``python -m Axon``);
* testing components: Testing.

Base, util, debug, Guards, Guests, Interrupts, Watched, Observation and Declarations are small
helpers.

Example Usage
-------------
::

    import Axon


    class Hello(Axon.Component.component):
        def main(self):
            yield 1
            print("hello")


    Hello().run()
"""

import os

from Axon import (
    AdaptiveCommsComponent,
    AxonExceptions,
    Base,
    Box,
    Component,
    CoordinatingAssistantTracker,
    Introspector,
    Ipc,
    Linkage,
    Microprocess,
    Postoffice,
    Scheduler,
    ThreadedComponent,
    debug,
    debugConfigDefaults,
    debugConfigFile,
    idGen,
    util,
)
from Axon.Base import AxonObject, AxonType

__all__ = [
    "AdaptiveCommsComponent",
    "AxonExceptions",
    "AxonObject",
    "AxonType",
    "Base",
    "Box",
    "Component",
    "CoordinatingAssistantTracker",
    "Introspector",
    "Ipc",
    "Linkage",
    "Microprocess",
    "Postoffice",
    "Scheduler",
    "ThreadedComponent",
    "debug",
    "debugConfigDefaults",
    "debugConfigFile",
    "idGen",
    "util",
]

if os.environ.get("AXON_MONITOR"):  # somebody wants to look into this program: see Axon.Monitor
    from Axon.Monitor import listen_from_environment

    listen_from_environment()
