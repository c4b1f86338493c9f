from hypothesis import given
from hypothesis import strategies as st

from modbus_bridge.domain.blocks import Block, plan_blocks, split
from modbus_bridge.domain.template import Point, PollGroup


def test_neighbours_are_read_together() -> None:
    points = {"b": Point(addr=2, type="u32"), "a": Point(addr=0, type="u32"), "c": Point(addr=4)}
    blocks = plan_blocks(points, max_read=125, max_gap=0)[PollGroup.NORMAL]
    assert blocks == (Block(3, 0, 5, ("a", "b", "c")),)


def test_gap_is_crossed_only_as_far_as_the_device_allows() -> None:
    points = {"a": Point(addr=0), "b": Point(addr=3), "c": Point(addr=7)}
    blocks = plan_blocks(points, max_read=125, max_gap=2)[PollGroup.NORMAL]
    assert [b.points for b in blocks] == [("a", "b"), ("c",)]


def test_block_is_no_longer_than_the_device_answers() -> None:
    points = {f"p{n}": Point(addr=n * 2, type="f32") for n in range(5)}
    blocks = plan_blocks(points, max_read=4, max_gap=0)[PollGroup.NORMAL]
    assert [b.count for b in blocks] == [4, 4, 2]


def test_different_functions_and_groups_are_read_apart() -> None:
    points = {
        "a": Point(addr=0),
        "b": Point(addr=1, fc=4),
        "c": Point(addr=2, poll=PollGroup.FAST),
    }
    plan = plan_blocks(points, max_read=125, max_gap=10)
    assert [b.points for b in plan[PollGroup.NORMAL]] == [("a",), ("b",)]
    assert [b.points for b in plan[PollGroup.FAST]] == [("c",)]


def test_overlapping_points_share_a_block() -> None:
    points = {"whole": Point(addr=0, type="u64"), "part": Point(addr=1)}
    (block,) = plan_blocks(points, max_read=125, max_gap=0)[PollGroup.NORMAL]
    assert (block.address, block.count) == (0, 4)


def test_what_is_never_polled_or_cannot_be_read_is_in_no_block() -> None:
    points = {
        "order": Point(addr=0, fc=None, write_fc=6),
        "rare": Point(addr=1, poll=PollGroup.NEVER),
    }
    assert not any(plan_blocks(points, max_read=125, max_gap=0).values())


def test_refused_block_is_split_into_its_points() -> None:
    points = {"a": Point(addr=4, type="u32"), "b": Point(addr=8, fc=3)}
    block = Block(3, 4, 5, ("a", "b"))
    assert split(block, points) == (Block(3, 4, 2, ("a",)), Block(3, 8, 1, ("b",)))


@given(
    st.dictionaries(
        st.sampled_from([f"p{n}" for n in range(20)]),
        st.builds(
            Point,
            addr=st.integers(0, 300),
            fc=st.sampled_from([3, 4]),
            type=st.sampled_from(["u16", "f32", "u64"]),
        ),
        min_size=1,
    ),
    st.integers(4, 60),
    st.integers(0, 20),
)
def test_every_point_is_in_exactly_one_block_that_holds_it(
    points: dict[str, Point], max_read: int, max_gap: int
) -> None:
    blocks = plan_blocks(points, max_read=max_read, max_gap=max_gap)[PollGroup.NORMAL]
    assert sorted(name for b in blocks for name in b.points) == sorted(points)
    for block in blocks:
        assert block.count <= max_read
        for name in block.points:
            point = points[name]
            assert block.fc == point.fc
            assert block.address <= point.addr
            assert point.addr + point.count <= block.address + block.count
