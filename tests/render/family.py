"""Cards that between them hold every block, cell, action, tone, input and status, and every error."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from bot.language.declare import CelonisIntent, OneName, clause
from bot.model import errors
from bot.model.cards import (
    Answer,
    Button,
    Card,
    Chart,
    Choices,
    Column,
    Confirm,
    Cost,
    Day,
    Dismiss,
    Drawing,
    Fact,
    Facts,
    Flag,
    Input,
    Missing,
    Moment,
    Notice,
    Number,
    Only,
    OpenUrl,
    Point,
    Reader,
    Run,
    Source,
    Status,
    Submit,
    Table,
    Text,
    Tone,
    Verdict,
    Words,
    headline,
)
from bot.model.names import Kind, Name
from bot.model.people import Person
from bot.render.card_text import error_text
from bot.render.values import dated


@dataclass(frozen=True, slots=True)
class Look(CelonisIntent):
    """An intent of the tests' own, so that these tests hang on no command."""

    words: ClassVar[str] = "job"
    job: Name | None = field(default=None, metadata=clause("", OneName(Kind.JOB)))
    pool: Name | None = field(default=None, metadata=clause("in", OneName(Kind.POOL)))


def look(name: str, job_id: str = "") -> Run:
    return Run(Look(job=Name(name, job_id)))


AT = datetime(2026, 11, 21, 22, 56, tzinfo=UTC)
BERLIN = dated(Reader("Europe/Berlin", "en"), AT)
OPERATOR = Person("slack", "T1", "U1", "operator")
SOURCE = Source(
    "SAP team",
    AT,
    "Purchase Requisition KM",
    AT - timedelta(hours=2),
    cached=False,
    cost=(Cost("intelligence", 2, 5812),),
)
HOSTILE = "<!channel> <@U1> *bold* `code` [pay](https://evil.example) \u202egnp.exe \x1b[31mred\x1b]8;;https://evil.example\x07 :tada: & <b>"

QUESTION = Answer(
    Card(
        "Stop main job? SAP ECC, running since 22:10 (1 h 35 min)",
        title="Cancel the data job “main job” in “SAP ECC”",
        blocks=(
            Facts(
                (
                    Fact("Data pool", Words("SAP ECC")),
                    Fact("Running since", Moment(AT - timedelta(minutes=95))),
                    Fact("Started by", Words("schedule “nightly”")),
                )
            ),
            Notice(Tone.WARNING, "Tables that are half loaded stay half loaded until the next run."),
            Text("This question is open until 23:59 CET.", quiet=True),
        ),
        buttons=(
            Button("Stop this job", Confirm("tk_7Qm2"), Tone.DANGER),
            Button("Leave it running", Dismiss("tk_7Qm2")),
            Button("Open in Celonis", OpenUrl("https://acme.eu-1.celonis.cloud/integration/ui/pools/p1")),
        ),
        source=SOURCE,
        status=Status.QUESTION,
        sentence="cancel main job #0bae5839 in SAP ECC #77",
    ),
    editable=True,
    reader=BERLIN,
)

STOPPED = Answer(
    Card(
        "STOPPED 23:56: main job (SAP ECC)",
        blocks=(
            Notice(Tone.GOOD, "The run that you meant is the run that stopped."),
            Facts(
                (
                    Fact("Ran for", Words("1 h 46 min")),
                    Fact("Rows loaded", Number(18_204_113, ",.0f")),
                    Fact("Finished", Flag(value=False)),
                    Fact("Next run", Missing()),
                )
            ),
        ),
        buttons=(Button("Jobs of the pool", look("all jobs")),),
        source=SOURCE,
    ),
    mention=(OPERATOR,),
    reader=BERLIN,
)

