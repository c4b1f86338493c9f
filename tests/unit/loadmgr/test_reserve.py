"""The ladder of limits that may be in force."""

from loadmgr.domain.reserve import FOLLOW_S, MOST_STEPS, Ladder


def lowered() -> Ladder:
    """16 A are in force; 10 A were sent as revision 2 at 0 s."""
    ladder = Ladder(bound_a=16.0, least_a=16.0)
    ladder.sent(2, 10.0, 0.0)
    return ladder


def test_a_raise_counts_from_the_moment_it_is_sent() -> None:
    ladder = Ladder(bound_a=10.0, least_a=10.0)
    ladder.sent(2, 16.0, 0.0)
    assert (ladder.upper_a(0.0), ladder.lower_a()) == (16.0, 10.0)


def test_a_lowering_counts_when_accepted_and_followed() -> None:
    ladder = lowered()
    ladder.accepted(2, 1.0)
    assert ladder.upper_a(1.0 + FOLLOW_S - 0.1) == 16.0
    assert ladder.upper_a(1.0 + FOLLOW_S) == 10.0


def test_without_acceptance_the_old_limit_stays_reserved_for_ever() -> None:
    assert lowered().upper_a(86_400.0) == 16.0


def test_accepting_an_older_limit_proves_nothing_about_a_newer() -> None:
    ladder = lowered()
    ladder.sent(3, 20.0, 1.0)
    ladder.sent(4, 6.0, 2.0)
    ladder.accepted(3, 3.0)
    assert ladder.upper_a(60.0) == 20.0
    assert ladder.lower_a() == 6.0


def test_a_repetition_is_accepted_for_the_limit_it_repeats() -> None:
    ladder = lowered()
    ladder.sent(3, 10.0, 1.0)
    ladder.accepted(3, 2.0)
    ladder.accepted(3, 50.0)
    assert ladder.upper_a(2.0 + FOLLOW_S) == 10.0


def test_a_limit_that_was_only_supposed_is_known_once_the_box_takes_it() -> None:
    ladder = Ladder(bound_a=16.0)
    ladder.sent(2, 16.0, 0.0)
    assert (ladder.upper_a(0.0), ladder.lower_a()) == (16.0, 0.0)
    ladder.accepted(2, 1.0)
    assert ladder.lower_a() == 16.0


def test_an_unknown_revision_proves_nothing() -> None:
    ladder = lowered()
    ladder.accepted(1, 0.0)
    assert ladder.upper_a(60.0) == 16.0


def test_what_has_settled_is_forgotten() -> None:
    ladder = lowered()
    ladder.accepted(2, 0.0)
    ladder.sent(3, 12.0, 10.0)
    assert (ladder.bound_a, ladder.least_a, len(ladder.steps)) == (10.0, 10.0, 1)


def test_a_box_that_never_answers_does_not_fill_the_memory() -> None:
    ladder = Ladder(bound_a=6.0, least_a=6.0)
    for revision in range(100):
        ladder.sent(revision, 32.0 - revision % 20, float(revision))
    assert len(ladder.steps) == MOST_STEPS
    assert ladder.upper_a(1_000.0) == 32.0
    assert ladder.lower_a() == 6.0


def test_the_fallback_is_in_force_when_a_lease_has_run_out() -> None:
    ladder = lowered()
    ladder.fell_back(2, 0.0, 100.0)
    assert ladder.upper_a(100.0 + FOLLOW_S) == 0.0


def test_a_late_word_of_a_fallback_only_widens_what_is_possible() -> None:
    ladder = lowered()
    ladder.sent(3, 12.0, 50.0)
    ladder.fell_back(2, 20.0, 51.0)
    assert ladder.upper_a(51.0) == 20.0
    ladder.fell_back(2, 0.0, 51.0)
    assert ladder.lower_a() == 0.0
