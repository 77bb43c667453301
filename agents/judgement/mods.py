"""Game modifiers that change how a play is felt or judged: EZ, HR, DT, NC, HT, MR (NF, SD and PF change nothing)."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import ConfigError

BITS = {"NF": 1, "EZ": 2, "HR": 16, "SD": 32, "DT": 64, "HT": 256, "NC": 512, "PF": 16384, "MR": 1 << 30}
"""osu!'s bit mask of each modifier this project understands."""
SCOREV2 = 1 << 29
"""osu!'s bit of ScoreV2, which here is a set of rules (`rules="scorev2"`), not a modifier."""
_IGNORED = 8 | 1024 | 1048576 | SCOREV2  # Hidden, Flashlight, Fade In: they leave keys and windows alone


@dataclass(frozen=True, slots=True)
class Mods:
    """Effects of a set of modifiers; build one with `mods_of`."""

    bits: int = 0  # osu! bit mask
    rate: float = 1.0  # map ms per real ms
    window_scale: float = 1.0  # of the hit windows: EZ 1.4, HR 1 / 1.4
    mirror: bool = False
    score_multiplier: float = 1.0
    bonus_divider: float = 1.0  # ScoreV1: how much less a mistake lowers the bonus


def mods_of(mods: Mods | int | str = "") -> Mods:
    """The modifiers named in `mods`: an osu! bit mask, or text such as "DTHR", "DT,HR" or "" for none."""
    if isinstance(mods, Mods):
        return mods
    bits = _bits_of(mods) if isinstance(mods, str) else int(mods)
    known = sum(BITS.values()) | _IGNORED
    if bits & ~known or bits < 0:
        raise ConfigError(f"mods {bits} hold bits this program does not know; it knows {', '.join(BITS)}")
    fast, slow = bool(bits & (BITS["DT"] | BITS["NC"])), bool(bits & BITS["HT"])
    easy, hard = bool(bits & BITS["EZ"]), bool(bits & BITS["HR"])
    if (fast and slow) or (easy and hard):
        raise ConfigError("mods contradict one another: choose DT or HT, and EZ or HR")
    return Mods(
        bits=bits,
        rate=1.5 if fast else 0.75 if slow else 1.0,
        window_scale=1.4 if easy else 1 / 1.4 if hard else 1.0,
        mirror=bool(bits & BITS["MR"]),
        score_multiplier=0.5 ** (easy + slow + bool(bits & BITS["NF"])),
        bonus_divider=(1.08 if hard else 1.0) * (1.1 if fast else 1.0),
    )


def _bits_of(text: str) -> int:
    letters = "".join(text.upper().replace(",", " ").replace("+", " ").split())
    names = [letters[at : at + 2] for at in range(0, len(letters), 2)]
    unknown = [name for name in names if name not in BITS]
    if unknown:
        raise ConfigError(f"mods '{text}': no modifier is called {unknown[0]!r}; choose among {', '.join(BITS)}")
    return sum(BITS[name] for name in set(names))
