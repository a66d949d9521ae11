"""Patterns of the operator: whole texts match, mistakes are explained, and none can stop the broker."""

from __future__ import annotations

import pytest

from kiosk.config.safe_regex import LONGEST_INPUT, Pattern


@pytest.mark.parametrize(
    ("source", "text", "fits"),
    [
        (r"INC\d{4,8}( .*)?", "INC4711 locked out", True),
        (r"INC\d{4,8}( .*)?", "xINC4711", False),
        (r"INC\d{4,8}( .*)?", "INC4711x", False),
        ("a|ab", "ab", True),
        (r"\p{L}+", "Überprüfung", True),
        (r"\d", "\N{ARABIC-INDIC DIGIT FOUR}", False),
        ("(?i)inc[0-9]+", "InC1", True),
        ("x*", "x" * LONGEST_INPUT + "y", True),
    ],
)
def test_the_whole_text_has_to_match(source: str, text: str, fits: bool) -> None:
    assert Pattern(source).fits(text) is fits


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("(", "syntax: missing ): ("),
        ("[a", "syntax: missing ]: [a"),
        (r"(a)\1", r"syntax: invalid escape sequence: \1"),
        ("(?=a)b", "syntax: invalid perl operator: (?="),
        ("a{1001}", "syntax: invalid repetition size: {1001}"),
        ("((a{100}){100}){100}", "syntax: invalid repetition size: "),
        (r"(\pL{1000}|\pL{999})", "syntax: pattern too large - compile failed"),
        (" ", "expected a regular expression"),
        (7, "expected a regular expression"),
    ],
)
def test_a_mistake_is_explained_and_not_written_to_standard_error(
    source: object, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="expected a regular expression") as raised:
        Pattern(source)
    assert said in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "source", ["(a+)+", "(a|a)*x", "(a?){50}", "a?" * 40 + "a" * 40, ".*.*.*.*x", r"(\w+\s?)*!", "\\d*\\d*x"]
)
def test_no_pattern_keeps_the_broker_busy(source: str) -> None:
    """A backtracking engine would not finish any of these within the time limit of a test."""
    assert not Pattern(source).fits("a" * (LONGEST_INPUT - 1) + "?")
