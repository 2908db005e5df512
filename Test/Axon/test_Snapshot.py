"""Snapshots as JSON: what was written comes back, anything else is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Axon.Snapshot import (
    BoxState,
    ComponentState,
    Direction,
    End,
    LinkState,
    Snapshot,
    State,
    from_json,
    to_json,
)

NUMBERS = st.integers(0, 2**62)
MAYBE = st.none() | NUMBERS
BOXES = st.builds(
    BoxState,
    name=st.text(),
    direction=st.sampled_from(Direction),
    waiting=NUMBERS,
    limit=MAYBE,
    messages=MAYBE,
    description=st.text(),
)
COMPONENTS = st.builds(
    ComponentState,
    id=NUMBERS,
    name=st.text(),
    kind=st.text(),
    parent=MAYBE,
    state=st.sampled_from(State),
    seconds=st.none() | st.floats(0, 1e6),
    threaded=st.booleans(),
    place=st.none() | st.text(),
    steps=MAYBE,
    boxes=st.lists(BOXES, max_size=3).map(tuple),
)
ENDS = st.builds(
    End, component=NUMBERS, direction=st.sampled_from(Direction), box=st.text(max_size=5)
)
LINKS = st.builds(LinkState, source=ENDS, sink=ENDS, passthrough=st.integers(0, 2), messages=MAYBE)
SNAPSHOTS = st.builds(
    Snapshot,
    pid=NUMBERS,
    time=st.floats(0, 1e9),
    components=st.lists(COMPONENTS, max_size=4).map(tuple),
    links=st.lists(LINKS, max_size=4).map(tuple),
    timers=NUMBERS,
    files=NUMBERS,
    steps=MAYBE,
    messages=MAYBE,
    omitted=NUMBERS,
)
EMPTY = Snapshot(1, 0.0, (), (), 0, 0, None, None, 0)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*Snapshot.__slots__, "x"]), inner, max_size=9)
    ),
)


@given(SNAPSHOTS)
def test_what_is_written_comes_back(taken: Snapshot) -> None:
    text = to_json(taken)
    assert from_json(text) == taken
    assert text.isascii()
    assert "\n" not in text


@given(JSON)
def test_any_other_json_is_refused_in_one_way(raw: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=r"snapshot|JSON|valid"):
        from_json(json.dumps(raw))


@pytest.mark.parametrize("text", ["", "{", b"\xff", "[" * 100_000, '{"pid":' + "1" * 5000 + "}"])
def test_what_is_no_json_is_refused_in_the_same_way(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of many texts
        from_json(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [("pid", "1"), ("pid", None), ("components", {}), ("links", [{}]), ("time", []), ("more", 1)],
)
def test_a_wrong_field_is_refused(field: str, value: object) -> None:
    raw = {**json.loads(to_json(EMPTY)), field: value}
    if field == "components":
        raw["components"] = [1]
    with pytest.raises(ValueError, match="not a snapshot"):
        from_json(json.dumps(raw))


def test_a_missing_field_is_refused() -> None:
    raw = json.loads(to_json(EMPTY))
    del raw["timers"]
    with pytest.raises(ValueError, match="not a snapshot"):
        from_json(json.dumps(raw))
