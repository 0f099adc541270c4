import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.errors.InvalidTimestampException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What the Java clients ask of records: offsets, producers' state, refusals, and reading. */
final class DataChecks {
    private final AdminChecks all;
    private final Admin admin;

    DataChecks(AdminChecks all) {
        this.all = all;
        this.admin = all.admin;
    }

    void addTo(Map<String, AdminChecks.Check> checks) {
        checks.put("list-offsets", this::listOffsets);
        checks.put("delete-records", this::deleteRecords);
        checks.put("describe-producers", this::describeProducers);
        checks.put("producer-refusals", this::producerRefusals);
        checks.put("log-append-time", this::logAppendTime);
        checks.put("topic-compression", this::topicCompression);
        checks.put("consumer-lookups", this::consumerLookups);
        checks.put("consumer-out-of-range", this::consumerOutOfRange);
        checks.put("consumer-many-partitions", this::consumerManyPartitions);
        checks.put("consumer-read-committed", this::consumerReadCommitted);
    }

    private KafkaProducer<String, String> producer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(more);
        config.put("bootstrap.servers", all.broker);
        return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
    }

    private KafkaConsumer<String, String> consumer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(more);
        config.put("bootstrap.servers", all.broker);
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    private KafkaFuture<ListOffsetsResultInfo> offset(TopicPartition p, OffsetSpec spec) {
        return admin.listOffsets(Map.of(p, spec)).partitionResult(p);
    }

    private void expectOffset(long offset, long timestamp, TopicPartition p, OffsetSpec spec) throws Exception {
        ListOffsetsResultInfo got = offset(p, spec).get();
        Expect.equal(offset, got.offset(), "offset for " + spec.getClass().getSimpleName());
        Expect.equal(timestamp, got.timestamp(), "timestamp for " + spec.getClass().getSimpleName());
        Expect.that(offset <= 0 || got.leaderEpoch().isPresent(), "an offset comes with a leader epoch");
    }

    private void listOffsets() throws Exception {
        String topic = all.topic("offsets", 2, Map.of());
        TopicPartition p = new TopicPartition(topic, 0);
        TopicPartition empty = new TopicPartition(topic, 1);
        long t = System.currentTimeMillis() - 100_000;
        all.write(topic, 0, t, t + 5000, t + 9000, t + 2000, t + 9000);
        expectOffset(0, -1, p, OffsetSpec.earliest());
        expectOffset(5, -1, p, OffsetSpec.latest());
        expectOffset(2, t + 9000, p, OffsetSpec.maxTimestamp());
        expectOffset(0, t, p, OffsetSpec.forTimestamp(0));
        expectOffset(1, t + 5000, p, OffsetSpec.forTimestamp(t + 1));
        expectOffset(2, t + 9000, p, OffsetSpec.forTimestamp(t + 9000));
        expectOffset(-1, -1, p, OffsetSpec.forTimestamp(t + 9001));
        expectOffset(0, -1, p, OffsetSpec.earliestLocal());
        expectOffset(-1, -1, p, OffsetSpec.latestTiered());
        expectOffset(0, -1, empty, OffsetSpec.earliest());
        expectOffset(0, -1, empty, OffsetSpec.latest());
        expectOffset(-1, -1, empty, OffsetSpec.maxTimestamp());
        expectOffset(-1, -1, empty, OffsetSpec.forTimestamp(0));
    }

    private void deleteRecords() throws Exception {
        String topic = all.topic("shortened", 2, Map.of());
        TopicPartition p = new TopicPartition(topic, 0);
        all.write(topic, 0, 1, 2, 3, 4, 5, 6);
        Expect.equal(4L, admin.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(4))).lowWatermarks().get(p).get().lowWatermark(), "low watermark");
        expectOffset(4, -1, p, OffsetSpec.earliest());
        Expect.equal(4L, admin.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(2))).lowWatermarks().get(p).get().lowWatermark(), "low watermark, deleting less");
        expectOffset(4, 5, p, OffsetSpec.forTimestamp(0));
        Expect.refused(org.apache.kafka.common.errors.OffsetOutOfRangeException.class, "", admin.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(7))).all());
        Expect.equal(6L, admin.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(p).get().lowWatermark(), "low watermark, deleting all");
        expectOffset(6, -1, p, OffsetSpec.earliest());
        all.write(topic, 0, 7);
        try (var consumer = consumer(Map.of("auto.offset.reset", "earliest"))) {
            consumer.assign(List.of(p));
            Expect.equal(List.of(6L), offsets(read(consumer, 1)), "offsets that can be read");
        }
    }

    private void describeProducers() throws Exception {
        String topic = all.topic("producers", 1, Map.of());
        TopicPartition p = new TopicPartition(topic, 0);
        Expect.equal(0, admin.describeProducers(List.of(p)).partitionResult(p).get().activeProducers().size(), "producers of an empty partition");
        all.write(topic, 0, 1000, 2000, 3000);
        List<ProducerState> states = admin.describeProducers(List.of(p)).partitionResult(p).get().activeProducers();
        Expect.equal(1, states.size(), "number of producers");
        ProducerState s = states.get(0);
        Expect.that(s.producerId() >= 0, "producer id " + s.producerId());
        Expect.equal(0, s.producerEpoch(), "producer epoch");
        Expect.equal(2, s.lastSequence(), "last sequence");
        Expect.equal(3000L, s.lastTimestamp(), "last timestamp");
        Expect.that(s.currentTransactionStartOffset().isEmpty(), "no transaction is open");
    }

    private void producerRefusals() throws Exception {
        String small = all.topic("small", 1, Map.of("max.message.bytes", "2000"));
        String compacted = all.topic("compacted", 1, Map.of("cleanup.policy", "compact"));
        String punctual = all.topic("punctual", 1, Map.of("message.timestamp.before.max.ms", "60000", "message.timestamp.after.max.ms", "60000"));
        long now = System.currentTimeMillis();
        try (var producer = producer(Map.of("max.block.ms", 1000))) {
            refusedRecord(RecordTooLargeException.class, producer, new ProducerRecord<>(small, "x".repeat(3000)));
            refusedRecord(InvalidRecordException.class, producer, new ProducerRecord<>(compacted, "no key"));
            refusedRecord(InvalidTimestampException.class, producer, new ProducerRecord<>(punctual, 0, now - 3_600_000, "k", "old"));
            refusedRecord(InvalidTimestampException.class, producer, new ProducerRecord<>(punctual, 0, now + 3_600_000, "k", "new"));
            refusedRecord(TimeoutException.class, producer, new ProducerRecord<>(small, 7, "k", "no such partition"));
            // The producer and its sequences are sound after all that.
            Expect.equal(0L, producer.send(new ProducerRecord<>(small, "fits")).get().offset(), "offset in " + small);
            Expect.equal(0L, producer.send(new ProducerRecord<>(compacted, "key", "value")).get().offset(), "offset in " + compacted);
            Expect.equal(0L, producer.send(new ProducerRecord<>(punctual, 0, now, "k", "v")).get().offset(), "offset in " + punctual);
        }
    }

    private static void refusedRecord(Class<? extends Exception> want, KafkaProducer<String, String> producer, ProducerRecord<String, String> r)
            throws Exception {
        Expect.thrown(want, "", () -> producer.send(r).get());
    }

    private void logAppendTime() throws Exception {
        String topic = all.topic("stamped", 1, Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis();
        RecordMetadata m = all.write(topic, 0, 1000).get(0);
        Expect.that(m.timestamp() >= before, "the producer is told the broker's time");
        try (var consumer = consumer(Map.of())) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            consumer.seekToBeginning(consumer.assignment());
            ConsumerRecord<String, String> r = read(consumer, 1).get(0);
            Expect.equal(m.timestamp(), r.timestamp(), "timestamp");
            Expect.equal("LogAppendTime", r.timestampType().toString(), "timestamp type");
        }
    }

    private void topicCompression() throws Exception {
        for (String codec : List.of("uncompressed", "gzip", "snappy", "lz4", "zstd")) {
            String topic = all.topic("compressed", 1, Map.of("compression.type", codec));
            String sent = codec.equals("gzip") ? "none" : "gzip";
            try (var producer = producer(Map.of("compression.type", sent, "linger.ms", 50))) {
                for (int i = 0; i < 50; i++) {
                    producer.send(new ProducerRecord<>(topic, 0, "key" + i, "value " + "0".repeat(i)));
                }
            }
            try (var consumer = consumer(Map.of("auto.offset.reset", "earliest"))) {
                consumer.assign(List.of(new TopicPartition(topic, 0)));
                List<ConsumerRecord<String, String>> got = read(consumer, 50);
                for (int i = 0; i < 50; i++) {
                    Expect.equal("key" + i, got.get(i).key(), "key of record " + i + " under " + codec);
                    Expect.equal("value " + "0".repeat(i), got.get(i).value(), "value of record " + i + " under " + codec);
                }
            }
        }
    }

    private void consumerLookups() throws Exception {
        String topic = all.topic("looked-up", 3, Map.of());
        all.write(topic, 2, 1000, 2000, 3000);
        TopicPartition p = new TopicPartition(topic, 2);
        try (var consumer = consumer(Map.of())) {
            Expect.equal(3, consumer.partitionsFor(topic).size(), "number of partitions");
            Expect.that(consumer.listTopics().containsKey(topic), "the topic is listed");
            Expect.equal(0L, consumer.beginningOffsets(Set.of(p)).get(p), "beginning");
            Expect.equal(3L, consumer.endOffsets(Set.of(p)).get(p), "end");
            Expect.equal(1L, consumer.offsetsForTimes(Map.of(p, 1500L)).get(p).offset(), "offset at 1500");
            Expect.equal(2000L, consumer.offsetsForTimes(Map.of(p, 1500L)).get(p).timestamp(), "timestamp at 1500");
            consumer.assign(List.of(p));
            consumer.seekToEnd(List.of(p));
            Expect.equal(3L, consumer.position(p), "position at the end");
            consumer.seek(p, 1);
            Expect.equal(List.of(1L, 2L), offsets(read(consumer, 2)), "offsets from 1 on");
            Expect.equal(0L, consumer.currentLag(p).getAsLong(), "lag");
        }
    }

    private void consumerOutOfRange() throws Exception {
        String topic = all.topic("ranged", 1, Map.of());
        TopicPartition p = new TopicPartition(topic, 0);
        all.write(topic, 0, 1, 2, 3);
        try (var strict = consumer(Map.of("auto.offset.reset", "none"))) {
            strict.assign(List.of(p));
            strict.seek(p, 100);
            Expect.thrown(OffsetOutOfRangeException.class, topic, () -> read(strict, 1));
        }
        try (var lenient = consumer(Map.of("auto.offset.reset", "earliest"))) {
            lenient.assign(List.of(p));
            lenient.seek(p, 100);
            Expect.equal(List.of(0L, 1L, 2L), offsets(read(lenient, 3)), "offsets after the reset");
        }
        try (var lost = consumer(Map.of("allow.auto.create.topics", false, "default.api.timeout.ms", 2000))) {
            Expect.equal(List.of(), lost.partitionsFor("no-such-topic"), "partitions of a topic that is not there");
        }
    }

    /** Records trickle into some of many partitions: fetch sessions carry only what changed. */
    private void consumerManyPartitions() throws Exception {
        String topic = all.topic("wide", 40, Map.of());
        List<TopicPartition> partitions = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            partitions.add(new TopicPartition(topic, i));
        }
        try (var consumer = consumer(Map.of("auto.offset.reset", "earliest", "fetch.max.wait.ms", 100)); var producer = producer(Map.of())) {
            consumer.assign(partitions);
            for (int round = 0; round < 20; round++) {
                for (int i = 0; i < 3; i++) {
                    producer.send(new ProducerRecord<>(topic, (round * 7 + i * 13) % 40, "key", "round " + round)).get();
                }
                for (ConsumerRecord<String, String> r : read(consumer, 3)) {
                    Expect.equal("round " + round, r.value(), "value");
                }
                if (round == 10) { // drop half of them from the session, and one has to be read from the start again
                    consumer.assign(partitions.subList(0, 20));
                    consumer.poll(Duration.ofMillis(50));
                    consumer.assign(partitions);
                    partitions.subList(20, 40).forEach(p -> consumer.seekToEnd(List.of(p)));
                    partitions.subList(20, 40).forEach(consumer::position);
                }
            }
        }
    }

    private void consumerReadCommitted() throws Exception {
        String topic = all.topic("committed", 1, Map.of());
        all.write(topic, 0, 1, 2, 3);
        try (var consumer = consumer(Map.of("isolation.level", "read_committed", "auto.offset.reset", "earliest"))) {
            TopicPartition p = new TopicPartition(topic, 0);
            consumer.assign(List.of(p));
            Expect.equal(List.of(0L, 1L, 2L), offsets(read(consumer, 3)), "offsets");
            Expect.equal(3L, consumer.endOffsets(List.of(p)).get(p), "last stable offset");
        }
    }

    /** Reads this many records, and no more may come with them. */
    private static List<ConsumerRecord<String, String>> read(KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (records.size() < count) {
            Expect.that(System.nanoTime() < deadline, records.size() + " of " + count + " records read");
            consumer.poll(Duration.ofMillis(100)).forEach(records::add);
        }
        Expect.equal(count, records.size(), "number of records");
        return records;
    }

    private static List<Long> offsets(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(ConsumerRecord::offset).toList();
    }
}
