"""The part of a driver that every Python client shares.

A driver takes orders as lines of JSON on its standard input and answers on its
standard output: any number of {"progress": n}, then one of {"result": ...},
{"error": text} and {"lacks": text}. Bytes travel as base64, null as null.
"""

import base64
import json
import sys
import threading
import time
import traceback


class Lacks(Exception):
    """The client has no such feature."""


def decode(text):
    return None if text is None else base64.b64decode(text)


def encode(data):
    return None if data is None else base64.b64encode(data).decode()


def headers_of(record):
    return [(h["key"], decode(h["value"])) for h in record.get("headers") or []]


def record_of(partition, offset, timestamp, key, value, headers):
    return {
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": encode(key),
        "value": encode(value),
        "headers": [{"key": k, "value": encode(v)} for k, v in headers or []],
    }


def load_value(sequence):
    return b"%d of the load" % sequence


def starts_of(order):
    """The offsets to read from, by partition."""
    return {int(p): offset for p, offset in (order.get("from") or {}).items()}


def paced(load):
    """Yields partition and sequence of each record of a load, when it is due."""
    start = time.monotonic()
    for i in range(load["count"]):
        wait = start + i / load["rate"] - time.monotonic()
        if wait > 0.002:
            time.sleep(wait)
        yield i % load["partitions"], i // load["partitions"]


class Progress:
    """Counts acknowledgements and tells of some of them."""

    def __init__(self):
        self.acks = []

    def acknowledged(self, partition, sequence, offset):
        self.acks.append({"partition": partition, "sequence": sequence, "offset": offset})
        if len(self.acks) % 100 == 0:
            answer({"progress": len(self.acks)})


def until_told():
    """An event for the end of the standard input, which tells a member to leave."""
    told = threading.Event()

    def wait():
        sys.stdin.read()
        told.set()

    threading.Thread(target=wait, daemon=True).start()
    return told


def answer(fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def serve(driver):
    """Takes orders until the standard input ends; a driver has a method for each."""
    for line in sys.stdin:
        order = json.loads(line)
        try:
            method = getattr(driver, order["do"].replace("-", "_"))
            answer({"result": method(order)})
        except Lacks as lacks:
            answer({"lacks": str(lacks)})
        except Exception as error:
            traceback.print_exc()
            answer({"error": "%s: %s" % (type(error).__name__, error)})
    driver.close()
