"""Environment over file over defaults, and every problem at once, in sentences without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import Binding, KeyType, Need, Right, Settings, load
from bot.model.errors import ConfigError

KEY = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo="
TENANT = "11111111-2222-4333-8444-555555555555"
APP = "66666666-7777-4888-8999-000000000000"
LEAST = {"CELONIS_URL": "https://dev.us-2.celonis.cloud", "CELONIS_API_TOKEN": KEY}
SERVING = LEAST | {
    "CELONIS_CHAT_ZONE": "Europe/Berlin",
    "CELONIS_CHAT_SECRET_KEY": "made-up-key-of-enough-characters",
    "SLACK_BOT_TOKEN": "xoxb-made-up-token",
    "SLACK_SIGNING_SECRET": "made-up-signing-secret",
    "CELONIS_CHAT_BINDINGS": '[{"slack": "T1", "connections": ["default"]}]',
}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Loads settings from a toml text and an environment."""

    def reading(toml: str = "", environ: Mapping[str, str] = LEAST, need: Need = Need.CONNECTION) -> Settings:
        file = tmp_path / "celonis-chat.toml"
        file.write_text(toml, encoding="utf-8")
        return load(environ, file, need=need)

    return reading


@pytest.fixture
def problems(read: Any) -> Any:
    """The problems of a toml text and an environment."""

    def finding(
        toml: str = "", environ: Mapping[str, str] = LEAST, need: Need = Need.CONNECTION
    ) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            read(toml, environ, need)
        return list(caught.value.problems)

    return finding


# --- layers ---


def test_two_variables_are_enough_to_ask() -> None:
    settings = load(LEAST, None)
    (connection,) = settings.connections.values()
    assert (connection.name, connection.title) == ("default", "dev")
    assert connection.url == "https://dev.us-2.celonis.cloud"
    assert connection.api_token is not None
    assert connection.api_token.reveal() == KEY
    assert connection.key_type is None
    assert settings.bindings == (Binding(local=True, connections=("default",)),)
    assert settings.zone == ""
    assert settings.database_url.reveal() == "sqlite:///celonis-chat.db"


def test_team_and_cluster_do_instead_of_an_address() -> None:
    settings = load({"CELONIS_TEAM": "Dev", "CELONIS_CLUSTER": "us-2", "CELONIS_API_TOKEN": KEY}, None)
    assert settings.connections["default"].url == LEAST["CELONIS_URL"]


def test_nothing_is_needed_for_a_command_that_needs_nothing() -> None:
    assert load({}, None, need=Need.NOTHING).connections == {}


def test_the_environment_goes_over_the_file_and_the_file_over_the_defaults(read: Any) -> None:
    toml = 'zone = "Europe/Paris"\nlocale = "fr"\n[limits]\nper_day = 100\npage = 10\n'
    environ = LEAST | {
        "CELONIS_CHAT_ZONE": "Europe/Berlin",
        "CELONIS_CHAT_LIMITS__PER_DAY": "200",
        "CELONIS_CHAT_ALIASES": '{"Arrêter": "cancel"}',
    }
    settings = read(toml, environ)
    assert (settings.zone, settings.locale) == ("Europe/Berlin", "fr")
    assert (settings.limits.per_day, settings.limits.page, settings.limits.per_second) == (200, 10, 20)
    assert settings.aliases["arrêter"] == "cancel"


def test_an_empty_variable_counts_as_not_set(read: Any) -> None:
    settings = read('locale = "fr"', LEAST | {"CELONIS_CHAT_LOCALE": "", "SLACK_BOT_TOKEN": " "})
    assert settings.locale == "fr"
    assert settings.slack is None


def test_only_the_environment_that_is_handed_in_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELONIS_CHAT_LOCALE", "fr")
    monkeypatch.setenv("CELONIS_API_TOKEN", "of-the-machine")
    settings = load(LEAST, None)
    assert settings.locale == "en"
    assert settings.connections["default"].api_token.reveal() == KEY  # type: ignore[union-attr]  # it is there


