"""
Debug sections that need no file
================================
The sections that exist from the start, all silent: the parts of Axon that a component is most
likely to extend. They matter once a configuration file was read, because then an unknown section
is a mistake; see Axon.debug.

Example Usage
-------------
::

    from Axon.debugConfigDefaults import defaultConfig

    level, location = defaultConfig()["component.main"]  # (0, "default")
"""

_SECTIONS = (
    "AdaptiveCommsComponent",
    "background",
    "box",
    "component",
    "component.main",
    "coordinatingassistanttracker",
    "handle",
    "introspector",
    "linkage",
    "microprocess",
    "microprocess.main",
    "postoffice",
    "scheduler",
    "scheduler.main",
    "stm",
    "threadedcomponent",
    "threadedcomponent.main",
)


def defaultConfig() -> dict[str, tuple[int, str]]:  # noqa: N802 - the original's name
    """Return section -> (level, location), a new dict each time."""
    return dict.fromkeys(_SECTIONS, (0, "default"))