_VENDORS = ("Müller & Söhne GmbH", "株式会社日立製作所", "شركة الاتصالات", "ООО Ромашка", HOSTILE)
DATA = Answer(
    Card(
        "50 of 1,204 Materials where payment amount > 1,000",
        title="data Materials show name, amount, price, day, changed, active",
        blocks=(
            Table(
                (
                    Column("Vendor"),
                    Column("Payment amount", numeric=True),
                    Column("Share", numeric=True),
                    Column("Due"),
                    Column("Changed"),
                    Column("Active"),
                ),
                tuple(
                    (
                        Words(vendor),
                        Number(Decimal("1234567.891") * number, "#,##0.00", "EUR"),
                        Number(0.125 * number, ".1%"),
                        Day(date(2026, 3, number), "%d.%m.%Y"),
                        Moment(AT) if number % 2 else Missing(),
                        Flag(number % 2 == 0),
                    )
                    for number, vendor in enumerate(_VENDORS, 1)
                ),
                hidden=1154,
            ),
        ),
        buttons=(Button("Refresh", look("refresh")), Button("Export", look("export"))),
        source=Source("SAP team", AT, "Purchase Requisition KM", None, cached=True),
        sentence="data Materials where payment amount > 1000",
    ),
    audience=Only(OPERATOR),
    reader=dated(Reader("Europe/Berlin", "de"), AT),
)

KPI = Answer(
    Card(
        "On-time delivery: 87.5% (target 95%, too low)",
        title="kpi On-time delivery by plant in Q3 2026",
        blocks=(
            Table(
                (Column("Plant"), Column("On-time delivery", numeric=True)),
                tuple(
                    (Words(plant), Number(value, "#.###", "%"))
                    for plant, value in (("Hamburg", 91.25), ("Köln", 87.0), ("Bologna", 42.5))
                ),
            ),
            Table(
                (Column("Target"), Column("Direction")), ((Number(95, "", "%"), Words("higher is better")),)
            ),
            Table((Column("Plant"), Column("Open orders", numeric=True)), ()),
        ),
        source=SOURCE,
        sentence="kpi On-time delivery by Plant",
    ),
    reader=BERLIN,
)


def percent(value: float) -> Number:
    return Number(value, ".1%", verdict=Verdict.MET if value >= 0.9 else Verdict.MISSED)


BARS = Answer(
    Card(
        "2 of 4 plants miss the target of 90% for On-time delivery",
        blocks=(
            Facts((Fact("All plants", percent(0.907)),)),
            Chart(
                "On-time delivery",
                "Plant",
                Drawing.BARS,
                (
                    Point(Words("Hamburg"), percent(0.9125)),
                    Point(Words("Köln"), percent(0.87)),
                    Point(Words("San Giovanni in Persiceto"), percent(0.425)),
                    Point(Words("株式会社日立製作所"), percent(1)),
                    Point(Missing(), Missing()),
                ),
                target=Number(0.9, ".0%"),
            ),
            Chart(
                "Change of stock",
                "Plant",
                Drawing.BARS,
                (Point(Words("Hamburg"), Number(-1200, ",.0f")), Point(Words("Köln"), Number(3400, ",.0f"))),
            ),
            Chart("Open orders", "Plant", Drawing.BARS, ()),
        ),
        source=SOURCE,
        sentence='kpi "On-time delivery" by Plant',
    ),
    reader=BERLIN,
)

COURSE = Answer(
    Card(
        "90.7% On-time delivery in November",
        blocks=(
            Chart(
                "On-time delivery",
                "Day",
                Drawing.LINE,
                tuple(
                    Point(Day(date(2026, 11, 1 + 3 * at)), Missing() if at == 3 else percent(value))
                    for at, value in enumerate((0.81, 0.84, 0.9, 0, 0.88, 0.92, 0.907))
                ),
                target=Number(0.9, ".0%"),
            ),
        ),
        source=SOURCE,
    ),
    reader=BERLIN,
)

