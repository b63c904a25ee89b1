"""What it costs to understand a sentence as the names grow.

    python -m bench.language [--names 100 10000 50000] [--asked 300] [--json]

The sentences are those of tests/language/sets over the catalogs beside them; generated names, made of words that the real
names have and of others, are put around the real ones until there are as many as are wanted. `parse` reads the exact form
of a sentence; `free` is the sentence as somebody typed it; `misspelt` has a letter of one name's word changed. Times are
processor time of one call, the index built once before. The baseline is the smallest size.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bot.commands import COMMANDS
from bot.commands.command import Command
from bot.language.frames import Frames
from bot.language.lexicon import Entity, Lexicon, NameIndex, NameList
from bot.language.parse import Exact, NotExact
from bot.language.say import say
from bot.language.scope import Scope
from bot.language.understand import understand
from bot.language.values import FieldValues
from bot.language.vocabulary import Vocabulary, vocabulary, words_of
from bot.model.names import Kind, Name, fold
from bot.sandbox.content import DEFAULT_SEED, make_knowledge_models, make_pools
from bot.sandbox.schema import KnowledgeModel, Record

CATALOGS = Path(__file__).parents[1] / "tests" / "language" / "catalogs"
SETS = Path(__file__).parents[1] / "tests" / "language" / "sets"
NOW = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)
MODEL_SIZE = 5_000
"""Generated KPIs of a knowledge model at most."""
MOST_VALUES = 50
LETTERS = "abcdefghijklmnopqrstuvwxyz"
OTHERS = [f"{a}{b}{c}" for a in ("vor", "nach", "re", "trans", "inter", "sub") for b in ("pel", "dor", "mis", "kan", "tul", "gram", "set") for c in ("ung", "ation", "ment", "er", "wert", "al")]  # fmt: skip
"""Words that no real name has: with the real ones, some three hundred."""


@dataclass(frozen=True, slots=True)
class World:
    """A lexicon, what can be asked of it, and the words that its real names have."""

    lexicon: Lexicon
    frames: Frames
    models: Mapping[str, Name]
    words: frozenset[str]


def listed(kind: Kind, entities: Sequence[Entity], words: Vocabulary) -> NameList:
    """One list with its index."""
    index = NameIndex(words)
    exact: dict[str, list[int]] = defaultdict(list)
    for number, entity in enumerate(entities):
        index.add(number, entity.name.text)
        for each in {fold(entity.name.text), fold(entity.name.id)}:
            exact[each].append(number)
    return NameList(
        kind, index, exact.keys(), lambda text: exact.get(text, ()), lambda _: True, entities.__getitem__
    )


def of_model(model: KnowledgeModel) -> tuple[dict[Kind, list[Entity]], list[FieldValues]]:
    """What can be named of a knowledge model, and the values of its fields."""
    within = ((Kind.MODEL, Name(model.name, model.id)),)
    items = ((Kind.KPI, model.kpis), (Kind.FILTER, model.filters), (Kind.RECORD, model.records))
    found: dict[Kind, list[Entity]] = {
        kind: [Entity(kind, Name(each.name, each.id), within) for each in held] for kind, held in items
    }
    values: list[FieldValues] = []
    found[Kind.FIELD] = []
    for record in model.records:
        inside = (*within, (Kind.RECORD, Name(record.name, record.id)))
        for at, field in enumerate(record.fields):
            entity = Entity(Kind.FIELD, Name(field.name, f"{record.id}.{field.id}"), inside, field.type)
            found[Kind.FIELD].append(entity)
            if field.type == "string" and (known := values_at(record, at)):
                values.append(FieldValues(entity, known))
    return found, values


def values_at(record: Record, at: int) -> dict[str, str]:
    """The values of a field, unless they are too many to be listed."""
    known = {str(row[at]) for row in record.rows if row[at] is not None}
    return {fold(each): each for each in sorted(known)} if len(known) <= MOST_VALUES else {}


def entities_of(folder: Path) -> tuple[list[list[Entity]], list[FieldValues], dict[str, Name]]:
    """Everything of a catalog."""
    lists: list[list[Entity]] = []
    values: list[FieldValues] = []
    models = make_knowledge_models(DEFAULT_SEED, NOW.timestamp(), folder)
    for model in models:
        named, known = of_model(model)
        lists += named.values()
        values += known
    names = {each.name: Name(each.name, each.id) for each in models}
    lists.append([Entity(Kind.MODEL, each) for each in names.values()])
    pools = make_pools(NOW.timestamp(), folder)
    lists.append([Entity(Kind.POOL, Name(each.name, each.id)) for each in pools])
    for pool in pools:
        within = ((Kind.POOL, Name(pool.name, pool.id)),)
        lists.append([Entity(Kind.JOB, Name(each.name, each.id), within) for each in pool.jobs])
    return lists, values, names


def generated(count: int, words: Sequence[str]) -> list[list[Entity]]:
    """As many KPIs, in knowledge models of their own; some share words with real names."""
    lists: list[list[Entity]] = []
    for first in range(0, count, MODEL_SIZE):
        model = ((Kind.MODEL, Name(f"Generated {first}", f"generated-{first}")),)
        chosen = random.Random(first)
        lists.append([
            Entity(Kind.KPI, Name(f"{' '.join(chosen.sample(words, 3)).capitalize()} {number}", f"K{number}"), model)
            for number in range(first, min(first + MODEL_SIZE, count))
        ])  # fmt: skip
    return lists


def world(folder: Path, names: int) -> World:
    """A catalog with so many names."""
    spoken = vocabulary()
    lists, values, models = entities_of(folder)
    real = [each.name.text for held in lists for each in held]
    own = sorted({each for name in real for each in words_of(name) if each.isalpha()})
    lists += generated(max(0, names - len(real)), sorted({*own, *OTHERS}))
    lexicon = Lexicon(
        spoken, tuple(listed(held[0].kind, held, spoken) for held in lists if held), tuple(values)
    )
    asked = {each.intent.words: each.intent for each in COMMANDS if isinstance(each, Command)}
    opens = {
        Kind.FIELD: "values",
        Kind.KPI: "kpi",
        Kind.RECORD: "data",
        Kind.JOB: "job",
        Kind.POOL: "jobs",
        Kind.MODEL: "model",
    }
    frames = Frames(asked, {kind: asked[each] for kind, each in opens.items()}, asked["help"])
    return World(lexicon, frames, models, frozenset(each for each in own if len(each) > 4))


def misspelt(text: str, here: World, dice: random.Random) -> str:
    """The sentence with a letter in the middle of a name's word changed; the same where it has none."""
    found = [each for each in text.split() if each.casefold() in here.words]
    if not found:
        return text
    word = dice.choice(found)
    at = dice.randrange(2, len(word) - 1)
    other = dice.choice([each for each in LETTERS if each != word[at].casefold()])
    return text.replace(word, f"{word[:at]}{other}{word[at + 1 :]}", 1)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of sentence at one size.

    Attributes:
        names: What can be named.
        kind: `parse`, `free` or `misspelt`.
        sentences: Measured once each.
        p50: Milliseconds; so are `p99` and `most`.
    """

    names: int
    kind: str
    sentences: int
    p50: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Built:
    """The index of one catalog at one size: seconds to build it, megabytes that it keeps."""

    names: int
    seconds: float
    megabytes: float


def timed(names: int, kind: str, work: Sequence[Callable[[], object]]) -> Row:
    """Measures each once."""
    took = []
    for each in work:
        began = time.process_time()
        each()
        took.append((time.process_time() - began) * 1e3)
    took.sort()
    return Row(names, kind, len(took), statistics.median(took), took[int(len(took) * 0.99)], took[-1])


def build(folder: Path, names: int) -> tuple[World, Built]:
    """Twice: once for the time, once for the memory, whose measure costs time."""
    gc.collect()
    began = time.process_time()
    kept = world(folder, names)
    seconds = time.process_time() - began
    tracemalloc.start()
    other = world(folder, names)
    megabytes = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    del other
    return kept, Built(names, seconds, megabytes)


def measure(sizes: Iterable[int], asked: int) -> tuple[list[Row], list[Built]]:
    """Everything, over all catalogs."""
    exact = Exact(tuple(each.intent for each in COMMANDS))
    rows: list[Row] = []
    indexes: list[Built] = []
    folders = sorted(each for each in CATALOGS.iterdir() if each.is_dir())
    for names in sizes:
        work: dict[str, list[Callable[[], object]]] = defaultdict(list)
        for folder in folders:
            here, built = build(folder, names)
            indexes.append(built)
            gather(work, folder.name, here, exact, -(-asked // len(folders)))
        gc.collect()
        gc.freeze()
        for one in work["free"][:20]:
            one()
        rows.extend(timed(names, kind, each) for kind, each in work.items())
        gc.unfreeze()
    return rows, indexes


def gather(
    work: dict[str, list[Callable[[], object]]], catalog: str, here: World, exact: Exact, most: int
) -> None:
    """Adds a catalog's sentences to what is to be measured, over and over until there are enough."""
    dice = random.Random(catalog)
    model = next(iter(here.models.values()))
    scope = Scope(model, None, NOW)
    lines: list[dict[str, Any]] = [
        json.loads(each) for each in (SETS / f"{catalog}.jsonl").read_text("utf-8").splitlines()
    ]
    texts = [text for line in lines for text in line["say"]]
    said: list[str] = []
    for text in texts:
        found = understand(text, here.lexicon, here.frames, scope)
        said += [say(each.intent) for each in (*found.readings, *found.offers)]

    def parsed(text: str) -> object:
        try:
            return exact.parse(text)
        except NotExact:
            return None

    def free(text: str) -> object:
        return understand(text, here.lexicon, here.frames, scope)

    for number in range(most):
        work["parse"].append(partial(parsed, said[number % len(said)]))
        text = texts[number % len(texts)]
        work["free"].append(partial(free, text))
        wrong = misspelt(text, here, dice)
        if wrong != text:
            work["misspelt"].append(partial(free, wrong))


def table(rows: Sequence[Row], indexes: Sequence[Built]) -> str:
    """Both as text."""
    lines = [f"{'names':>8}  {'kind':10}{'sentences':>10}{'p50 ms':>9}{'p99 ms':>9}{'most ms':>9}"]
    lines += [
        f"{each.names:>8,}  {each.kind:10}{each.sentences:>10}{each.p50:9.2f}{each.p99:9.2f}{each.most:9.2f}"
        for each in rows
    ]
    lines += ["", f"{'names':>8}  {'build s':>8}{'index MB':>10}"]
    lines += [f"{each.names:>8,}  {each.seconds:8.2f}{each.megabytes:10.1f}" for each in indexes]
    return "\n".join(lines)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--names", type=int, nargs="+", default=[100, 10_000, 50_000])
    parser.add_argument("--asked", type=int, default=400, help="sentences of each kind, at least 300")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    given = parser.parse_args()
    rows, indexes = measure(given.names, given.asked)
    if given.json:
        found = {"understood": [asdict(each) for each in rows], "indexes": [asdict(each) for each in indexes]}
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        sys.stdout.write(table(rows, indexes) + "\n")


if __name__ == "__main__":
    main()
