"""Update all catalogues, and print how many messages still need a translation."""

from __future__ import annotations

from translations.catalogues import TRANSLATED, compiled, open_messages, path, renewed, written


def main() -> None:
    for language in TRANSLATED:
        catalogue = renewed(language)
        place = path(language)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(written(catalogue))
        place.with_suffix(".mo").write_bytes(compiled(catalogue))
        missing = open_messages(catalogue)
        print(f"{language}  {len(catalogue)} messages, {len(missing)} to translate")


if __name__ == "__main__":
    main()
