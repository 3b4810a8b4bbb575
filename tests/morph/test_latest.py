"""What was asked for last is kept, and nothing else."""

import gc
import weakref

from morph.latest import Latest


def test_what_was_asked_for_last_is_kept():
    made = []

    def make(key):
        made.append(key)
        return None if key == 2 else 10 * key

    latest = Latest(2)
    assert [latest.get(key, make) for key in (1, 2, 1, 2, 3, 2, 1)] == [10, None, 10, None, 30, None, 10]
    assert made == [1, 2, 3, 1]


def test_who_keeps_what_its_methods_make_goes_with_its_last_holder():
    class Slow:
        def __init__(self):
            self.latest = Latest(2)

        def value(self):
            return self.latest.get(0, self.make)

        def make(self, key):
            return key

    gc.disable()
    try:
        slow = Slow()
        assert slow.value() == 0
        gone = weakref.ref(slow)
        del slow
        assert gone() is None
    finally:
        gc.enable()
