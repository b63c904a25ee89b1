"""The Intelligence API: what knowledge models consist of, and their data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.content import make_knowledge_models
from bot.sandbox.query import answer, read_body, read_query
from bot.sandbox.replies import Refused, Reply, access_denied, constraint, mismatch, ok, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.sandbox.routing import Call, Route
    from bot.sandbox.schema import Field, KnowledgeModel, Kpi, Record, Trigger
    from bot.sandbox.switches import Switches

_KM = "/intelligence/api/knowledge-models"


class Intelligence:
    """The handlers of `/intelligence/api`."""

    def __init__(self, start: float, seed: str, switches: Switches) -> None:
        self._knowledge_models = {knowledge.id: knowledge for knowledge in make_knowledge_models(seed, start)}
        self._switches = switches

    def routes(self) -> list[Route]:
        """What is served."""
        return [
            ("GET", _KM, self.list_knowledge_models),
            ("GET", f"{_KM}/*", self.one_knowledge_model),
            ("GET", f"{_KM}/*/records", self.list_records),
            ("GET", f"{_KM}/*/records/*", self.one_record),
            ("GET", f"{_KM}/*/kpis", self.list_kpis),
            ("GET", f"{_KM}/*/filters", self.list_filters),
            ("GET", f"{_KM}/*/triggers", self.list_triggers),
            ("GET", f"{_KM}/*/triggers/*", self.one_trigger),
            ("GET", "/intelligence/api/subscriptions", self.list_subscriptions),
            ("GET", f"{_KM}/*/data", self.data),
            ("POST", f"{_KM}/*/data", self.data),
            ("GET", f"{_KM}/*/records/*/data", self.data),
            ("POST", f"{_KM}/*/records/*/data", self.data),
        ]

    def list_knowledge_models(self, call: Call) -> Reply:
        """The knowledge models of the packages that the key may use."""
        return self._page(
            call,
            [
                {"id": knowledge.id, "name": knowledge.name, "published": knowledge.published}
                for knowledge in self._knowledge_models.values()
                if call.key.rights.may_use(knowledge.package)
            ],
        )

    def one_knowledge_model(self, call: Call) -> Reply:
        """One knowledge model."""
        knowledge = self._knowledge_model(call)
        shown = {"id": knowledge.id, "name": knowledge.name}
        return ok(shown | ({"extendedKMId": knowledge.extends} if knowledge.extends else {}))

    def list_records(self, call: Call) -> Reply:
        """Its records."""
        return self._page(call, [_record_item(record) for record in self._knowledge_model(call).records])

    def one_record(self, call: Call) -> Reply:
        """One record with its fields."""
        record = self._record(call)
        return ok({**_record_item(record), "fields": [_field_item(item) for item in record.fields]})

    def list_kpis(self, call: Call) -> Reply:
        """Its KPIs."""
        return self._page(call, [_kpi_item(kpi) for kpi in self._knowledge_model(call).kpis])

    def list_filters(self, call: Call) -> Reply:
        """Its predefined filters."""
        return self._page(
            call,
            [
                {"id": item.id, "name": item.name, "description": item.description}
                for item in self._knowledge_model(call).filters
            ],
        )

    def list_triggers(self, call: Call) -> Reply:
        """Its triggers."""
        return self._page(
            call,
            [
                {"id": item.id, "record": item.record, "name": item.name}
                for item in self._knowledge_model(call).triggers
            ],
        )

    def one_trigger(self, call: Call) -> Reply:
        """One trigger with the fields it reports."""
        knowledge = self._knowledge_model(call)
        for trigger in knowledge.triggers:
            if trigger.id == call.args[1]:
                return ok(
                    {"id": trigger.id, "name": trigger.name, "fields": _trigger_fields(knowledge, trigger)}
                )
        detail = f"Trigger with id '{call.args[1]}' was not found."
        raise refusal(404, "Trigger not found.", detail, "SUBSCRIPTION_TRIGGER_NOTFOUND")

    def list_subscriptions(self, call: Call) -> Reply:
        """Subscriptions to triggers; the sandbox's team has one, which is paused."""
        knowledge = self._knowledge_models["open-purchase-requisition.purchase-requisition-km"]
        content: list[dict[str, object]] = [
            {
                "id": "sub-123-bad-123",
                "name": "Blocked orders to the shop floor",
                "status": "paused",
                "configurations": ["SKIP_ERRORS"],
                "knowledgeModelId": knowledge.id,
                "triggerId": knowledge.triggers[0].id,
                "latestSucceedEvent": "2023-07-21T17:32:28Z",
                "offset": 123,
                "creationDate": "2023-07-01T08:00:00Z",
                "ownerName": "Bob Ross",
                "callbackInfo": {"uri": "https://hook.example.com/orders", "protocol": "HTTPS"},
                "lastSuccessEventOffset": 123,
            }
        ]
        return self._page(call, content if call.key.rights.may_use(knowledge.package) else [])

    def data(self, call: Call) -> Reply:
        """Rows and KPI values, of one record or of the whole knowledge model, asked by GET or by POST."""
        knowledge = self._knowledge_model(call)
        record = self._record(call) if len(call.args) > 1 else None
        read = read_body if call.method == "POST" else read_query
        query = read(call, on_record=record is not None, switches=self._switches)
        return answer(knowledge, record, query, self._switches)

    def _knowledge_model(self, call: Call) -> KnowledgeModel:
        identity = call.args[0]
        knowledge = self._knowledge_models.get(identity)
        if knowledge is None:
            detail = f"Knowledge Model with id '{identity}' was not found."
            raise refusal(404, "Knowledge Model not found.", detail, "KM_MODEL_NOTFOUND")
        if not call.key.rights.may_use(knowledge.package):
            raise Refused(access_denied())
        return knowledge

    def _record(self, call: Call) -> Record:
        record = self._knowledge_model(call).record(call.args[1])
        if record is not None:
            return record
        if self._switches.texts == "old":
            detail = f"The record Id: {call.args[1]} wasn't found"
            raise refusal(404, "Record not found.", detail, "KM_RECORD_NOTFOUND")
        detail = "Record Id(s) does not exist in Knowledge Model."
        raise refusal(404, "Records not found.", detail, "KM_RECORD_NOTFOUND")

    def _page(self, call: Call, content: list[dict[str, object]]) -> Reply:
        """One page of a list. [choice] Without `sort` it is sorted by id; lists know no largest page."""
        page = self._number(call.query, "page", 0, least=0)
        size = self._number(call.query, "pageSize", 50, least=1)
        sort = call.query.get("sort", "+id").replace(" ", "+")
        name = sort.lstrip("+-")
        if not name:
            raise refusal(
                400, "Sort parameter error length.", "Sort parameter should not be empty.", "SORT_IS_EMPTY"
            )
        if content and name not in content[0]:
            raise refusal(
                400,
                "Some fields in sort don't exist in fields.",
                "The sort field does not exist.",
                "SORT_UNKNOWN_FIELD",
            )
        ordered = sorted(content, key=lambda item: str(item[name]).casefold(), reverse=sort.startswith("-"))
        shown = ordered[page * size : (page + 1) * size]
        return ok({"page": page, "pageSize": size, "total": len(shown), "sort": sort, "content": shown})

    def _number(self, query: Mapping[str, str], name: str, default: int, *, least: int) -> int:
        text = query.get(name)
        if text is None:
            return default
        try:
            number = int(text)
        except ValueError:
            raise mismatch(name, "Integer", self._switches.texts) from None
        if number < least:
            raise constraint(name, f"must be greater than or equal to {least}")
        return number


def _record_item(record: Record) -> dict[str, object]:
    return {
        "id": record.id,
        "name": record.name,
        "description": record.description,
        "shortDisplayName": record.short_name or record.name,
        "internalNote": record.note,
    }


def _field_item(item: Field) -> dict[str, object]:
    return {
        "id": item.id,
        "name": item.name,
        "description": item.description,
        "shortDisplayName": item.name,
        "internalNote": "",
        "type": item.type,
        "format": item.format,
        "unit": item.unit,
    }


def _kpi_item(kpi: Kpi) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": kpi.id,
        "name": kpi.name,
        "description": kpi.description,
        "format": kpi.format,
        "unit": kpi.unit,
        "direction": kpi.direction,
        "parameters": [
            {"id": identity, "name": name, "value": value} for identity, name, value in kpi.parameters
        ],
    }
    return shown | ({} if kpi.target is None else {"target": kpi.target})


def _trigger_fields(knowledge: KnowledgeModel, trigger: Trigger) -> list[dict[str, object]]:
    record = knowledge.record(trigger.record)
    return [
        {"name": item.name, "type": item.type, "format": item.format, "unit": item.unit}
        for item in (record.fields if record else ())
    ]
