"""A batch divided: every sample once, as many rounds for all, no micro-batch too long, all about equal."""

from hypothesis import given
from hypothesis import strategies as st

from madi.train.micro import divided


@given(
    lengths=st.lists(st.integers(1, 9000), min_size=4, max_size=40),
    processes=st.integers(1, 4),
    most=st.none() | st.integers(1, 40_000),
)
def test_every_sample_is_in_one_micro_batch_and_processes_step_together(lengths, processes, most):
    made = divided(lengths, processes, most)
    places = sorted(place for mine in made for micro in mine for place in micro)
    assert places == list(range(len(lengths))) and len(made) == processes
    assert len({len(mine) for mine in made}) == 1  # as many rounds for all
    for mine in made:
        assert all(most is None or len(micro) <= 1 or sum(lengths[i] for i in micro) <= most for micro in mine)
    assert divided(lengths, processes, most) == made


def test_one_process_without_a_limit_takes_the_batch_as_it_is():
    assert divided([5, 1, 9], 1, None) == [[[0, 1, 2]]]


def test_edits_and_text_to_image_are_spread_evenly():
    made = divided([8250] * 64 + [4150] * 64, 4, 33_000)
    loads = [sum((8250 if i < 64 else 4150) for i in micro) for mine in made for micro in mine]
    assert max(loads) <= 33_000 and max(loads) - min(loads) <= 4150


def test_a_sample_too_few_makes_no_micro_batch_too_long():
    made = divided([8300] * 127, 4, 8300)
    assert sorted(len(micro) for mine in made for micro in mine) == [0] + [1] * 127


def test_fewer_samples_than_processes_leave_some_without():
    assert divided([3], 2, None) == [[[0]], [[]]]
