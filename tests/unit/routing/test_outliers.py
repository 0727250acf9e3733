"""Servers that fail far more often than their peers."""

from freehold.domain.health import CallWindow
from freehold.routing.outliers import ejectable, success_rate_outliers


def windows(*failures: int, calls: int = 100) -> dict[str, CallWindow]:
    return {f"s{place}": CallWindow(calls=calls, failures=each) for place, each in enumerate(failures)}


def test_one_that_fails_far_more_often_than_its_peers_stands_out():
    assert success_rate_outliers(windows(1, 0, 2, 1, 60)) == ("s4",)


def test_equally_bad_ones_do_not():
    assert success_rate_outliers(windows(*[33] * 7)) == ()
    assert success_rate_outliers(windows(30, 31, 29, 32, 30, 31)) == ()


def test_few_peers_or_few_calls_say_nothing():
    assert success_rate_outliers(windows(0, 0, 0, 90)) == ()
    assert success_rate_outliers(windows(0, 0, 0, 0, 90, calls=99)) == ()
    quiet = windows(0, 0, 0, 0) | {"quiet": CallWindow(calls=10, failures=10)}
    assert success_rate_outliers(quiet) == ()


def test_worst_first():
    many = windows(*[0] * 40, 80, 90)
    assert success_rate_outliers(many) == ("s41", "s40")


def test_at_most_a_tenth_but_always_one_and_never_the_last():
    assert ejectable(("a", "b"), peers=5, ejected=0) == ("a",)
    assert ejectable(("a",), peers=5, ejected=1) == ()
    assert ejectable(("a", "b", "c"), peers=25, ejected=0) == ("a", "b")
    assert ejectable(("a",), peers=1, ejected=0) == ()
    assert ejectable(("a",), peers=2, ejected=1) == ()
