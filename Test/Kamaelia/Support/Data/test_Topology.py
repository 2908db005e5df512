"""The commands of a topology viewer: what they change, what they answer, what is refused."""

import doctest
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Data.Topology import BadCommand, Node, Topology


def made(*commands: str) -> Topology:
    topology = Topology()
    for command in commands:
        assert topology.obey(command.split()) is None
    return topology


TWO = ("ADD NODE 1 one randompos component", "ADD NODE 2 two (3,-4.5) inbox", "ADD LINK 1 2")


def test_the_examples_are_true() -> None:
    assert doctest.testmod(sys.modules[Topology.__module__]).failed == 0


def test_nodes_and_links_come_and_go() -> None:
    topology = made(*TWO, "add link 2 1")
    assert topology.nodes == {
        "1": Node("one", "randompos", "component"),
        "2": Node("two", "(3,-4.5)", "inbox"),
    }
    assert topology.links() == [("1", "2"), ("2", "1")]
    topology.obey(["DEL", "LINK", "1", "2"])
    assert topology.links() == [("2", "1")]


def test_a_node_takes_its_links_with_it() -> None:
    topology = made(*TWO, "ADD LINK 2 1", "ADD LINK 1 1", "ADD LINK 2 2", "DEL NODE 1")
    assert topology.links() == [("2", "2")]
    assert list(topology.nodes) == ["2"]


def test_a_link_that_is_there_stays_one() -> None:
    assert made(*TWO, "ADD LINK 1 2").links() == [("1", "2")]


def test_all_may_go_at_once() -> None:
    topology = made(*TWO, "DEL ALL")
    assert (topology.nodes, topology.links()) == ({}, [])


def test_a_node_gets_another_name() -> None:
    topology = made(*TWO, "UPDATE_NAME NODE 1 uno")
    assert topology.obey(["GET_NAME", "NODE", "1"]) == ("GET_NAME", "NODE", "uno")


def test_the_whole_is_told_as_commands_that_make_it_anew() -> None:
    topology = made(*TWO, "ADD LINK 2 2")
    answer = topology.obey(["get", "all"])
    assert answer is not None
    assert answer[0] == "TOPOLOGY"
    again = made("ADD NODE 9 nine auto outbox")
    for command in answer[1]:
        again.obey(command)
    assert again.nodes == topology.nodes
    assert again.links() == topology.links()


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["ADD"],
        ["ADD", "NODE", "3"],
        ["ADD", "NODE", "1", "again", "auto", "component"],
        ["ADD", "NODE", "3", "three", "somewhere", "component"],
        ["ADD", "LINK", "1", "3"],
        ["ADD", "LINK", "3", "1"],
        ["DEL", "NODE", "3"],
        ["DEL", "LINK", "2", "1"],
        ["DEL", "ALL", "1"],
        ["UPDATE_NAME", "NODE", "3", "three"],
        ["GET_NAME", "NODE", "3"],
        ["PAINT", "NODE", "1"],
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(command: list[str]) -> None:
    topology = made(*TWO)
    before = topology.obey(["GET", "ALL"])
    with pytest.raises(BadCommand):
        topology.obey(command)
    assert topology.obey(["GET", "ALL"]) == before


def test_there_are_limits() -> None:
    topology = Topology(limit=2)
    for command in TWO:
        topology.obey(command.split())
    topology.obey(["ADD", "LINK", "2", "1"])
    with pytest.raises(BadCommand, match="2 nodes"):
        topology.obey(["ADD", "NODE", "3", "three", "auto", "component"])
    with pytest.raises(BadCommand, match="2 links"):
        topology.obey(["ADD", "LINK", "1", "1"])
    topology.obey(["DEL", "NODE", "2"])
    topology.obey(["ADD", "LINK", "1", "1"])


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from(["ADD", "DEL"]), st.integers(0, 3), st.integers(0, 3)),
        max_size=40,
    )
)
def test_links_are_those_that_a_plain_set_would_have(steps: list[tuple[str, int, int]]) -> None:
    topology = Topology()
    nodes: set[int] = set()
    links: set[tuple[int, int]] = set()
    for verb, start, end in steps:
        if start == end and verb == "ADD" and start not in nodes:
            nodes.add(start)
            topology.obey(["ADD", "NODE", f"{start}", "name", "auto", "component"])
        elif start == end and verb == "DEL" and start in nodes:
            nodes.remove(start)
            links = {link for link in links if start not in link}
            topology.obey(["DEL", "NODE", f"{start}"])
        elif verb == "ADD" and {start, end} <= nodes:
            links.add((start, end))
            topology.obey(["ADD", "LINK", f"{start}", f"{end}"])
        elif verb == "DEL" and (start, end) in links:
            links.remove((start, end))
            topology.obey(["DEL", "LINK", f"{start}", f"{end}"])
    assert sorted(topology.links()) == sorted((f"{a}", f"{b}") for a, b in links)
