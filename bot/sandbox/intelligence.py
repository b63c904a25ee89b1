"""The Intelligence API: what knowledge models consist of, and their data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.query import answer, read_query, whole
from bot.sandbox.replies import Reply, constraint, ok, refusal
from bot.sandbox.schema import KnowledgeModel, Record, shown

if TYPE_CHECKING:
    from bot.sandbox.routes import Call


def list_knowledge_models(call: Call) -> Reply:
    """The knowledge models of the packages that the key may use."""
    models = [
        item for item in call.sandbox.knowledge_models.values() if call.key.rights.may_use(item.package)
    ]
    return _page(call, [shown(item, "id", "name", "published") for item in models])


def one_knowledge_model(call: Call) -> Reply:
    """One knowledge model."""
    item = _knowledge_model(call)
    return ok(shown(item, "id", "name") | ({"extendedKMId": item.extends} if item.extends else {}))


def list_records(call: Call) -> Reply:
    """Its records."""
    return _page(call, [_record_item(record) for record in _knowledge_model(call).records])


def one_record(call: Call) -> Reply:
    """One record with its fields."""
    record = _record(call)
    fields = [
        shown(item, "id", "name", "description", "type", "format", "unit")
        | {"shortDisplayName": item.name, "internalNote": ""}
        for item in record.fields
    ]
    return ok({**_record_item(record), "fields": fields})


def list_kpis(call: Call) -> Reply:
    """Its KPIs."""
    names = ("id", "name", "description", "format", "unit", "direction", "parameters")
    return _page(
        call,
        [
            shown(item, *names) | ({} if item.target is None else {"target": item.target})
            for item in _knowledge_model(call).kpis
        ],
    )


def list_filters(call: Call) -> Reply:
    """Its predefined filters."""
    return _page(call, [shown(item, "id", "name", "description") for item in _knowledge_model(call).filters])


def list_triggers(call: Call) -> Reply:
    """Its triggers."""
    return _page(call, [shown(item, "id", "record", "name") for item in _knowledge_model(call).triggers])


def one_trigger(call: Call) -> Reply:
    """One trigger with the fields it reports."""
    knowledge = _knowledge_model(call)
    for trigger in knowledge.triggers:
        if trigger.id == call.args[1]:
            record = knowledge.record(trigger.record)
            told = record.fields if record else ()
            fields = [shown(item, "name", "type", "format", "unit") for item in told]
            return ok(shown(trigger, "id", "name") | {"fields": fields})
    raise refusal("trigger not found", id=call.args[1])


def list_subscriptions(call: Call) -> Reply:
    """Subscriptions to triggers of knowledge models that the key may use."""
    return _page(
        call,
        [
            item
            for item in call.sandbox.given["subscriptions"]
            if call.key.rights.may_use(item["knowledgeModelId"].partition(".")[0])
        ],
    )


def data(call: Call) -> Reply:
    """Rows and KPI values, of one record or of the whole knowledge model."""
    knowledge = _knowledge_model(call)
    record = _record(call) if len(call.args) > 1 else None
    return answer(knowledge, record, read_query(call, on_record=record is not None), call.sandbox.switches)


def _knowledge_model(call: Call) -> KnowledgeModel:
    identity = call.args[0]
    knowledge = call.sandbox.knowledge_models.get(identity)
    if knowledge is None:
        raise refusal("model not found", id=identity)
    if not call.key.rights.may_use(knowledge.package):
        raise refusal("access denied")
    return knowledge


def _record(call: Call) -> Record:
    record = _knowledge_model(call).record(call.args[1])
    if record is None:
        raise refusal("record not found", call.sandbox.switches.texts, id=call.args[1])
    return record


def _page(call: Call, content: list[dict[str, object]]) -> Reply:
    """One page of a list. [choice] Without `sort` it is sorted by id; lists know no largest page."""
    texts = call.sandbox.switches.texts
    page, size = whole(call.query, "page", 0, texts), whole(call.query, "pageSize", 50, texts)
    for parameter, number, least in (("page", page, 0), ("pageSize", size, 1)):
        if number < least:
            raise constraint(parameter, f"must be greater than or equal to {least}")
    sort = call.query.get("sort", "+id").replace(" ", "+")
    name = sort.lstrip("+-")
    if not name:
        raise refusal("sort is empty")
    if content and name not in content[0]:
        raise refusal("sort on unknown field")
    ordered = sorted(
        content, key=lambda item: str(item.get(name, "")).casefold(), reverse=sort.startswith("-")
    )
    part = ordered[page * size : (page + 1) * size]
    return ok({"page": page, "pageSize": size, "total": len(part), "sort": sort, "content": part})


def _record_item(record: Record) -> dict[str, object]:
    names = {"shortDisplayName": record.short_name or record.name, "internalNote": record.note}
    return shown(record, "id", "name", "description") | names
