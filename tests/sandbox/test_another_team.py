"""A sandbox over the data of another team."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

from bot.sandbox import BrokenData, Sandbox, SandboxOptions
from bot.sandbox.console import introduction
from bot.sandbox.content import DATA

CATALOGS = Path(__file__).parents[1] / "language" / "catalogs"
MODEL = "harbour.harbour-logistics-km"
MODEL_FILE = f"models/{MODEL}/model.json"


def over(folder: Path) -> Sandbox:
    return Sandbox(SandboxOptions(data=folder))


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CATALOGS / "hafen", tmp_path / "hafen"))


@pytest.mark.parametrize(
    ("folder", "model", "kpis", "pools"),
    [
        ("hafen", "Harbour Logistics", "BERTH_UTILISATION", {"Port System", "Customs"}),
        ("einkauf", "Einkauf", "LIEFERTREUE", {"SAP Einkauf", "Lieferantenportal"}),
    ],
)
async def test_an_operator_gets_the_models_values_rows_and_pools_of_the_folder(
    folder: str, model: str, kpis: str, pools: set[str]
) -> None:
    async with (
        over(CATALOGS / folder) as sandbox,
        httpx.AsyncClient(
            base_url=sandbox.url,
            headers={"Authorization": sandbox.keys.operator.authorization},
            trust_env=False,
        ) as api,
    ):
        base = "/intelligence/api/knowledge-models"
        (found,) = (await api.get(base)).json()["content"]
        assert found["name"] == model
        (value,) = (await api.get(f"{base}/{found['id']}/data", params={"kpis": kpis})).json()["content"][
            "data"
        ]
        assert 0.5 < value[kpis] < 1
        held = sandbox.knowledge_models[found["id"]]
        for each in held.filters:
            fields = held.record(each.record).fields[0].id  # type: ignore[union-attr]
            reply = await api.get(
                f"{base}/{found['id']}/records/{each.record}/data",
                params={"fields": fields, "filters": each.id},
            )
            assert reply.status_code == 200, reply.text
            assert reply.json()["content"]["data"], each
        assert {each["name"] for each in (await api.get("/integration/api/pools")).json()} == pools
        assert f"{found['id']}/records/" in introduction(sandbox)


def test_without_files_for_them_the_keys_and_packages_are_those_that_fit(folder: Path) -> None:
    sandbox = over(folder)
    assert sandbox.studio.open_packages == {"harbour"}
    assert sandbox.given["subscriptions"] == []
    assert sandbox.keys.pool.rights.view_pools == frozenset({next(iter(sandbox.pools)).id})
    assert next(iter(sandbox.pools)).name in sandbox.keys.pool.may
    assert sandbox.keys.operator.secret == Sandbox().keys.operator.secret


def test_files_for_keys_and_packages_are_taken_where_they_are_there(folder: Path) -> None:
    for name in ("team.json", "studio.json"):
        (folder / name).write_text((DATA / name).read_text("utf-8"), "utf-8")
    sandbox = over(folder)
    assert sandbox.given == Sandbox().given
    assert sandbox.studio.open_packages == Sandbox().studio.open_packages


def test_the_own_folder_given_by_name_is_the_sandbox_that_comes_along() -> None:
    given, usual = over(Path(str(DATA))), Sandbox()
    assert given.knowledge_models.keys() == usual.knowledge_models.keys()
    assert given.given == usual.given
    assert [each.name for each in given.pools] == [each.name for each in usual.pools]


def test_a_reset_reads_the_same_folder(folder: Path) -> None:
    sandbox = over(folder)
    sandbox.reset()
    assert list(sandbox.knowledge_models) == [MODEL]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("pools.json", None, "pools.json is missing"),
        ("pools.json", '[{"id": "p", "name": "P"}]', "pools.json lacks 'description'"),
        ("pools.json", "{", "pools.json cannot be used: Expecting"),
        ("pools.json", "7", "pools.json cannot be used: 'int' object is not iterable"),
        ("team.json", "no", "team.json cannot be used: Expecting value"),
        (MODEL_FILE, None, "model.json is missing"),
        (MODEL_FILE, "{}", "model.json lacks 'name'"),
        (MODEL_FILE, "[]", "model.json cannot be used"),
        (
            f"models/{MODEL}/CONTAINERS.json",
            "[[1, 2]]",
            "CONTAINERS.json cannot be used: row 1 has 2 values for 14",
        ),
        (
            f"models/{MODEL}/VESSEL_CALLS.json",
            '[["a", "b", "c", "x y", false, 3]]',
            "VESSEL_CALLS.json cannot be",
        ),
    ],
)
def test_a_broken_folder_is_a_sentence_that_names_the_file(
    folder: Path, file: str, text: str | None, said: str
) -> None:
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text, "utf-8")
    with pytest.raises(BrokenData) as caught:
        over(folder)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(folder))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"type": "float"', '"type": "money"', "has the type money, which is none"),
        ('"field": "dwell_days"', '"field": "days"', "the KPI AVG_DWELL names the field CONTAINERS.days"),
        ('"record": "VESSEL_CALLS",\n', '"record": "SHIPS",\n', "names the record SHIPS, which is not there"),
    ],
)
def test_a_model_that_names_what_it_lacks_is_refused(folder: Path, old: str, new: str, said: str) -> None:
    file = folder / MODEL_FILE
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(BrokenData, match=said):
        over(folder)


def test_a_folder_without_models_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "models" / MODEL)
    with pytest.raises(BrokenData, match="holds no knowledge model"):
        over(folder)
    (folder / "models").rmdir()
    with pytest.raises(BrokenData, match="models is missing"):
        over(folder)
