"""Rules of the ranking criteria and Mapset Verifier for a set as a whole: its facts (`facts`), the rules (`rules`)."""

from eye.mapset.facts import MapsetFacts, mapset_facts
from eye.mapset.rules import review_mapset

__all__ = ["MapsetFacts", "mapset_facts", "review_mapset"]