def test_variables_of_the_default_connection_go_over_its_table(read: Any) -> None:
    toml = """
        [connections.default]
        team = "other"
        cluster = "eu-1"
        title = "Our team"
        oauth_client_id_env = "CLIENT"
        oauth_client_secret_env = "CLIENT_SECRET"
        timeout = 60
    """
    connection = read(toml, LEAST | {"CELONIS_KEY_TYPE": "Bearer"}).connections["default"]
    assert (connection.url, connection.title) == (LEAST["CELONIS_URL"], "Our team")
    assert (connection.key_type, connection.timeout) == (KeyType.USER_KEY, 60)
    assert connection.oauth is None
    assert connection.api_token is not None


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("APP_KEY", KeyType.APP_KEY),
        ("AppKey", KeyType.APP_KEY),
        ("app-key", KeyType.APP_KEY),
        ("USER_KEY", KeyType.USER_KEY),
        ("bearer", KeyType.USER_KEY),
        ("", None),
    ],
)
def test_the_kind_of_key_is_said_as_in_pycelonis(said: str, meant: KeyType | None) -> None:
    assert load(LEAST | {"CELONIS_KEY_TYPE": said}, None).connections["default"].key_type is meant


def test_a_key_for_writes_stands_beside_the_key(read: Any, tmp_path: Path) -> None:
    assert read().connections["default"].write_key is None
    file = tmp_path / "key"
    file.write_text(KEY[::-1])
    for found in (
        read(environ=LEAST | {"CELONIS_WRITE_KEY": KEY[::-1]}),
        read(environ=LEAST | {"CELONIS_WRITE_KEY_FILE": str(file)}),
        read('[connections.default]\nwrite_key_env = "OTHER"', LEAST | {"OTHER": KEY[::-1]}),
        read('[connections.default]\nwrite_key_file = "key"'),
    ):
        default = found.connections["default"]
        assert (default.api_token.reveal(), default.write_key.reveal()) == (KEY, KEY[::-1])
    with pytest.raises(ConfigError, match="write_key holds a secret"):
        read('[connections.default]\nwrite_key = "hush"')


def test_an_oauth_client_does_instead_of_a_key() -> None:
    environ = {
        "CELONIS_URL": LEAST["CELONIS_URL"],
        "CELONIS_OAUTH_CLIENT_ID": "client",
        "CELONIS_OAUTH_CLIENT_SECRET": "client-secret",
    }
    oauth = load(environ, None).connections["default"].oauth
    assert oauth is not None
    assert (oauth.id.reveal(), oauth.secret.reveal()) == ("client", "client-secret")
    assert "intelligence.knowledge-models:read" in oauth.scope
    scoped = load(environ | {"CELONIS_OAUTH_SCOPE": "studio"}, None).connections["default"].oauth
    assert scoped is not None
    assert scoped.scope == "studio"


def test_several_connections_each_with_their_own_key_and_limits(read: Any, tmp_path: Path) -> None:
    (tmp_path / "finance.key").write_text("finance-key\n")
    toml = """
        [limits]
        per_day = 5000
        [connections.prod]
        url = "https://acme.eu-1.celonis.cloud/ui"
        api_token_env = "PROD_KEY"
        key_type = "APP_KEY"
        read_only = true
        limits = { page = 100 }
        data_models = { "p2p.km" = { pool = "pool-1", data_model = "model-1" } }
        [connections.finance]
        team = "finance"
        cluster = "eu-1"
        api_token_file = "finance.key"
    """
    settings = read(toml, {"PROD_KEY_FILE": str(tmp_path / "finance.key")})
    prod, finance = settings.connections["prod"], settings.connections["finance"]
    assert (prod.limits.per_day, prod.limits.page, finance.limits.page) == (5000, 100, 50)
    assert (prod.read_only, prod.title) == (True, "prod")
    assert prod.data_models["p2p.km"].data_model == "model-1"
    assert prod.api_token.reveal() == finance.api_token.reveal() == "finance-key"
    (tmp_path / "finance.key").write_text("next-key")
    assert {each.api_token.read_again().reveal() for each in (prod, finance)} == {"next-key"}


def test_a_workspace_or_tenant_sees_the_connections_of_its_binding(read: Any) -> None:
    toml = f"""
        [[bindings]]
        slack = "T1"
        connections = "default"
        [[bindings]]
        teams = "{TENANT}"
        connections = ["default"]
        [[bindings]]
        local = true
        connections = []
    """
    assert [(each.platform, each.home, each.connections) for each in read(toml).bindings] == [
        ("slack", "T1", ("default",)),
        ("teams", TENANT, ("default",)),
        ("local", "", ()),
    ]


