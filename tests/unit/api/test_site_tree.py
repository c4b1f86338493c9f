"""The tree of circuits."""

from api.domain.site_tree import ancestors, circuits_in_cycles, own_and_below
from shared.contracts.site import SiteConfig


def site(**parents: str | None) -> SiteConfig:
    circuits = [
        {"id": circuit_id, "parent": parent, "limit_a": 32}
        for circuit_id, parent in parents.items()
    ]
    return SiteConfig.model_validate({"circuits": circuits})


def test_ancestors_go_from_the_bottom_to_the_root() -> None:
    tree = site(main=None, floor="main", row="floor", other="main")
    assert [circuit.id for circuit in ancestors(tree, "row")] == ["row", "floor", "main"]
    assert ancestors(tree, "nowhere") == []


def test_everything_below_is_found_once() -> None:
    tree = site(main=None, floor="main", row="floor", other="main")
    assert own_and_below(tree, "main") == {"main", "floor", "row", "other"}
    assert own_and_below(tree, "floor") == {"floor", "row"}


def test_a_loop_is_found_and_does_not_hang() -> None:
    loop = site(main=None, a="b", b="a", below="a")
    assert circuits_in_cycles(loop) == ["a", "b"]
    assert own_and_below(loop, "a") == {"a", "b", "below"}
