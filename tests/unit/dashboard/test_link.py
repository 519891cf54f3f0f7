from tests.unit.dashboard.conftest import Stand


async def test_a_frame_lost_on_the_way_from_the_engine_makes_the_link_start_over(stand: Stand) -> None:
    await stand.page.login()
    assert stand.control is not None
    async with stand.page.stream() as stream:
        await stream.frame_where(lambda frame: frame["status"] != {} and not frame["full"])
        stand.control.lost = 1
        again = await stream.frame_where(lambda frame: frame["full"])
    numbers = [fill["number"] for fill in again["fills"]]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_frames_that_arrive_with_old_stamps_are_old(stand: Stand) -> None:
    await stand.page.login()
    assert stand.control is not None
    async with stand.page.stream() as stream:
        await stream.frame_where(lambda frame: frame["link"]["state"] == "live")
        stand.control.behind_ns = 5_000_000_000
        old = await stream.frame_where(lambda frame: frame["link"]["age_ms"] >= 5000)
    assert old["link"]["state"] == "silent"


async def test_a_new_engine_is_followed_while_the_old_one_hangs_with_its_connection_open(stand: Stand) -> None:
    await stand.page.login()
    assert stand.control is not None
    async with stand.page.stream() as stream:
        before = await stream.frame_where(lambda frame: frame["status"] != {})
        stand.control.frozen = True
        fresh = await stand.start_engine()
        fresh.engine.reason = "the new one"
        after = await stream.frame_where(lambda frame: frame["status"].get("reason") == "the new one")
    assert before["status"]["reason"] == ""
    assert after["link"]["state"] == "live"