STOCK = Answer(
    Card(
        "Stock fell in 1 of 2 plants",
        blocks=(
            Chart(
                "Change of stock",
                "Plant",
                Drawing.BARS,
                (Point(Words("Hamburg"), Number(-1200, ",.0f")), Point(Words("Köln"), Number(3400, ",.0f"))),
            ),
            Chart(
                "On-time delivery",
                "Day",
                Drawing.LINE,
                tuple(Point(Day(date(2026, 11, at + 1)), percent(0.85 + at / 100)) for at in range(8)),
                target=Number(0.9, ".0%"),
            ),
        ),
        source=SOURCE,
    ),
    reader=BERLIN,
)

LINE = Answer(
    Card(
        "Average events per case rose to 12.4 in November",
        blocks=(
            Text(
                'curl -H "Authorization: AppKey $KEY" \\\n  "https://acme.eu-1.celonis.cloud/x?a=1&b=2"',
                code=True,
            ),
        ),
        source=SOURCE,
    ),
    reader=BERLIN,
)

PICK = Answer(
    Card(
        "Which “main job” do you mean?",
        blocks=(
            Choices(
                "Three jobs have that name.",
                tuple(Button(f"main job ({pool})", look("main job", pool)) for pool in "ABC"),
            ),
        ),
        status=Status.ASKED,
    ),
)

TYPED = Answer(
    Card(
        "Sales orders where Internal note contains …",
        blocks=(
            Notice(Tone.WARNING, "Nothing was typed."),
            Input("Which value", "the text", Button("Use this value", Submit(look("all jobs").intent))),
        ),
        buttons=(Button("Without this field", look("all jobs")),),
        source=SOURCE,
        status=Status.ASKED,
    ),
    reader=BERLIN,
)

LONG_PICK = Answer(
    Card(
        "Which job do you mean?",
        blocks=(
            Choices(
                "Twelve jobs have a name like that.",
                tuple(
                    Button(f"job {number} {'with a long name ' * (number // 4)}", look(f"job {number}"))
                    for number in range(12)
                ),
            ),
        ),
        buttons=(
            Button("Search everything (about 43 calls)", look("every job")),
            Button("Help", look("help")),
        ),
        status=Status.NOT_UNDERSTOOD,
    ),
)

MANY_BUTTONS = Answer(
    Card(
        "What would you like to do?",
        blocks=(
            Choices("Views", tuple(Button(f"View {number}", look(f"view {number}")) for number in range(4))),
            Table((Column("Job"),), ((Words("main job"),),)),
        ),
        buttons=(
            *(Button(f"Button {number}", look(f"button {number}")) for number in range(5)),
            Button("All of it", look("all of it"), Tone.GOOD),
            Button("Yes, stop all", Confirm("tk_1"), Tone.DANGER),
            Button("No", Dismiss("tk_1"), Tone.WARNING),
        ),
    ),
    reader=BERLIN,
)


WIDE = Answer(
    Card(
        "A record with 24 fields",
        blocks=(
            Table(
                tuple(Column(f"Field {number}", numeric=number > 20) for number in range(24)),
                tuple(tuple(Words(f"value {row}.{number}") for number in range(24)) for row in range(3)),
            ),
        ),
        source=SOURCE,
    ),
)

SANDBOXED = Answer(
    Card(
        "Working on it …",
        blocks=(
            Notice(Tone.PLAIN, "Celonis has not answered yet."),
            Notice(Tone.DANGER, "Nothing was stopped yet."),
        ),
        source=Source(
            "demo", AT, sandbox=True, cost=(Cost("integration", 9, 5957), Cost("other", 1, 5999)), unread=1
        ),
        status=Status.WORKING,
    ),
    reader=BERLIN,
)