def test_words_for_commands_are_kept_without_case_and_doubled_spaces(read: Any) -> None:
    assert read("").aliases == {}
    assert read('[aliases]\n"Bitte  Stoppen" = " cancel "').aliases == {"bitte stoppen": "cancel"}


def test_synonyms_of_every_connection_are_mixed_into_each(read: Any) -> None:
    toml = """
        [synonyms."*"]
        kpis = { otd = "On-time delivery", dpo = "Days payable" }
        [synonyms.default]
        kpis = { otd = "OTD 2" }
        jobs = { nightly = "main job" }
    """
    synonyms = read(toml).synonyms["default"]
    assert synonyms.kpis == {"otd": "OTD 2", "dpo": "Days payable"}
    assert synonyms.jobs == {"nightly": "main job"}


def test_the_contact_of_the_admin_is_kept(read: Any) -> None:
    assert read('[admin]\ncontact = "the process team"').admin.contact == "the process team"


def test_a_rule_may_say_one_text_where_it_could_say_several(read: Any) -> None:
    toml = '[[policy]]\nwho = { slack = "T1:U1" }\nmay = "cancel"\non = { job = "main*" }\nname = "one"'
    (rule,) = read(toml).policy
    assert (rule.who.slack, rule.may, rule.on.job) == (("T1:U1",), (Right.CANCEL,), ("main*",))


def test_a_hidden_field_may_be_a_text_or_a_table(read: Any) -> None:
    texts, table = read('hide_fields = ["*salary*", { model = "HR", field = ["a", "b"] }]').hide_fields
    assert (texts.field, texts.model) == (("*salary*",), ())
    assert (table.field, table.model) == (("a", "b"), ("HR",))


