"""A driver of kafka-python."""

import sys
import time

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

import driver


class KafkaPython:
    admin = None

    def hello(self, order):
        self.broker = order["broker"]
        self.admin = KafkaAdminClient(bootstrap_servers=self.broker)
        return {"name": "kafka-python " + kafka.__version__, "traits": {}}

    def close(self):
        if self.admin:
            self.admin.close()

    def create(self, order):
        topic = NewTopic(order["topic"], num_partitions=order["partitions"], replication_factor=1)
        self.admin.create_topics([topic])

    def topics(self, order):
        return {t["name"]: len(t["partitions"]) for t in self.admin.describe_topics()}

    def delete(self, order):
        self.admin.delete_topics([order["topic"]])

    def producer(self, produce):
        acks = {"0": 0, "1": 1, "all": "all"}[produce["acks"]]
        codec = None if produce["codec"] == "none" else produce["codec"]
        idempotent = bool(produce.get("idempotent"))
        return KafkaProducer(
            bootstrap_servers=self.broker,
            acks=acks,
            compression_type=codec,
            enable_idempotence=idempotent,
            linger_ms=5,
            reconnect_backoff_max_ms=500,
            delivery_timeout_ms=90000,
            max_block_ms=90000,
        )

    def produce(self, order):
        producer = self.producer(order["produce"])
        futures = []
        for r in order["records"]:
            futures.append(
                producer.send(
                    order["topic"],
                    key=driver.decode(r["key"]),
                    value=driver.decode(r["value"]),
                    headers=driver.headers_of(r),
                    partition=r["partition"] if r["partition"] >= 0 else None,
                    timestamp_ms=r["timestamp"],
                )
            )
        producer.flush(60)
        told = [f.get(60) for f in futures]
        producer.close()
        told_offsets = order["produce"]["acks"] != "0"  # otherwise the client makes one up
        return [{"partition": m.partition, "offset": m.offset if told_offsets else -1} for m in told]

    def read(self, order):
        consumer = KafkaConsumer(bootstrap_servers=self.broker, group_id=None, enable_auto_commit=False)
        topic, starts = order["topic"], driver.starts_of(order)
        partitions = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        for p in partitions:
            consumer.seek(p, starts.get(p.partition, 0))
        records, deadline = [], time.monotonic() + 60
        while any(consumer.position(p) < ends[p] for p in partitions):
            if time.monotonic() > deadline:
                raise TimeoutError("%d records read, ends are %s" % (len(records), ends))
            for polled in consumer.poll(timeout_ms=200).values():
                for m in polled:
                    records.append(driver.record_of(m.partition, m.offset, m.timestamp, m.key, m.value, m.headers))
        consumer.close()
        return records

    def offset_at(self, order):
        consumer = KafkaConsumer(bootstrap_servers=self.broker)
        partition = TopicPartition(order["topic"], order["partition"])
        found = consumer.offsets_for_times({partition: order["timestamp"]})[partition]
        consumer.close()
        return -1 if found is None else found.offset

    def load(self, order):
        load, progress = order["load"], driver.Progress()
        producer = self.producer({"codec": "none", "acks": "all", "idempotent": load["idempotent"]})
        futures = []
        for partition, sequence in driver.paced(load):
            future = producer.send(order["topic"], value=driver.load_value(sequence), partition=partition)
            future.add_callback(lambda m, s=sequence: progress.acknowledged(m.partition, s, m.offset))
            futures.append(future)
        producer.flush(90)
        for future in futures:
            future.get(90)
        producer.close()
        return progress.acks

    def member(self, order):
        if order["protocol"] != "classic":
            raise driver.Lacks("the protocol " + order["protocol"])
        consumer = KafkaConsumer(
            order["topic"],
            bootstrap_servers=order["broker"].split(","),
            group_id=order["group"],
            group_instance_id=order["instance"] or None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=6000,
            heartbeat_interval_ms=500,
            fetch_max_wait_ms=100,
            reconnect_backoff_max_ms=500,
        )
        told = driver.until_told()
        while not told.is_set():
            polled = [m for records in consumer.poll(timeout_ms=200).values() for m in records]
            if not polled:
                continue
            driver.answer({"values": [m.value.decode() for m in polled]})
            try:
                consumer.commit()
            except kafka.errors.KafkaError as error:  # while there is no coordinator, or a rebalance comes first
                print("commit:", error, file=sys.stderr)
        consumer.close()


driver.serve(KafkaPython())
