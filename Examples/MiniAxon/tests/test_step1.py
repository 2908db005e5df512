"""Step 1: a microprocess has a main, and main is a generator."""

import inspect

import pytest


def test_main_of_a_microprocess_is_a_generator(mine):
    turns = mine.microprocess().main()
    assert inspect.isgenerator(turns), (
        "calling main() must make a generator. A function is a generator function if there is a"
        " yield in it, and yours has none"
    )


def test_a_plain_microprocess_has_one_turn_and_ends(mine):
    turns = mine.microprocess().main()
    next(turns)
    with pytest.raises(StopIteration):
        next(turns)


def test_a_talker_is_a_microprocess(mine):
    assert issubclass(mine.Talker, mine.microprocess), "write: class Talker(microprocess)"


def test_a_talker_says_nothing_before_its_first_turn(mine, capsys):
    mine.Talker("Ann", 2).main()
    assert capsys.readouterr().out == "", "it talked before anybody called next()"


def test_a_talker_says_one_thing_a_turn(mine, capsys):
    turns = mine.Talker("Ann", 2).main()
    next(turns)
    said = capsys.readouterr().out
    assert said.count("\n") < 2, f"in its first turn it said {said!r}: where is the yield?"
    wanted = "Ann says 1\n"
    assert said == wanted, (
        f"in its first turn it said {said!r} and not {wanted!r}: it counts from 1"
    )
    next(turns)
    said = capsys.readouterr().out
    assert said == "Ann says 2\n", f"in its second turn it said {said!r}"


def test_a_talker_ends_after_so_many_turns(mine):
    turns = mine.Talker("Ann", 3).main()
    count = len(list(turns))
    assert count == 3, f"Talker('Ann', 3) had {count} turns"


def test_two_talkers_do_not_share_anything(mine, capsys):
    alone = []
    for name in ("Ann", "Bob"):
        list(mine.Talker(name, 2).main())
        alone.append(capsys.readouterr().out.splitlines())
    ann, bob = mine.Talker("Ann", 2).main(), mine.Talker("Bob", 2).main()
    for turns in (ann, bob, bob, ann):
        next(turns)
    said = capsys.readouterr().out.splitlines()
    assert [said[::3], said[1:3]] == alone, (
        "by turns they do not say what each says alone:"
        " what belongs to one of them must be in self, or in a variable of main"
    )