def test_slack_and_teams_are_there_when_their_secrets_are(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("teams-password")
    settings = load(
        SERVING
        | {
            "MICROSOFT_APP_ID": APP.upper(),
            "MICROSOFT_APP_PASSWORD_FILE": str(tmp_path / "password"),
            "MICROSOFT_APP_TENANT_ID": TENANT,
            "SLACK_API_URL": "http://127.0.0.1:9999/api",
        },
        None,
    )
    assert settings.slack is not None
    assert settings.slack.app_token is None
    assert settings.slack.api_url == "http://127.0.0.1:9999/api/"
    assert settings.teams is not None
    assert (settings.teams.app_id, settings.teams.tenant_id) == (APP, TENANT)
    assert settings.teams.password is not None
    assert settings.teams.password.reveal() == "teams-password"


@pytest.mark.parametrize(
    "name",
    [
        *("CELONIS_API_TOKEN", "CELONIS_CHAT_SECRET_KEY", "SLACK_SIGNING_SECRET"),
        *("SLACK_BOT_TOKEN", "MICROSOFT_APP_PASSWORD", "CELONIS_OAUTH_CLIENT_SECRET"),
    ],
)
def test_one_letter_is_no_secret_however_often_it_stands_there(
    problems: Any, name: str, tmp_path: Path
) -> None:
    for value in ("x", "x" * 40):
        (tmp_path / "secret").write_text(value)
        for told in ({name: value}, {f"{name}_FILE": str(tmp_path / "secret")}):
            said = problems("", {key: each for key, each in SERVING.items() if key != name} | told)
            assert any("is one character, once or repeated" in each for each in said), said


TEAMS_GIVEN = SERVING | {
    "MICROSOFT_APP_ID": APP,
    "MICROSOFT_APP_PASSWORD": "teams-password",
    "MICROSOFT_APP_TENANT_ID": TENANT,
}


def test_answers_to_teams_go_to_hosts_and_nothing_else(read: Any, problems: Any) -> None:
    assert "smba.trafficmanager.net" in read("", TEAMS_GIVEN).teams.service_hosts
    settings = read('[teams]\nservice_hosts = "smba.example.com"', TEAMS_GIVEN)
    assert settings.teams.service_hosts == ("smba.example.com",)
    (problem,) = problems('[teams]\nservice_hosts = ["https://smba.example.com/"]', TEAMS_GIVEN)
    assert problem.startswith("teams.service_hosts[1] must be a host such as gateway.example.com")


def test_teams_without_an_app_id_is_for_development_on_this_machine_only(read: Any, problems: Any) -> None:
    assert read("[server]\ndevelopment = true").teams.app_id == ""
    assert read("").teams is None
    (problem,) = problems('[server]\ndevelopment = true\nhost = "0.0.0.0"')
    assert "server.host must be 127.0.0.1" in problem


def test_what_serve_needs_is_enough(read: Any) -> None:
    assert read("", SERVING, Need.SERVING).slack is not None


# --- the sandbox ---


def test_settings_of_the_demo_come_from_nowhere_else() -> None:
    settings = Settings.for_demo(
        "http://127.0.0.1:8080/", "demo-key", zone="Europe/Berlin", secret_key="k" * 32
    )
    (connection,) = settings.connections.values()
    assert all(each.sandbox for each in settings.connections.values())
    assert connection.sandbox
    assert (connection.name, connection.url) == ("sandbox", "http://127.0.0.1:8080")
    assert settings.bindings == (Binding(local=True, connections=("sandbox",)),)
    assert settings.slack is None
    assert settings.teams is None


def test_a_sandbox_stands_in_for_every_team_of_given_settings(read: Any) -> None:
    settings = read("", SERVING).over_sandbox("http://127.0.0.1:8080", "demo-key")
    assert list(settings.connections) == ["sandbox"]
    assert {each.connections for each in settings.bindings} == {("sandbox",)}
    assert settings.slack is not None
    assert settings.zone == "Europe/Berlin"
    assert all(each.sandbox for each in settings.connections.values())
    assert KEY not in repr(settings)


def test_where_a_sandbox_stands_in_no_team_and_no_key_need_be_there(tmp_path: Path) -> None:
    file = tmp_path / "celonis-chat.toml"
    file.write_text('[connections.prod]\nurl = "acme.eu-1.celonis.cloud"\napi_token_env = "NOT_SET"')
    environ = {name: value for name, value in SERVING.items() if name not in LEAST}
    settings = load(environ, file, need=Need.SERVING, connections=False)
    assert settings.connections == {}
    assert list(settings.over_sandbox("http://127.0.0.1:1", "key").connections) == ["sandbox"]


def test_a_sandbox_is_on_this_machine() -> None:
    with pytest.raises(ConfigError, match="on this machine only"):
        Settings.for_demo(LEAST["CELONIS_URL"], "key", zone="UTC", secret_key="k" * 32)


# --- problems ---


def test_every_problem_is_reported_at_once(problems: Any) -> None:
    toml = """
        zone = "Europe/Berln"
        limts = 3
        hide_fields = [{ modle = "HR", field = "x" }]
        [connections.prod]
        url = "http://acme.eu-1.celonis.cloud"
        timout = 4
        timeout = 900
        [[bindings]]
        slack = "T1"
        connections = ["prd"]
        [[policy]]
        who = { slak = "T1:U1" }
        may = ["reed", "cancel"]
        [[policy]]
        name = "second"
        who = { slack = "U1" }
        may = "read"
    """
    found = problems(toml, {"CELONIS_CHAT_LIMITS__PER_DAY": "many", "DATABASE_URL": "mysql://x"})
    for expected in (
        "zone is not a time zone; did you mean Europe/Berlin?",
        "limts is not a setting; did you mean limits?",
        "hide_fields[1].modle is not a setting; did you mean model?",
        "connections.prod.timout is not a setting; did you mean timeout?",
        "connections.prod.timeout must be at most 600.",
        "connections.prod.url: The Celonis address must begin with https://, since the key travels with every request.",
        'connections.prod.api_token is missing; add api_token_env = "CELONIS_API_TOKEN_PROD" and set that variable.',
        "CELONIS_CHAT_LIMITS__PER_DAY must be a whole number.",
        "bindings[1] names the connection prd, which is not there; did you mean prod?",
        "policy[1].may[1] must be one of 'read', 'public', 'export', 'cancel', 'run', 'run full', 'manage' or 'admin'.",
        "policy[1].who.slak is not a setting; did you mean slack?",
        "policy[2].who.slack[1] must look like T1:U1, the user's own team and id (or T1:* for everybody of T1).",
        "DATABASE_URL must begin with sqlite:// or postgresql://; nothing else is supported.",
    ):
        assert expected in found
    assert len(found) == 13


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('replicas = "two"', "replicas must be a whole number."),
        ("replicas = 0", "replicas must be at least 1."),
        (
            "replicas = 2",
            "replicas share no database; give a postgresql:// DATABASE_URL, or run one.",
        ),
        ("zone = 3", "zone must be a text in quotation marks."),
        ('zone = "Berlin"', "zone is not a time zone"),
        ('zone = "../../etc/passwd"', "zone is not a time zone"),
        ('locale = "tlh-XX-y-z"', "locale is not a locale; it looks like de or en_GB."),
        ('members_read = "perhaps"', "members_read must be true or false."),
        ("policy = 3", "policy must be a list."),
        ("limits = 3", "limits must be a table."),
        ("connections = 3", "connections must be a table."),
        ("[connections]\nprod = 3", "connections.prod must be a table."),
        ('allowed_hosts = ["https://x.example.com"]', "allowed_hosts[1] must be a host such as"),
        ('allowed_hosts = "*.com"', "allowed_hosts[1] must be a host such as"),
        ("[limits]\npeople_reserve = 0.5", "limits.people_reserve must not be more than background_reserve"),
        ("[limits]\nper_second = 1", "limits.per_second must be at least replicas and guest_slots together"),
        ("[limits]\nbackground_reserve = 1", "limits.background_reserve must be less than 1."),
        ("[server]\nport = 3979", "server.port and server.admin_port must differ."),
        (
            '[server]\ntrusted_proxies = ["10.0.0.0/8", "proxy.example.com"]',
            "server.trusted_proxies[2] must be an address or a network such as 10.0.0.0/8, not a name.",
        ),
        ("[server]\nprt = 1", "server.prt is not a setting; did you mean port?"),
        ("[[bindings]]\nconnections = []", "bindings[1] must name exactly one of slack, teams and local."),
        ('[[bindings]]\nslack = "T1"', "bindings[1].connections is missing."),
        ('[[bindings]]\nslack = "acme"\nconnections = []', "bindings[1].slack must be a Slack team id"),
        ('[[bindings]]\nteams = "acme"\nconnections = []', "bindings[1].teams must be the tenant's id"),
        (
            '[[bindings]]\nslack = "T1"\nconnections = []\n[[bindings]]\nslack = "T1"\nconnections = []',
            "bindings[2] binds the same place a second time",
        ),
        ('[aliases]\n" " = "cancel"', "aliases has an empty word."),
        ("[aliases]\nstopp = 3", "aliases.stopp must be a text in quotation marks."),
        ('[synonyms.prd]\nkpis = { a = "b" }', "synonyms.prd names a connection that is not there."),
        ('[synonyms.defalt]\nkpis = { a = "b" }', "did you mean default?"),
        ('[connections.Prod]\nurl = "a.eu-1.celonis.cloud"\napi_token_env = "X"', "small letters"),
        ('[connections.p]\nteam = "acme"', "connections.p.url is missing, and so is cluster; give url"),
        ('[connections.p]\nteam = "acme.eu-1"\ncluster = "celonis"', "without dots and slashes"),
        ('[connections.p]\nurl = "a"\nteam = "acme"', "connections.p.url is set beside a team or cluster"),
        ('[connections.p]\napi_token_env = "MISSING"', "names MISSING, which is not set."),
        ('[connections.p]\napi_token_env = "not-a-name"', "must be the name of an environment variable"),
        (
            '[connections.p]\napi_token_file = "missing"',
            "The file that connections.p.api_token_file names cannot be read (No such file",
        ),
        (
            '[connections.p]\napi_token_file = "a"\napi_token_env = "A"',
            "connections.p.api_token_file stands beside api_token_env; keep one of them.",
        ),
        (
            '[connections.p]\noauth_client_id_env = "CELONIS_URL"',
            "connections.p.oauth_client_secret is missing",
        ),
        ('[connections.p]\nkey_type = "SECRET"', "must be one of 'APP_KEY' or 'USER_KEY'."),
        (
            '[connections.p]\nurl = "a.eu-1.celonis.cloud"\napi_token_env = "CELONIS_API_TOKEN"\ntitle = "Dev"',
            "connections.default.title must differ from that of connections.p: both are called dev.",
        ),
        (
            '[connections.p]\nurl = "dev.us-2.celonis.cloud"\napi_token_env = "CELONIS_API_TOKEN"\nlimits = { page = 9 }',
            "connections.default.limits must be those of connections.p: both reach the same team",
        ),
        ("a = ", "celonis-chat.toml is not valid TOML (at end of document)."),
        ("zone = x", "celonis-chat.toml is not valid TOML (at line 1, column 8)."),
    ],
)
def test_a_problem_names_the_setting_and_the_way_out(problems: Any, toml: str, said: str) -> None:
    assert any(said in each for each in problems(toml))


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"CELONIS_API_TOKEN": KEY}, "No Celonis team is configured; set CELONIS_URL"),
        ({"CELONIS_URL": LEAST["CELONIS_URL"]}, "CELONIS_API_TOKEN is missing"),
        (
            {"CELONIS_TEAM": "dev", "CELONIS_API_TOKEN": KEY},
            "CELONIS_URL is missing, and so is cluster; give url",
        ),
        (
            LEAST | {"CELONIS_TEAM": "dev"},
            "CELONIS_URL is set beside a team or cluster (CELONIS_TEAM, CELONIS_CLUSTER)",
        ),
        (LEAST | {"CELONIS_KEY_TYPE": "PASSWORD"}, "CELONIS_KEY_TYPE must be one of 'APP_KEY' or 'USER_KEY'"),
        (
            LEAST | {"CELONIS_API_TOKEN_FILE": "x"},
            "CELONIS_API_TOKEN and CELONIS_API_TOKEN_FILE are both set",
        ),
        (
            LEAST | {"CELONIS_OAUTH_CLIENT_ID": "x"},
            "CELONIS_API_TOKEN is given beside an OAuth client; keep one of them.",
        ),
        (
            {"CELONIS_URL": LEAST["CELONIS_URL"], "CELONIS_OAUTH_CLIENT_ID": "x"},
            "CELONIS_OAUTH_CLIENT_SECRET is missing",
        ),
        (LEAST | {"CELONIS_API_TOKEN": f"AppKey {KEY}"}, "CELONIS_API_TOKEN holds a blank"),
        (LEAST | {"CELONIS_CHAT_SECRET_KEY": "short"}, "CELONIS_CHAT_SECRET_KEY needs at least 32"),
        (LEAST | {"CELONIS_CHAT_SECRET_KEY": f"{'k' * 32},short"}, "in each of the keys between its commas"),
        (LEAST | {"CELONIS_CHAT_SECRET_KEY": f"{'k' * 32},"}, "in each of the keys between its commas"),
        (
            LEAST | {"SLACK_BOT_TOKEN": "xoxp-user", "SLACK_SIGNING_SECRET": "made-up"},
            "SLACK_BOT_TOKEN is no bot token",
        ),
        (
            LEAST | {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xoxb-1"},
            "SLACK_APP_TOKEN is no app-level",
        ),
        (LEAST | {"SLACK_BOT_TOKEN": "xoxb-1"}, "SLACK_SIGNING_SECRET is missing"),
        (LEAST | {"SLACK_SIGNING_SECRET": "made-up"}, "SLACK_BOT_TOKEN is missing"),
        (
            LEAST
            | {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "SLACK_API_URL": "http://x.example"},
            "SLACK_API_URL must be an https address",
        ),
        (LEAST | {"MICROSOFT_APP_ID": APP}, "MICROSOFT_APP_PASSWORD is missing"),
        (LEAST | {"MICROSOFT_APP_ID": "my bot"}, "MICROSOFT_APP_ID holds a blank"),
        (LEAST | {"MICROSOFT_APP_TENANT_ID": "common"}, "MICROSOFT_APP_TENANT_ID must be an id"),
        (LEAST | {"CELONIS_CHAT_BINDINGS": "[{"}, "CELONIS_CHAT_BINDINGS must be a list (as JSON)."),
        (
            LEAST | {"CELONIS_CHAT_BINDINGS": '[{"slck": "T1"}]'},
            "CELONIS_CHAT_BINDINGS[1].slck is not a setting",
        ),
        (LEAST | {"CELONIS_CHAT_LIMITS__PER_DY": "1"}, "CELONIS_CHAT_LIMITS__PER_DY is not a setting"),
    ],
)
def test_a_problem_of_the_environment_names_the_variable(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ, None)
    assert any(said in each for each in caught.value.problems)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("CELONIS_CHAT_ZONE", "zone is missing"),
        ("CELONIS_CHAT_SECRET_KEY", "CELONIS_CHAT_SECRET_KEY is missing"),
        ("SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN is missing"),
        ("CELONIS_CHAT_BINDINGS", "No Slack workspace is bound"),
        ("CELONIS_URL", "No Celonis team is configured"),
    ],
)
def test_serve_names_what_it_lacks(problems: Any, missing: str, said: str) -> None:
    environ = {name: value for name, value in SERVING.items() if name != missing}
    assert any(said in each for each in problems("", environ, Need.SERVING))


