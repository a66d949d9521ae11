"""Every error has a stable code and text for the person, which never contains the internal cause."""

from __future__ import annotations

import textwrap

import pytest

from kiosk.errors import BY_CODE, ConfigError, KeyRotated, KioskError, Unavailable, from_code, kind_of, new_reference


@pytest.mark.parametrize("kind", BY_CODE.values(), ids=BY_CODE)
def test_words_are_whole_sentences(kind: type[KioskError]) -> None:
    assert kind.code.replace("_", "").isalpha()
    assert kind.code == kind.code.lower()
    assert 400 <= kind.status < 600
    assert kind.sentence.endswith(".")
    assert kind.next_step.endswith(".")
    assert not kind.title.endswith(".")
    assert kind.who[:1].isupper()
    assert not kind.who.endswith(".")


@pytest.mark.parametrize("kind", BY_CODE.values(), ids=BY_CODE)
def test_words_fit_a_small_terminal(kind: type[KioskError]) -> None:
    lines = [line for words in (kind.sentence, kind.next_step) for line in textwrap.wrap(words, 76)]
    assert len(lines) <= 5
    assert len(kind.title) <= 60
    assert len(kind.who) <= 60


@pytest.mark.parametrize("kind", BY_CODE.values(), ids=BY_CODE)
def test_codes_fit_into_the_record(kind: type[KioskError]) -> None:
    assert len(kind.code) <= 32


@pytest.mark.parametrize("kind", [kind for kind in BY_CODE.values() if kind is not ConfigError])
def test_operators_are_told_the_origin_of_each_error(kind: type[KioskError]) -> None:
    assert "origin" in vars(kind), "inherited from another error"
    assert kind.origin.endswith(".")


@pytest.mark.parametrize("kind", BY_CODE.values(), ids=BY_CODE)
def test_what_enter_does_is_what_the_words_say(kind: type[KioskError]) -> None:
    if "Trying again will not help" in kind.next_step:
        assert kind.final
    if kind.final:
        assert not kind.next_step.startswith(("Try again", "Start again", "Get a new code", "Wait a minute and"))


def test_only_a_personal_mac_is_sent_to_the_website() -> None:
    assert [kind.code for kind in BY_CODE.values() if kind.portal] == ["device_personal"]


@pytest.mark.parametrize("code", [code for code in BY_CODE if code != ConfigError.code])
def test_a_code_brings_its_own_error_back(code: str) -> None:
    error = from_code(code, reference="ABCD1234", retry_after=3)
    assert error.code == code
    assert (error.reference, error.retry_after) == ("ABCD1234", 3)


@pytest.mark.parametrize("code", ["of_a_newer_broker", "", "configuration"])
def test_an_unknown_code_is_plainly_unavailable(code: str) -> None:
    assert type(from_code(code)) is Unavailable


def test_words_can_be_had_without_an_error() -> None:
    assert kind_of("key_rotated") is KeyRotated
    assert kind_of("of_a_newer_broker") is kind_of(None) is None


def test_references_can_be_read_out() -> None:
    assert len(new_reference()) == 8
    assert new_reference() != new_reference()
