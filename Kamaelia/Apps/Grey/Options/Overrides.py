"""
What the command line has said, laid over a configuration
=========================================================
An option beats the setting of the file that means the same: at the start, and each time the file is
read again. `Overrides` is what is kept of the command line for that.

Example Usage
-------------
>>> over = Overrides((("greylist_delay", 60), ("quiet", True)))
>>> config = over.apply(Config(greylist_delay=1800))
>>> config.greylist_delay, config.quiet, config.noauth
(60, True, False)
>>> over.names
('greylist_delay', 'quiet')

A program that becomes a daemon leaves the folder in which it was started. What a file names without
a leading slash is meant to be in that folder; `folder` makes it so.

>>> Overrides(folder=Path("/etc")).apply(Config(database=Path("grey.db"))).database
PosixPath('/etc/grey.db')
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from Kamaelia.Apps.Grey.Config.Contradictions import contradictions
from Kamaelia.Apps.Grey.Config.Schema import Config


@dataclass(frozen=True, slots=True)
class Overrides:
    """values: fields of Config and what they are to be. folder: where relative paths begin; None:
    they stay as they are."""

    values: tuple[tuple[str, Any], ...] = ()
    folder: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.values)

    def apply(self, config: Config) -> Config:
        """The configuration as it is to be used."""
        config = replace(config, **dict(self.values))
        folder = self.folder
        if folder is None:
            return config
        anchored = {
            each.name: _anchored(getattr(config, each.name), folder) for each in fields(config)
        }
        return replace(config, **{k: v for k, v in anchored.items() if v is not getattr(config, k)})

    def problems(self, config: Config) -> list[str]:
        """What does not go together any more; config: with these overrides in it. Without them
        there is nothing here: the reader has seen to the file."""
        if not self.values:
            return []
        return [f"{message}: {cure}" for _, message, cure in contradictions(config)]


def _anchored(value: Any, folder: Path) -> Any:  # noqa: ANN401 - whatever a setting may be
    """The same with its paths absolute; the same object if there is nothing to change."""
    if isinstance(value, Path):
        return value if value.is_absolute() else folder / value
    if type(value) is tuple and any(isinstance(each, Path | tuple) for each in value):
        made = tuple(_anchored(each, folder) for each in value)
        return value if all(a is b for a, b in zip(made, value, strict=True)) else made
    return value
