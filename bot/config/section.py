"""What every table of the settings is: frozen, without unknown keys, with all that is wrong said at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Annotated, Any, Self, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

T = TypeVar("T")
Loc: TypeAlias = tuple[int | str, ...]
"""Where something stands in the settings, as pydantic counts it."""
Fault: TypeAlias = tuple[Loc, str]
"""A place below a table, and what follows its name in the sentence: ` must …`, `: …` or `.key must …`."""


class Need(IntEnum):
    """How much a command needs configured; each level includes the ones before it."""

    NOTHING = 0
    CONNECTION = 1
    SERVING = 2


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known while settings are read, beyond the table in hand.

    Attributes:
        names: Of all connections, those with faults included.
        hosts: That stand for a team, outside Celonis' own domain.
        asks: Whether Celonis will be asked; else no connection is needed, and none is there.
        need: What must be there, beyond being right where it is there.
        chats: `slack` and `teams`, where something is given for them.
    """

    names: frozenset[str]
    hosts: tuple[str, ...]
    asks: bool
    need: Need
    chats: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """What no file can say, on its way into the settings."""

    value: Any


def fault(said: str) -> PydanticCustomError:
    """What is wrong, as the validator of one value raises it."""
    return PydanticCustomError("fault", "{said}", {"said": said})


def refuse(faults: Iterable[Fault]) -> None:
    """Ends a validation with all the faults, where there are any."""
    wrong = [InitErrorDetails(type=fault(said), loc=loc, input=None) for loc, said in faults]
    if wrong:
        raise ValidationError.from_exception_data("settings", wrong)


def checked(fine: Callable[[str], object], said: str) -> AfterValidator:
    """For texts of one form; what is said of others follows the setting's name."""

    def check(value: str, info: ValidationInfo) -> str:
        if info.context is not None and not fine(value):
            raise fault(said)
        return value

    return AfterValidator(check)


def form(pattern: str, said: str) -> AfterValidator:
    """For texts of one form; others are told that they must `said`."""
    return checked(re.compile(pattern, re.DOTALL).fullmatch, f" must {said}.")


def meant(word: str, known: Iterable[str], otherwise: str = ".") -> str:
    """The end of a sentence: a question after the nearest known word, or `otherwise` where none is near."""
    folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]}?" if near else otherwise


class Section(BaseModel):
    """One table of the toml. A field marked `SkipJsonSchema` is `Found`, in the environment or otherwise.

    What people wrote is judged while it is read; code may put tables together as it likes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    def faults(self, reading: Reading) -> Iterator[Fault]:
        """What is wrong beyond single values."""
        del reading
        yield from ()

    @classmethod
    @cache
    def written(cls) -> Mapping[str, FieldInfo]:
        """The keys that may stand in the file."""
        return {
            key: about
            for key, about in cls.model_fields.items()
            if SkipJsonSchema not in map(type, about.metadata)
        }

    @model_validator(mode="before")
    @classmethod
    def _known(cls, told: Any, info: ValidationInfo) -> Any:
        if info.context is None or not isinstance(told, dict):
            return told
        keys = cls.written()
        refuse(
            ((key,), f" is not a setting{meant(key, keys)}")
            for key, value in told.items()
            if key not in keys and not isinstance(value, Found)
        )
        return {key: value.value if isinstance(value, Found) else value for key, value in told.items()}

    @model_validator(mode="after")
    def _without_faults(self, info: ValidationInfo) -> Self:
        if info.context is not None:
            refuse(self.faults(info.context))
        return self


class _OneOrSeveral:
    """Tells the JSON Schema of a list that one element may stand without its brackets."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Several: TypeAlias = Annotated[tuple[T, ...], BeforeValidator(_listed), _OneOrSeveral()]
"""One element or a list of them."""