def test_serve_without_any_platform_says_which_there_are(problems: Any) -> None:
    environ = {name: value for name, value in SERVING.items() if not name.startswith("SLACK_")}
    (problem,) = problems("", environ, Need.SERVING)
    assert "SLACK_BOT_TOKEN" in problem
    assert "MICROSOFT_APP_ID" in problem


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('who = {}\nmay = "read"', "who names nobody"),
        ('who = { slack = "U1" }\nmay = "read"', "who.slack[1] must look like T1:U1"),
        ('who = { slack = "*:*" }\nmay = "read"', "who.slack[1] must look like T1:U1"),
        ('who = { teams = "T1:U1" }\nmay = "read"', "who.teams[1] must be tenant id:object id"),
        ('who = { email = "*" }\nmay = "read"', "who.email[1] must be an address"),
        ('who = { email = "*@*" }\nmay = "read"', "who.email[1] must be an address"),
        ('who = { groups = "S1" }\nmay = "read"', "who.groups[1] must look like slack:T1:S1"),
        ('who = { places = "C1" }\nmay = "read"', "who.places[1] must look like slack:T1:C1"),
        ('who = { slack = "T1:U1" }\nmay = []', "may must not be empty"),
        ('who = { slack = "T1:U1" }', "may is missing"),
        ('may = "read"', "who is missing"),
        ('who = { slack = "T1:U1" }\nmay = "run-full"', "must be one of 'read'"),
        ('who = { slack = "T1:U1" }\nmay = "public"', "public is a right of places"),
        ('who = { slack = "T1:U1", places = "slack:T1:C1" }\nmay = "public"', "public is a right of places"),
        ('who = { slack = "T1:U1" }\nmay = "read"\non = { pool = "*", model = "*" }', "make a rule of each"),
        ('who = { slack = "T1:U1" }\nmay = "admin"\non = { pool = "*" }', "cannot be narrowed"),
        ('who = { slack = "T1:U1" }\nmay = "cancel"\non = { kpi = "*" }', "cancel is about jobs"),
        ('who = { slack = "T1:U1" }\nmay = "cancel"\non = { jobs = "*" }', "did you mean job?"),
    ],
)
def test_a_rule_that_means_nothing_is_a_problem(problems: Any, rule: str, said: str) -> None:
    (problem,) = problems(f"[[policy]]\n{rule}")
    assert said in problem
    assert problem.startswith("policy[1]")