HOSTILE_CARD = Answer(
    Card(
        headline(f"Stop {HOSTILE}"),
        title=HOSTILE,
        blocks=(
            Text(HOSTILE),
            Facts((Fact(HOSTILE, Words(HOSTILE)),)),
            Table((Column(HOSTILE),), ((Words(HOSTILE),), (Words("\x00"),), (Words("x" * 3000),))),
            Notice(Tone.DANGER, HOSTILE),
            Choices(HOSTILE, (Button(HOSTILE, Confirm("tk_2")),)),
        ),
        buttons=(
            Button(HOSTILE, Dismiss("tk_2")),
            Button("a page", OpenUrl("javascript:alert(1)")),
            Button("another page", OpenUrl("https://celonis.cloud@evil.example/")),
        ),
        source=Source(HOSTILE, AT, HOSTILE),
        sentence=HOSTILE,
        reference=HOSTILE,
    ),
    mention=(Person("slack", "T1", "U1> <!channel", HOSTILE),),
    reader=Reader("Not/AZone", "xx_nonsense"),
)

_RESET = datetime(2026, 11, 22, 6, 10, tzinfo=UTC)
FAILURES: tuple[errors.BotError, ...] = (
    errors.NotUnderstood("I do not understand “teh jobs”."),
    errors.BadArgument("“tomorrowish” is no time.", hint="Say a time such as 23:45."),
    errors.UnknownName(Kind.JOB, "mian job", nearest=(Name("main job", "0bae5839"),), within="SAP ECC"),
    errors.NotAllowed("You may not cancel jobs here.", hint="Ask the bot's admin.", rule="default: deny"),
    errors.TicketGone("This question was answered at 23:41.", hint="Say “cancel main job” again."),
    errors.QuotaExhausted(
        "The day's quota is used up.", moment=_RESET, hint=f"Calls come back from {errors.MOMENT} on."
    ),
    errors.Undelivered(
        "Slack did not take the message (channel_not_found).", hint="Invite me to the channel."
    ),
    errors.StoreUnavailable("My database does not answer.", hint="The bot's admin was told."),
    errors.ConfigError(["celonis_url: not an https address", "policy: no rule"]),
    errors.ApprovalSpent("An approval was used twice.", hint="Nothing was sent the second time."),
    errors.Unauthorized("Celonis does not accept the key.", hint="The bot's admin was told.", status=401),
    errors.Forbidden("The key lacks USE PACKAGE.", hint="A Celonis admin can grant it.", status=403),
    errors.NotFound("Celonis has no such record any more.", status=404, support_id="req-1"),
    errors.BadQuery("Celonis refuses the question: “$filter: eq null”.", status=400),
    errors.RateLimited(
        "Celonis asks for a pause.", moment=_RESET, hint=f"I hold back until {errors.MOMENT}."
    ),
    errors.ServerFault("Celonis has a fault.", hint="Try again in a minute.", status=503, support_id="req-2"),
    errors.Unreachable("No answer from Celonis within 10 s.", hint="Try again in a minute."),
    errors.UnexpectedReply("Celonis sent a web page instead of data.", status=200),
    errors.OutcomeUnknown("The stop was sent, and no answer came.", status=504, support_id="req-3"),
)


def error_card(error: errors.BotError) -> Answer:
    """A card with all that an error says; what the product shows for it is the dispatcher's."""
    match error:
        case errors.NotAllowed():
            status = Status.REFUSED
        case errors.NotUnderstood() | errors.UnknownName():
            status = Status.NOT_UNDERSTOOD
        case _:
            status = Status.FAILED
    sentence, hint = error_text(error, BERLIN)
    card = Card(
        headline(sentence),
        blocks=(Text(sentence), Text(hint), Text(error.undone, quiet=True)),
        status=status,
        reference="r-4711",
    )
    return Answer(card, reader=BERLIN)


FAMILY: dict[str, Answer] = {
    "question": QUESTION,
    "stopped": STOPPED,
    "data": DATA,
    "kpi": KPI,
    "bars": BARS,
    "course": COURSE,
    "stock": STOCK,
    "curl": LINE,
    "pick": PICK,
    "long pick": LONG_PICK,
    "typed": TYPED,
    "many buttons": MANY_BUTTONS,
    "wide table": WIDE,
    "sandbox": SANDBOXED,
    "hostile": HOSTILE_CARD,
    **{f"error {type(error).__name__}": error_card(error) for error in FAILURES},
}
