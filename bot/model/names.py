"""What things are called, and what a name can be the name of."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a name can be the name of."""

    CONNECTION = "connection"
    MODEL = "knowledge model"
    RECORD = "record"
    FIELD = "field"
    KPI = "KPI"
    FILTER = "filter"
    POOL = "data pool"
    JOB = "data job"
    DATA_MODEL = "data model"
    SPACE = "space"
    PACKAGE = "package"
    ANALYSIS = "analysis"


LIES_IN = {Kind.JOB: Kind.POOL, Kind.DATA_MODEL: Kind.POOL, Kind.PACKAGE: Kind.SPACE}
"""What can be named without what it lies in."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a person called something; `id` is filled in once it is known which thing is meant."""

    text: str
    id: str = ""


GAPS = re.compile(r"[\s_\-‐-―]+")
"""What people put between words, or leave out."""


def fold(text: str) -> str:
    """Text without what people type carelessly: case, width, spaces, dashes and underscores."""
    return GAPS.sub("", unicodedata.normalize("NFKC", text).casefold())