# --- secrets ---


@pytest.mark.parametrize(
    "toml",
    [
        f'[connections.default]\napi_token = "{KEY}"',
        f'api_token = "{KEY}"',
        ('[slack]\nbot_token = "\x78oxb-123456789012-secret"'),
        ('note = "\x78oxb-123456789012-secret"'),
        '[connections.default]\nurl = "https://user:hunter2hunter2@dev.us-2.celonis.cloud"',
        ('[connections.default]\nkey_type = "\x78oxb-123456789012-secret"'),
        '[connections.default]\noauth_client_secret = "short"',
        'DATABASE_URL = "postgresql://user:hunter2hunter2@host/name"',
        ('hide_fields = ["\x78oxb-123456789012-secret"]'),
    ],
)
def test_a_literal_secret_in_the_toml_is_an_error_that_does_not_repeat_it(problems: Any, toml: str) -> None:
    found = problems(toml)
    assert any("secret, which has no place in the toml" in each for each in found)
    said = "\n".join(found)
    for secret in (KEY, "123456789012", "hunter2", "short"):
        assert secret not in said


def test_a_literal_key_is_the_only_problem_it_makes(problems: Any) -> None:
    toml = f'[connections.prod]\nurl = "acme.eu-1.celonis.cloud"\napi_token = "{KEY}"'
    (problem,) = problems(toml)
    assert "name the environment variable that holds it in api_token_env" in problem


