"""The store of a whole session of the real core says what the core says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.engine.chronicle import boot, written
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, ETH, MAIN, Rig
from tests.unit.engine.session import record

from perpmaker.engine.records import FillBooked, Happened, Intent, Record
from perpmaker.engine.store import StoreReader, rebuild
from perpmaker.model.events import Fill
from perpmaker.model.ids import ClientOrderId
from perpmaker.model.order import Side


@pytest.fixture(scope="module")
def session() -> Rig:
    return record()


@pytest.fixture(scope="module")
def reader(session: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreReader]:
    with closing(stored(tmp_path_factory.mktemp("session"), session.journal)) as found:
        yield found


def stored(folder: Path, records: list[Record]) -> StoreReader:
    written(folder / "journal", records).close()
    rebuild(folder / "journal", folder / "store.sqlite")
    return StoreReader(folder / "store.sqlite")


def test_every_order_ends_as_it_ended_for_the_engine(session: Rig, reader: StoreReader) -> None:
    sent = [entry.order.client_order_id for entry in session.journal if isinstance(entry, Intent)]
    table = session.engine.world.table
    known = {number: tracked for number in sent if (tracked := table.get(MAIN, ClientOrderId(number))) is not None}
    rows = {int(row.client_order_id): row for row in reader.every_order()}
    assert len(known) > 50
    assert set(rows) == set(sent)
    for number, tracked in known.items():
        row = rows[number]
        assert (row.state, row.reason, row.cum_qty, row.filled_qty) == (
            tracked.state.value,
            tracked.reason,
            tracked.cum_qty,
            tracked.filled_qty,
        )


def test_fills_positions_and_money_are_the_engines(session: Rig, reader: StoreReader) -> None:
    fills = list(reader.every_fill())
    book = session.engine.world.account_books[MAIN]
    assert len(fills) == session.engine.world.fills_total > 8
    assert [row.number for row in fills] == list(range(1, len(fills) + 1))
    assert sum(row.fee for row in fills) == book.fees
    for instrument in (BTC, ETH):
        own = [row for row in fills if row.instrument == instrument]
        assert own[-1].position_after == book.position_qty(instrument)
        assert all(row.strategy for row in own)


def test_grid_profit_is_what_the_engines_lots_realised(tmp_path: Path) -> None:
    rig = Rig(made(Maker)).start()
    for number in range(30):
        side = Side.BUY if number * 7 % 5 < 3 else Side.SELL
        rig.fill(rig.quotes(BTC, side)[0], Decimal("0.001") * (1 + number % 4))
        rig.mid[BTC] += Decimal((number * 13) % 29 - 14)
        rig.run(2.5)
    with closing(stored(tmp_path, rig.journal)) as reader:
        profits = [row.grid_profit for row in reader.every_fill()]
    assert (
        sum(profit for profit in profits if profit is not None)
        == rig.engine.world.account_books[MAIN].lots(BTC).realized_pnl
    )
    assert None not in profits


def test_wherever_a_kill_falls_the_next_life_and_the_store_know_the_same_fills(tmp_path: Path) -> None:
    first = Rig(made(Maker)).start()
    for _ in range(5):
        first.fill(first.live()[0], Decimal("0.004"))
        first.run(1)
    told = [
        at for at, entry in enumerate(first.journal) if isinstance(entry, Happened) and isinstance(entry.event, Fill)
    ]
    assert len(told) == 5
    for at in told:
        assert isinstance(first.journal[at + 1], FillBooked)
        survived = first.journal[: at + 1]
        second = Rig(made(Maker), epoch=2, venue=first)
        second.engine.restore(None, survived)
        second.journal = [*survived, boot(2)]
        second.collect()
        second.start()
        second.run(10)
        with closing(stored(tmp_path / str(at), second.journal)) as reader:
            fills = list(reader.every_fill())
        assert {row.trade_id for row in fills} == {fill.trade_id for fill in first.fills}
        assert len(fills) == len(first.fills)
        assert fills[-1].position_after == second.engine.world.account_books[MAIN].position_qty(BTC)
        assert sum(row.fee for row in fills) == second.engine.world.account_books[MAIN].fees
        assert all(row.grid_profit is not None for row in fills)
