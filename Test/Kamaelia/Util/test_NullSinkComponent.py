"""NullSinkComponent: the other path to the same class."""

from Kamaelia.Util import NullSink, NullSinkComponent


def test_both_paths_lead_to_one_class() -> None:
    assert NullSinkComponent.nullSinkComponent is NullSink.nullSinkComponent
