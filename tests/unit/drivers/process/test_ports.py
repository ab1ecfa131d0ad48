from __future__ import annotations

import socket
from collections.abc import Iterator
from uuid import UUID

import pytest

from deployd.drivers.process import ports
from deployd.drivers.process.ports import choose_ports, is_free
from deployd.errors import Retryable

ANY = UUID(int=5)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on, until the test's end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_listener_is_seen(taken: int) -> None:
    assert not is_free(taken)


def test_the_former_port_is_kept_where_it_is_free(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(ports, "is_free", lambda _: True)  # another program may have it just now
        chosen = choose_ports(["a"], {"a": 20_777}, set(), ANY, 20_000, 29_999)
    assert chosen == {"a": 20_777}
    other = choose_ports(["a"], {"a": 20_777}, {20_777}, ANY, 20_000, 29_999)
    assert other["a"] != 20_777
    assert choose_ports(["a"], {"a": taken}, set(), ANY, 20_000, 29_999)["a"] != taken


def test_each_name_has_its_own() -> None:
    chosen = choose_ports(["a", "b", "c"], {}, {20_006}, ANY, 20_000, 29_999)
    assert len(set(chosen.values())) == 3
    assert 20_006 not in chosen.values()
    assert all(20_000 <= port <= 29_999 for port in chosen.values())


def test_none_is_left() -> None:
    with pytest.raises(Retryable, match="20005"):
        choose_ports(["a"], {}, {20_005}, ANY, 20_005, 20_005)