SECRETS = (
    "CELONIS_API_TOKEN",
    "CELONIS_OAUTH_CLIENT_ID",
    "CELONIS_OAUTH_CLIENT_SECRET",
    "SLACK_BOT_TOKEN",
    "SLACK_SIGNING_SECRET",
    "SLACK_APP_TOKEN",
    "MICROSOFT_APP_ID",
    "MICROSOFT_APP_PASSWORD",
    "MICROSOFT_APP_TENANT_ID",
    "CELONIS_CHAT_SECRET_KEY",
    "DATABASE_URL",
)


@given(
    st.dictionaries(
        st.sampled_from(SECRETS), st.sampled_from(("{}", '"{}"', "Bearer {}", "{}\u00e9", "xoxb-{}"))
    )
)
def test_no_problem_and_no_repr_ever_holds_a_secret(given_ones: dict[str, str]) -> None:
    environ = {
        name: form.format(f"Zz9{number}secretValue") for number, (name, form) in enumerate(given_ones.items())
    }
    try:
        said = repr(load(environ | {"CELONIS_URL": LEAST["CELONIS_URL"]}, None, need=Need.SERVING))
    except ConfigError as error:
        said = str(error) + repr(error)
    assert "secretValue" not in said


@given(
    st.recursive(
        st.one_of(st.integers(), st.booleans(), st.text(max_size=8), st.floats(allow_nan=False)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.one_of(
                    st.sampled_from(
                        ("connections", "policy", "who", "may", "on", "limits", "slack", "url", "a")
                    ),
                    st.text(max_size=5),
                ),
                inner,
                max_size=3,
            ),
        ),
        max_leaves=12,
    ),
    st.sampled_from(
        ("connections", "policy", "limits", "bindings", "hide_fields", "synonyms", "server", "aliases")
    ),
)
def test_no_table_of_any_shape_is_more_than_a_list_of_problems(value: Any, key: str) -> None:
    environ = LEAST | {f"CELONIS_CHAT_{key.upper()}": json.dumps(value)}
    try:
        load(environ, None)
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ()
    assert all(each and "\n" not in each.strip() for each in problems)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"zone = 1\nzone = 2"])
