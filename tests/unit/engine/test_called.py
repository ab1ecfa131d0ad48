"""Whose mail is not read yet."""

from __future__ import annotations

from uuid import uuid4

from deployd.engine.called import Called

ONE, OTHER = uuid4(), uuid4()


def test_who_is_held_is_called_until_its_mail_was_read() -> None:
    called = Called()
    assert not called.call([ONE])
    called.hold(ONE)
    assert called.call([ONE, OTHER])
    called.read(ONE, called.now)
    assert not called.let_go(ONE)


def test_a_reading_that_began_before_the_call_may_have_missed_it() -> None:
    called = Called()
    called.hold(ONE)
    begun = called.now
    called.call([ONE])
    called.read(ONE, begun)
    assert called.let_go(ONE)
    assert not called.call([ONE]), "it is not held any more"


def test_who_is_called_while_it_is_claimed() -> None:
    called = Called()
    called.expect()
    assert not called.call([ONE, OTHER])
    called.hold(ONE)
    assert called.came()
    assert called.let_go(ONE)
    called.expect()
    called.call([OTHER])
    called.hold(ONE)
    assert not called.came(), "the other one was not claimed"
    assert not called.let_go(ONE)


def test_whoever_is_held_may_have_mail_when_hints_were_lost() -> None:
    called = Called()
    called.hold(ONE)
    called.call_all()
    assert called.let_go(ONE)
    assert not called.let_go(OTHER)
