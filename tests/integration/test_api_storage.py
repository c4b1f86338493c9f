"""The api's tables in both databases."""

from datetime import UTC, datetime, timedelta

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from api.domain.samples import Sample
from api.storage.access import AccessStore
from api.storage.samples import SampleStore, Span
from api.storage.sessions import SessionFilter, SessionStore
from api.storage.sites import KEPT_REVISIONS, SiteStore, StoredSite
from api.storage.tables import metadata
from shared.contracts.session import SessionEnded, SessionStarted
from shared.store import Database

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


async def test_migrations_make_the_tables_that_the_statements_expect(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
        return [difference for difference in found if "alembic_version" not in str(difference)]

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_revision_number_is_given_once_and_old_revisions_go(database: Database) -> None:
    store = SiteStore(database)
    for revision in range(1, KEPT_REVISIONS + 3):
        assert await store.add(StoredSite(revision, {"n": revision}), author="t", now=NOON)
    assert not await store.add(StoredSite(KEPT_REVISIONS, {}), author="t", now=NOON)
    newest = await store.newest()
    assert newest == StoredSite(KEPT_REVISIONS + 2, {"n": KEPT_REVISIONS + 2})
    assert await store.add(StoredSite(1, {}), author="t", now=NOON), "revision 1 was kept"


async def test_a_setup_code_expires(database: Database) -> None:
    store = AccessStore(database)
    await store.add_code("code", expires_at=NOON, now=NOON - timedelta(hours=24))
    assert not await store.exchange("code", "token", now=NOON)
    assert not await store.has_tokens()


async def test_using_one_setup_code_ends_the_others(database: Database) -> None:
    store = AccessStore(database)
    for code in ("one", "two"):
        await store.add_code(code, expires_at=NOON + timedelta(hours=1), now=NOON)
    assert await store.exchange("two", "token", now=NOON)
    assert not await store.exchange("one", "other", now=NOON)
    assert await store.knows_token("token")
    assert not await store.knows_token("other")


async def test_texts_of_a_station_are_stored_whatever_is_in_them(database: Database) -> None:
    store = SessionStore(database)
    place = {"session_id": "s", "evse_id": "e", "station_id": "b", "connector": 1}
    start = SessionStarted(**place, started_at=NOON, token="\x00tag\x00", transaction_id=2**31 + 1)
    await store.record([start, SessionEnded(**place, ended_at=NOON, reason="x" * 5000)])
    found = await store.get("s")
    assert found is not None
    assert (found.token, found.transaction_id, len(found.reason)) == ("tag", 2**31 + 1, 5000)
    assert found.started_at == NOON


async def test_sessions_are_read_page_by_page_without_gap(database: Database) -> None:
    store = SessionStore(database)
    facts = [
        SessionStarted(
            session_id=f"s{number:04}",
            evse_id=f"e{number}",
            station_id="b",
            connector=1,
            started_at=NOON,
        )
        for number in range(1001)
    ]
    await store.record(facts)
    pages = [page async for page in store.every(SessionFilter())]
    assert [len(page) for page in pages] == [1000, 1]
    assert len({record.session_id for page in pages for record in page}) == 1001


async def test_a_sample_that_two_replicas_heard_is_stored_once(database: Database) -> None:
    store = SampleStore(database)
    sample = Sample(source="e", kind="evse", at=NOON, l1_a=1.5)
    await store.add([sample])
    await store.add([sample])
    span = Span(kind="evse", source="e", since=NOON, until=NOON + timedelta(seconds=1))
    assert await store.read(span, most=10) == [sample]


async def test_thinned_history_ends_with_the_newest_sample(database: Database) -> None:
    store = SampleStore(database)
    span = Span(kind="evse", source="e", since=NOON, until=NOON + timedelta(hours=1))
    assert await store.read(span, most=1) == []
    moments = [NOON + timedelta(seconds=number) for number in range(100)]
    await store.add([Sample(source="e", kind="evse", at=at) for at in moments])
    found = await store.read(span, most=7)
    assert len(found) <= 7
    assert found[-1].at == moments[-1]
    assert [sample.at for sample in found] == sorted(sample.at for sample in found)
    assert await store.forget_before(moments[50]) == 50
    assert len(await store.read(span, most=1000)) == 50