def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "celonis-chat.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(LEAST, file)
    (problem,) = caught.value.problems
    assert problem.startswith("celonis-chat.toml")
    assert str(tmp_path) not in problem


def test_a_file_saved_by_windows_is_read(tmp_path: Path) -> None:
    file = tmp_path / "celonis-chat.toml"
    file.write_bytes(b'\xef\xbb\xbflocale = "de"\r\n')
    assert load(LEAST, file).locale == "de"


# --- remarks ---


def test_what_is_not_wrong_but_looks_unintended_is_remarked(read: Any) -> None:
    toml = """
        members_read = false
        [connections.prod]
        url = "acme.eu-1.celonis.cloud"
        api_token_env = "PROD_KEY"
        [[policy]]
        who = { slack = "T1:U1" }
        may = "cancel"
    """
    environ = {
        "PROD_KEY": KEY,
        "CELONIS_API_TOKEN": KEY,
        "SLACK_BOT_TOKN": "x",
        "CELONIS_CHAT_SERVICE_HOST": "x",
    }
    remarks = read(toml, environ).remarks
    assert any("SLACK_BOT_TOKN means nothing" in each and "SLACK_BOT_TOKEN?" in each for each in remarks)
    assert any("CELONIS_API_TOKEN is set, but no connection uses it" in each for each in remarks)
    assert any(each.startswith("policy[1] grants cancel without read") for each in remarks)
    assert len(remarks) == 3


def test_settings_that_are_meant_get_no_remark(read: Any) -> None:
    assert read("", SERVING, Need.SERVING).remarks == ()


def test_several_secret_keys_have_commas_between_them_and_the_first_is_the_newest() -> None:
    settings = load(LEAST | {"CELONIS_CHAT_SECRET_KEY": f"{'n' * 32}, {'o' * 32}"}, None)
    assert [key.reveal() for key in settings.secret_keys] == ["n" * 32, "o" * 32]
    assert "nnn" not in repr(settings)
