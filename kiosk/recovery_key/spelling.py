"""Spelling alphabets: a word for each letter and digit, for reading a key aloud.

A word is a constant and not secret, but all words of a key in order are the key. So this module returns one word at
a time and never joins two.
"""

from __future__ import annotations

from typing import Final

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS: Final = "0123456789"
INTERNATIONAL: Final = "en"

# Words for A to Z, then for 0 to 9. Digits are written in small letters, as numerals.
_WORDS: Final = {
    # ICAO Annex 10, which is also NATO's and the ITU's. Digits as they are spoken off the air.
    "en": (
        (
            "Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa"
            " Quebec Romeo Sierra Tango Uniform Victor Whiskey X-ray Yankee Zulu"
        ),
        "zero one two three four five six seven eight nine",
    ),
    # The Danish telephone directory's.
    "da": (
        (
            "Anna Bernhard Cecilie David Erik Frederik Georg Hans Ida Johan Karen Ludvig Marie Nikolaj Odin Peter"
            " Quintus Rasmus Søren Theodor Ulla Viggo William Xerxes Yrsa Zacharias"
        ),
        "nul en to tre fire fem seks syv otte ni",
    ),
    # DIN 5009:2022, the standard in force for business and administration. It replaced the postal table of first names
    # (Anton, Berta, Cäsar), which many still know by heart; the letters are shown beside the words anyway.
    # Zwo is what is said on the telephone, as zwei sounds like drei.
    "de": (
        (
            "Aachen Berlin Chemnitz Düsseldorf Essen Frankfurt Goslar Hamburg Ingelheim Jena Köln Leipzig München"
            " Nürnberg Offenbach Potsdam Quickborn Rostock Salzwedel Tübingen Unna Völklingen Wuppertal Xanten"
            " Ypsilon Zwickau"
        ),
        "null eins zwo drei vier fünf sechs sieben acht neun",
    ),
    # What Spanish telephone operators use; there is no standard.
    "es": (
        (
            "Antonio Barcelona Carmen Dolores Enrique Francia Gerona Historia Inés José Kilo Lorenzo Madrid Navarra"
            " Oviedo París Querido Ramón Sábado Tarragona Ulises Valencia Washington Xilófono Yegua Zaragoza"
        ),
        "cero uno dos tres cuatro cinco seis siete ocho nueve",
    ),
    # The list of the Institute for the Languages of Finland. For Q, X and Z it has the letters' names alone; that of Q
    # is all but the number six (kuu, kuusi), so Quintus replaces it.
    "fi": (
        (
            "Aarne Bertta Celsius Daavid Eemeli Faarao Gideon Heikki Iivari Jussi Kalle Lauri Matti Niilo Otto Paavo"
            " Quintus Risto Sakari Tyyne Urho Vihtori Wiski Äksä Yrjö Tseta"
        ),
        "nolla yksi kaksi kolme neljä viisi kuusi seitsemän kahdeksan yhdeksän",
    ),
    # The French post office's.
    "fr": (
        (
            "Anatole Berthe Célestin Désiré Eugène François Gaston Henri Irma Joseph Kléber Louis Marcel Nicolas"
            " Oscar Pierre Quintal Raoul Suzanne Thérèse Ursule Victor William Xavier Yvonne Zoé"
        ),
        "zéro un deux trois quatre cinq six sept huit neuf",
    ),
    # The usual towns; for letters that no Italian town begins with, the usual loan words.
    "it": (
        (
            "Ancona Bologna Como Domodossola Empoli Firenze Genova Hotel Imola Jolly Kilo Livorno Milano Napoli"
            " Otranto Palermo Quarto Roma Savona Torino Udine Venezia Washington Xilofono York Zara"
        ),
        "zero uno due tre quattro cinque sei sette otto nove",
    ),
    # The Norwegian telegraph office's. V and W are told apart by their names, single and double.
    "nb": (
        (
            "Anna Bernhard Caesar David Edith Fredrik Gustav Harald Ivar Johan Karin Ludvig Martin Nils Olivia"
            " Petter Quintus Rikard Sigrid Teodor Ulrik Enkelt-V Dobbelt-V Xerxes Yngling Zakarias"
        ),
        "null en to tre fire fem seks sju åtte ni",
    ),
    # The Dutch telephone alphabet.
    "nl": (
        (
            "Anton Bernhard Cornelis Dirk Eduard Ferdinand Gerard Hendrik Izaak Johan Karel Lodewijk Maria Nico Otto"
            " Pieter Quotiënt Rudolf Simon Theodoor Utrecht Victor Willem Xantippe Ypsilon Zacharias"
        ),
        "nul een twee drie vier vijf zes zeven acht negen",
    ),
    # The usual first names; Q, V and X are foreign to Polish.
    "pl": (
        (
            "Adam Barbara Celina Dorota Ewa Franciszek Grażyna Henryk Irena Jadwiga Karol Leon Maria Natalia Olga"
            " Paweł Quebec Roman Stanisław Tadeusz Urszula Violetta Wacław Xymena Ypsylon Zygmunt"
        ),
        "zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć",
    ),
    # The Portuguese telephone directory's.
    "pt": (
        (
            "Aveiro Braga Coimbra Dafundo Évora Faro Guarda Horta Itália José Kodak Lisboa Maria Nazaré Ovar Porto"
            " Queluz Rossio Setúbal Tavira Unidade Vidago Waldemar Xavier York Zulmira"
        ),
        "zero um dois três quatro cinco seis sete oito nove",
    ),
    # The Swedish telegraph office's, with the digits of 1960: ett and sju, as etta and sjua were misheard.
    "sv": (
        (
            "Adam Bertil Caesar David Erik Filip Gustav Helge Ivar Johan Kalle Ludvig Martin Niklas Olof Petter"
            " Quintus Rudolf Sigurd Tore Urban Viktor Wilhelm Xerxes Yngve Zäta"
        ),
        "nolla ett tvåa trea fyra femma sexa sju åtta nia",
    ),
}


class Alphabet:
    """The words of one language. Returns the same objects each time, so that no copy is ever drawn."""

    def __init__(self, language: str) -> None:
        letters, digits = _WORDS[language]
        self._words = dict(zip(LETTERS + DIGITS, (*letters.split(), *digits.split()), strict=True))

    def word(self, character: str) -> str:
        """Return the word for a character, or the character itself if it has none."""
        return self._words.get(character.upper(), character)


def alphabet(language: str) -> Alphabet:
    """Return the alphabet of a language, or the international one."""
    return Alphabet(language if language in _WORDS else INTERNATIONAL)
