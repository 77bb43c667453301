"""Simulated players: judged like the game, failing like people.

    plays = play(chart, around(4.0, 200, rng), seed=1)      # accuracy, misses, errors of 200 players of level 4
    level = required_skill(chart)                           # the level (≈ official stars) that reaches 96 %

How far to trust the numbers is in docs/agents.md.
"""

from agents.difficulty_curve import AccuracyCurve, SectionSkill, accuracy_curve, required_skill, section_skill
from agents.judgement.accuracy import accuracy_320, accuracy_lazer, accuracy_scorev2, accuracy_stable, letter
from agents.judgement.judge import Judged, Presses, hit_windows, judge, presses_of
from agents.judgement.mods import Mods, mods_of
from agents.motor.population import Player, Population, around, everyone, population_of, skill_for
from agents.ranking import ranked
from agents.rating import Rating, rate
from agents.simulate import Plays, play

__all__ = [
    "AccuracyCurve",
    "Judged",
    "Mods",
    "Player",
    "Plays",
    "Population",
    "Presses",
    "Rating",
    "SectionSkill",
    "accuracy_320",
    "accuracy_curve",
    "accuracy_lazer",
    "accuracy_scorev2",
    "accuracy_stable",
    "around",
    "everyone",
    "hit_windows",
    "judge",
    "letter",
    "mods_of",
    "play",
    "population_of",
    "presses_of",
    "ranked",
    "rate",
    "required_skill",
    "section_skill",
    "skill_for",
]
