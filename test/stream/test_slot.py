"""The newest-item slot between the camera's thread and the worker's."""

import threading

from amtnet_ros.stream import NewestSlot


def test_the_newest_item_replaces_the_one_that_waits_and_is_counted():
    slot: NewestSlot[int] = NewestSlot()
    for item in (1, 2, 3):
        slot.put(item)
    assert slot.take(timeout=0) == 3
    assert slot.take(timeout=0) is None
    assert slot.replaced == 2


def test_a_waiting_consumer_wakes_when_an_item_comes():
    slot: NewestSlot[str] = NewestSlot()
    producer = threading.Timer(0.05, slot.put, ["image"])
    producer.start()
    assert slot.take(timeout=30) == "image"


def test_closing_wakes_the_consumer_and_ends_delivery():
    slot: NewestSlot[str] = NewestSlot()
    threading.Timer(0.05, slot.close).start()
    assert slot.take(timeout=30) is None
    slot.put("too late")
    assert slot.take(timeout=0) is None


def test_every_item_is_taken_or_counted_as_replaced_between_threads():
    slot: NewestSlot[int] = NewestSlot()
    taken: list[int] = []

    def consume() -> None:
        while (item := slot.take(timeout=10)) != -1:
            if item is not None:
                taken.append(item)

    consumer = threading.Thread(target=consume)
    consumer.start()
    for item in range(5000):
        slot.put(item)
    slot.put(-1)  # if it replaces the last item, that is counted too
    consumer.join(timeout=30)
    assert not consumer.is_alive()
    assert len(taken) + slot.replaced == 5000
    assert taken == sorted(taken)
