"""Names of a song as the game has them: from its tags, its file's name or the user, and romanised beside the Unicode ones."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from anyascii import anyascii

from chart.model import MACHINE_MADE_TAGS, Metadata
from ear.audio.decode import Tags
from runtime.text import one_line

UNKNOWN_ARTIST = "Unknown Artist"
_NUMBER = re.compile(r"^\d{1,3}(?:\s*[.\-–_)]\s*|\s+(?=\S+.*\s[-–—]\s))")  # of a track, before its name
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff々]")
_KANA = re.compile(r"[\u3041-\u30ff]")
_HANGUL = re.compile(r"[\uac00-\ud7af]")
VOWELS = tuple("aeiou")
_SEPARATOR = re.compile(r"\s+[-–—]\s+|\s*_-_\s*")


def metadata_of(
    title: str, artist: str, creator: str, romanised_title: str = "", romanised_artist: str = ""
) -> Metadata:
    """Names of a generated set; romanised forms that are not given are made from the others."""
    title, artist = one_line(title) or "Untitled", one_line(artist) or UNKNOWN_ARTIST
    return Metadata(
        title=one_line(romanised_title) or romanised(title),
        title_unicode=title,
        artist=one_line(romanised_artist) or romanised(artist),
        artist_unicode=artist,
        creator=one_line(creator),
        tags=MACHINE_MADE_TAGS,
    )


def romanised(text: str) -> str:
    """A name in ASCII, as the game's search wants it: accents are dropped, kana, Hangul, Cyrillic and the like are spelt.

    Names with Han characters stay as they are: how those are read depends on the language and the word.
    """
    if _HAN.search(text):
        return text
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    if plain.isascii():
        return plain
    words = [_word(word) for word in unicodedata.normalize("NFKC", text).split()]
    return " ".join(" ".join(words).split()) or text


def _word(word: str) -> str:
    if _KANA.search(word):
        return _spelt_kana(word)
    spelt = anyascii(word)
    return spelt.capitalize() if _HANGUL.search(word) else spelt


def _spelt_kana(word: str) -> str:
    """A word with kana in Hepburn spelling."""
    spelt, doubled = "", False
    for char in word:
        if char in "っッ":
            doubled = True
            continue
        if char == "ー":
            spelt += spelt[-1:] if spelt[-1:] in VOWELS else ""
            continue
        sound = anyascii(char)
        if char in "ゃゅょャュョ" and spelt.endswith("i"):
            spelt = spelt[:-1]
            sound = sound[1:] if spelt.endswith(("sh", "ch", "j")) else sound
        elif char in "ぁぃぅぇぉァィゥェォ" and spelt[-1:] in VOWELS:
            spelt = spelt[:-1]
        if doubled and sound[:1].isalpha():
            spelt += "t" if sound.startswith("ch") else sound[:1]
        doubled = False
        spelt += sound
    return spelt


def title_and_artist(tags: Tags, path: Path) -> tuple[str, str]:
    """Title and artist by the tags; what they lack by the file's name, read as “Artist - Title”."""
    stem = one_line(path.stem.replace("_", " ") if " " not in path.stem and "_-_" not in path.stem else path.stem)
    name = _NUMBER.sub("", stem) or stem
    artist, title = "", name
    parts = _SEPARATOR.split(name, maxsplit=1)
    if len(parts) == 2 and all(parts):
        artist, title = (part.replace("_", " ").strip() for part in parts)
    return tags.title or (title if not tags.artist or artist.casefold() == tags.artist.casefold() else name), (
        tags.artist or (artist if not tags.title else "") or UNKNOWN_ARTIST
    )
