"""What a sentence means here, for this person: one thing, several, or nothing that could be answered.

Two doors: an exact sentence (`bot.language.parse`) has one reading, whose names are looked up; everything else is
understood with the names that this person may see (`bot.language.understand`), list by list, as far as it is needed.
What changes Celonis is only ever opened by an exact sentence or by the template of `bot.language.gate`.
"""

from bot.meaning.meanings import Meanings
from bot.meaning.meant import Meaning, One, Several, Unclear

__all__ = ["Meaning", "Meanings", "One", "Several", "Unclear"]
