"""A driver of librdkafka, by way of confluent-kafka."""

import sys
import time

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

import driver


class Librdkafka:
    def hello(self, order):
        self.config = {"bootstrap.servers": order["broker"], "reconnect.backoff.max.ms": 500, "log_level": 3}
        self.admin = AdminClient(self.config)
        name = "librdkafka %s (confluent-kafka %s)" % (confluent_kafka.libversion()[0], confluent_kafka.__version__)
        return {"name": name, "traits": {}}

    def close(self):
        pass

    def create(self, order):
        topic = NewTopic(order["topic"], num_partitions=order["partitions"], replication_factor=1)
        self.admin.create_topics([topic], request_timeout=30)[order["topic"]].result()

    def topics(self, order):
        topics = self.admin.list_topics(timeout=30).topics
        return {name: len(t.partitions) for name, t in topics.items()}

    def delete(self, order):
        self.admin.delete_topics([order["topic"]], request_timeout=30)[order["topic"]].result()

    def producer(self, produce):
        return Producer(
            self.config
            | {
                "acks": produce["acks"],
                "compression.type": produce["codec"],
                "enable.idempotence": bool(produce.get("idempotent")),
                "max.in.flight": 5 if produce.get("idempotent") else 1,
                "linger.ms": 5,
                "delivery.timeout.ms": 90000,
            }
        )

    def produce(self, order):
        producer, told = self.producer(order["produce"]), {}

        def delivered(i):
            def callback(error, message):
                told[i] = error or {"partition": message.partition(), "offset": message.offset()}

            return callback

        for i, r in enumerate(order["records"]):
            producer.produce(
                order["topic"],
                key=driver.decode(r["key"]),
                value=driver.decode(r["value"]),
                headers=driver.headers_of(r),
                partition=r["partition"],
                timestamp=r["timestamp"],
                on_delivery=delivered(i),
            )
        producer.flush(60)
        for i in range(len(order["records"])):
            if not isinstance(told.get(i), dict):
                raise RuntimeError("record %d: %s" % (i, told.get(i, "no report")))
            if order["produce"]["acks"] == "0":
                told[i]["offset"] = -1
        return [told[i] for i in range(len(order["records"]))]

    def consumer(self):
        return Consumer(
            self.config
            | {"group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": False, "fetch.wait.max.ms": 100}
        )

    def ends(self, topic):
        described = self.admin.list_topics(topic, timeout=30).topics[topic]
        asked = {TopicPartition(topic, p): OffsetSpec.latest() for p in described.partitions}
        return {p.partition: f.result().offset for p, f in self.admin.list_offsets(asked, request_timeout=30).items()}

    def read(self, order):
        consumer, topic, starts = self.consumer(), order["topic"], driver.starts_of(order)
        ends = self.ends(topic)
        left = sum(max(0, end - starts.get(p, 0)) for p, end in ends.items())
        consumer.assign([TopicPartition(topic, p, starts.get(p, 0)) for p, end in ends.items() if starts.get(p, 0) < end])
        records, deadline = [], time.monotonic() + 60
        while left > len(records):
            if time.monotonic() > deadline:
                raise TimeoutError("%d of %d records read" % (len(records), left))
            for m in consumer.consume(1000, timeout=0.2):
                if m.error():
                    raise RuntimeError(m.error())
                records.append(
                    driver.record_of(m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(), m.headers())
                )
        consumer.close()
        return records

    def offset_at(self, order):
        consumer = self.consumer()
        asked = TopicPartition(order["topic"], order["partition"], order["timestamp"])
        found = consumer.offsets_for_times([asked], timeout=30)[0]
        consumer.close()
        if found.error:
            raise RuntimeError(found.error)
        return found.offset if found.offset >= 0 else -1

    def load(self, order):
        load, progress, failed = order["load"], driver.Progress(), []
        producer = self.producer({"codec": "none", "acks": "all", "idempotent": load["idempotent"]})

        def delivered(sequence):
            def callback(error, message):
                if error:
                    failed.append(error)
                else:
                    progress.acknowledged(message.partition(), sequence, message.offset())

            return callback

        for partition, sequence in driver.paced(load):
            value = driver.load_value(sequence)
            producer.produce(order["topic"], value=value, partition=partition, on_delivery=delivered(sequence))
            producer.poll(0)
        producer.flush(90)
        if failed:
            raise RuntimeError("%d records failed, the first one: %s" % (len(failed), failed[0]))
        return progress.acks

    def member(self, order):
        config = {
            "bootstrap.servers": order["broker"],
            "group.id": order["group"],
            "group.protocol": order["protocol"],
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
            "reconnect.backoff.max.ms": 500,
            "log_level": 3,
        }
        if order["instance"]:
            config["group.instance.id"] = order["instance"]
        if order["protocol"] == "classic":
            config |= {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        consumer = Consumer(config)
        consumer.subscribe([order["topic"]])
        told = driver.until_told()
        while not told.is_set():
            polled = []
            for m in consumer.consume(100, timeout=0.2):
                if not m.error():
                    polled.append(m)
                elif m.error().fatal():
                    raise RuntimeError(m.error())
            if not polled:
                continue
            driver.answer({"values": [m.value().decode() for m in polled]})
            try:
                consumer.commit(asynchronous=False)
            except confluent_kafka.KafkaException as error:  # while there is no coordinator, or a rebalance comes first
                print("commit:", error, file=sys.stderr)
        consumer.close()


driver.serve(Librdkafka())
