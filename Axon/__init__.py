"""
Axon: components that talk through boxes
========================================
A component is a generator with inboxes and outboxes; linkages join boxes; a cooperative scheduler
runs thousands of components in one thread. To read it as a text take the modules in this order,
each builds only on those before it: AxonExceptions, idGen, Ipc, Box, Linkage, Postoffice,
Microprocess, Waiter, Scheduler, Component, AdaptiveCommsComponent, ThreadedComponent,
CoordinatingAssistantTracker, Testing.

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

from Axon import (
    AdaptiveCommsComponent,
    AxonExceptions,
    Box,
    Component,
    CoordinatingAssistantTracker,
    Ipc,
    Linkage,
    Microprocess,
    Postoffice,
    Scheduler,
    ThreadedComponent,
    Waiter,
    idGen,
)

__all__ = [
    "AdaptiveCommsComponent",
    "AxonExceptions",
    "Box",
    "Component",
    "CoordinatingAssistantTracker",
    "Ipc",
    "Linkage",
    "Microprocess",
    "Postoffice",
    "Scheduler",
    "ThreadedComponent",
    "Waiter",
    "idGen",
]
