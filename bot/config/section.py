"""What every table of the settings is: frozen, without unknown keys, with all that is wrong said at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Self, TypeAlias, TypeVar

from pydantic import (
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


def fault(said: str) -> PydanticCustomError:
    """What is wrong, as it follows the name of the setting: ` must …`, `: …` or `.key must …`."""
    return PydanticCustomError("fault", "{said}", {"said": said})


def refuse(faults: Iterable[tuple[Loc, str]]) -> None:
    """Ends a validation, where there are faults, with all of them: the place below what is validated, and `fault`'s words."""
    wrong = [InitErrorDetails(type=fault(said), loc=loc, input=None) for loc, said in faults]
    if wrong:
        raise ValidationError.from_exception_data("settings", wrong)


def meant(word: str, known: Iterable[str], otherwise: str = ".") -> str:
    """The end of a sentence: a question after the nearest known word, or `otherwise` where none is near."""
    folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]}?" if near else otherwise


class Section(BaseModel):
    """One table of the toml. A field marked `SkipJsonSchema` is found out or comes from the environment."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    def faults(self) -> Iterator[tuple[Loc, str]]:
        """What is wrong beyond single values, as `refuse` takes it; asked when the settings are read."""
        yield from ()

    @model_validator(mode="after")
    def _without_faults(self, info: ValidationInfo) -> Self:
        if info.context is not None:
            refuse(self.faults())
        return self

    @classmethod
    def written(cls) -> Mapping[str, FieldInfo]:
        """The keys that may stand in the file."""
        return {
            key: about
            for key, about in cls.model_fields.items()
            if not any(type(each) is SkipJsonSchema for each in about.metadata)
        }


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _OneOrSeveral:
    """Tells the JSON Schema of a list that one element may stand without its brackets."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}


class OrText:
    """Tells the JSON Schema of a table that a text may stand for it."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


Several: TypeAlias = Annotated[tuple[T, ...], BeforeValidator(_listed), _OneOrSeveral()]
"""One element or a list of them."""
