"""A web process has loaded its pages before anybody asks for one."""

import gc

from config.settled import settle


def test_what_stays_for_good_is_no_garbage_to_look_through() -> None:
    try:
        settle()
        assert gc.get_freeze_count() > 50_000
    finally:
        gc.unfreeze()
