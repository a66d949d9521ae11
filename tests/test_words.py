"""What the search for unwanted phrases finds, and that it finds nothing in the project."""

import pytest

from docs import words

UNWANTED = words.phrases(words.GUIDE.read_text(encoding="utf-8"))


def test_documents_and_messages_have_no_unwanted_phrase() -> None:
    found = words.check()
    assert not found, "\n".join(["", *found, "see docs/english.md"])


def test_the_guide_lists_phrases_with_something_better() -> None:
    assert {"anew", "whoever", ", too,", "look whether"} <= UNWANTED.keys()
    assert all(UNWANTED.values())


@pytest.mark.parametrize(
    ("text", "line", "phrase"),
    [
        ("The device is read anew.", 1, "anew"),
        ("First line.\nWhoever runs it.", 2, "whoever"),
        ("It does so by\n  itself.", 1, "by itself"),
        ("The Mac shows it, too, on request.", 1, ", too,"),
        ("Demands a token", 1, "demands"),
    ],
)
def test_a_phrase_is_found_where_it_starts(text: str, line: int, phrase: str) -> None:
    (found,) = words.search([words.Text("page.md", 1, text)], UNWANTED)
    assert (found.line, found.phrase, found.better) == (line, phrase, UNWANTED[phrase])
    assert str(found) == f"page.md:{line}: {phrase!r}; better: {UNWANTED[phrase]}"


@pytest.mark.parametrize(
    "text", ["There are, too many to count.", "A standby understands renewal.", "if there is None"]
)
def test_other_words_are_left_alone(text: str) -> None:
    assert not list(words.search([words.Text("page.md", 1, text)], UNWANTED))


@pytest.mark.parametrize(
    "source",
    [
        'def f():\n    """Read it anew."""\n',
        'click.option("--all", help="Read it anew.")\n',
        'raise ConfigError(path, f"{name} is read " f"anew, not {what}")\n',
        'log.warning("goes on by "\n            "itself: %s", cause)\n',
    ],
)
def test_literals_are_searched_whole(source: str) -> None:
    assert list(words.search(words.literals("module.py", source), UNWANTED))


def test_names_and_comments_are_no_literals() -> None:
    assert not list(words.literals("module.py", "anew = whoever  # by itself\n"))
