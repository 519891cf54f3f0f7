import json
from typing import Any

import msgspec
from tests.unit.dashboard.frames import BOOK, FILL, STATUS, a_candle, a_frame, a_line

from perpmaker.control.messages import EquityPoint
from perpmaker.dashboard.hub import FULL_LOGS, MAX_CANDLES, MAX_FILLS, Hub


def part(hub: Hub, seen: int | None) -> dict[str, Any]:
    full, content = hub.part(seen)
    decoded: dict[str, Any] = json.loads(content)
    assert decoded["full"] is full
    return decoded


def test_the_first_part_of_a_browser_is_everything() -> None:
    hub = Hub()
    hub.apply(a_frame(full=True, fills=[FILL], books={"BTC": BOOK}, logs=[a_line(1)]))
    hub.apply(a_frame(2, fills=[FILL], candles={"BTC": [a_candle(60, 1.0)]}))
    got = part(hub, None)
    assert got["full"]
    assert set(got["status"]) == set(STATUS.__struct_fields__)
    assert len(got["fills"]) == 2
    assert got["candles"]["BTC"][0]["open_s"] == 60
    assert got["books"]["BTC"]["bids"]
    assert got["logs"] == [{"number": 1, "text": "quotes_replaced"}]


def test_a_browser_that_skipped_frames_gets_the_newest_state_and_every_fill() -> None:
    hub = Hub()
    hub.apply(a_frame(full=True))
    seen = hub.version
    for number in range(2, 12):
        fill = msgspec.structs.replace(FILL, number=number)
        hub.apply(a_frame(number, equity=str(number), fills=[fill]))
    got = part(hub, seen)
    assert not got["full"]
    assert got["status"]["equity"] == "11"
    assert [fill["number"] for fill in got["fills"]] == list(range(2, 12))


def test_only_what_changed_is_sent_again() -> None:
    hub = Hub()
    hub.apply(a_frame(full=True, books={"BTC": BOOK, "ETH": BOOK}))
    seen = hub.version
    hub.apply(a_frame(2, equity="101", books={"BTC": BOOK, "ETH": msgspec.structs.replace(BOOK, last_px="7")}))
    got = part(hub, seen)
    assert got["status"] == {"equity": "101"}
    assert list(got["books"]) == ["ETH"]
    assert got["candles"] == {}


def test_a_part_after_the_newest_version_is_empty() -> None:
    hub = Hub()
    hub.apply(a_frame(full=True, books={"BTC": BOOK}, fills=[FILL]))
    got = part(hub, hub.version)
    assert not got["full"]
    assert got["status"] == {}
    assert got["books"] == {}
    assert got["fills"] == []


def test_a_candle_that_changed_is_sent_and_the_others_are_not() -> None:
    hub = Hub()
    hub.apply(a_frame(full=True, candles={"BTC": [a_candle(0, 1.0), a_candle(60, 2.0)]}))
    seen = hub.version
    hub.apply(a_frame(2, candles={"BTC": [a_candle(60, 3.0)]}))
    assert [row["close"] for row in part(hub, seen)["candles"]["BTC"]] == [3.0]
    assert [row["close"] for row in part(hub, None)["candles"]["BTC"]] == [1.0, 3.0]


def test_a_full_frame_of_the_engine_replaces_the_picture_for_everybody() -> None:
    hub = Hub()
    hub.apply(a_frame(full=True, fills=[FILL], books={"OLD": BOOK}))
    seen = hub.version
    hub.apply(a_frame(1, full=True, books={"NEW": BOOK}))
    got = part(hub, seen)
    assert got["full"]
    assert list(got["books"]) == ["NEW"]
    assert got["fills"] == []


def test_a_browser_that_missed_forgotten_rows_gets_a_full_part() -> None:
    hub = Hub()
    hub.apply(a_frame(full=True))
    hub.apply(a_frame(2, fills=[FILL]))
    behind = hub.version - 1
    hub.apply(a_frame(3, fills=[FILL] * MAX_FILLS))
    assert part(hub, behind)["full"]
    assert not part(hub, hub.version - 1)["full"]
    assert len(part(hub, hub.version - 1)["fills"]) == MAX_FILLS


def test_history_is_bounded() -> None:
    hub = Hub()
    hub.apply(a_frame(full=True, candles={"BTC": [a_candle(60 * i, 1.0) for i in range(MAX_CANDLES + 50)]}))
    hub.apply(a_frame(2, fills=[FILL] * (MAX_FILLS + 9), logs=[a_line(i) for i in range(5000)]))
    got = part(hub, None)
    assert len(got["candles"]["BTC"]) == MAX_CANDLES
    assert got["candles"]["BTC"][0]["open_s"] == 60 * 50
    assert len(got["fills"]) == MAX_FILLS
    assert len(got["logs"]) == FULL_LOGS
    assert len(hub.logs()) == 3000


def test_a_long_equity_curve_is_thinned_in_a_full_part_and_keeps_both_ends() -> None:
    hub = Hub()
    hub.apply(a_frame(full=True))
    points = [EquityPoint(float(second), 100.0 + second, {}) for second in range(3600)]
    hub.apply(msgspec.structs.replace(a_frame(2), equity=points))
    got = [point["ts_s"] for point in part(hub, None)["equity"]]
    assert len(got) <= 1001
    assert got[-1] == 3599.0
    assert got[0] < 4
    assert got == sorted(got)


def test_log_lines_are_cut_to_a_length() -> None:
    hub = Hub()
    hub.apply(a_frame(full=True, logs=[a_line(1, "x" * 50_000)]))
    assert len(part(hub, None)["logs"][0]["text"]) == 2000


def test_browsers_at_the_same_version_share_the_same_bytes() -> None:
    hub = Hub()
    hub.apply(a_frame(full=True))
    seen = hub.version
    hub.apply(a_frame(2, equity="7"))
    assert hub.part(seen)[1] is hub.part(seen)[1]
