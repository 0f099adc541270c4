import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * A driver of the Java client. It takes orders as lines of JSON on its standard input and answers
 * on its standard output: any number of {"progress": n}, then {"result": ...} or {"error": text}.
 * Bytes travel as base64, null as null.
 */
public final class Driver {
    static final ObjectMapper JSON = new ObjectMapper();

    private final PrintStream out = System.out;
    private final BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    private String broker;
    private Admin admin;
    private AdminChecks checks;

    public static void main(String[] args) throws Exception {
        new Driver().serve();
    }

    private void serve() throws Exception {
        System.setOut(System.err); // nothing but answers goes out
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            ObjectNode answer = JSON.createObjectNode();
            try {
                answer.set("result", JSON.valueToTree(obey(JSON.readTree(line))));
            } catch (Throwable fault) {
                Throwable cause = fault instanceof ExecutionException ? fault.getCause() : fault;
                cause.printStackTrace();
                answer.put("error", cause.toString());
            }
            say(answer);
        }
        if (admin != null) {
            admin.close(Duration.ofSeconds(10));
        }
    }

    private synchronized void say(ObjectNode answer) throws Exception {
        out.println(JSON.writeValueAsString(answer));
        out.flush();
    }

    private Object obey(JsonNode order) throws Exception {
        String topic = order.path("topic").asText();
        switch (order.get("do").asText()) {
            case "hello":
                broker = order.get("broker").asText();
                admin = Admin.create(Map.of("bootstrap.servers", broker));
                checks = new AdminChecks(broker, admin);
                return Map.of("name", "Java client " + AppInfoParser.getVersion(), "traits", Map.of());
            case "create":
                admin.createTopics(List.of(new NewTopic(topic, order.get("partitions").asInt(), (short) 1))).all().get();
                return null;
            case "topics":
                return topics();
            case "delete":
                admin.deleteTopics(List.of(topic)).all().get();
                return null;
            case "produce":
                return produce(topic, order.get("produce"), order.get("records"));
            case "read":
                return read(topic, order.path("from"));
            case "offset-at":
                return offsetAt(new TopicPartition(topic, order.get("partition").asInt()), order.get("timestamp").asLong());
            case "load":
                return load(topic, order.get("load"));
            case "member":
                new Member(order, in, this::say).run();
                return null;
            case "checks":
                return checks.names();
            case "check":
                checks.run(order.get("check").asText());
                return null;
            default:
                throw new IllegalArgumentException("unknown order " + order);
        }
    }

    private Map<String, Integer> topics() throws Exception {
        Map<String, Integer> topics = new HashMap<>();
        for (TopicDescription t : admin.describeTopics(admin.listTopics().names().get()).allTopicNames().get().values()) {
            topics.put(t.name(), t.partitions().size());
        }
        return topics;
    }

    private KafkaProducer<byte[], byte[]> producer(String codec, String acks, boolean idempotent) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", broker);
        config.put("compression.type", codec);
        config.put("acks", acks);
        config.put("enable.idempotence", idempotent);
        config.put("max.in.flight.requests.per.connection", idempotent ? 5 : 1);
        config.put("delivery.timeout.ms", 90_000);
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static byte[] bytes(JsonNode node) throws Exception {
        return node == null || node.isNull() ? null : node.binaryValue();
    }

    private ArrayNode produce(String topic, JsonNode how, JsonNode records) throws Exception {
        ArrayNode places = JSON.createArrayNode();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = producer(how.get("codec").asText(), how.get("acks").asText(), how.get("idempotent").asBoolean())) {
            for (JsonNode r : records) {
                Integer partition = r.get("partition").asInt() < 0 ? null : r.get("partition").asInt();
                List<Header> headers = new ArrayList<>();
                for (JsonNode h : r.path("headers")) {
                    headers.add(new RecordHeader(h.get("key").asText(), bytes(h.get("value"))));
                }
                sent.add(producer.send(new ProducerRecord<>(topic, partition, r.get("timestamp").asLong(),
                        bytes(r.get("key")), bytes(r.get("value")), headers)));
            }
            producer.flush();
            for (Future<RecordMetadata> f : sent) {
                RecordMetadata m = f.get();
                places.addObject().put("partition", m.partition()).put("offset", m.hasOffset() ? m.offset() : -1);
            }
        }
        return places;
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        Map<String, Object> config = Map.of("bootstrap.servers", broker, "fetch.max.wait.ms", 100);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private ArrayNode read(String topic, JsonNode from) {
        ArrayNode records = JSON.createArrayNode();
        try (var consumer = consumer()) {
            List<TopicPartition> partitions = new ArrayList<>();
            consumer.partitionsFor(topic).forEach(p -> partitions.add(new TopicPartition(topic, p.partition())));
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            consumer.assign(partitions);
            partitions.forEach(p -> consumer.seek(p, from.path(String.valueOf(p.partition())).asLong()));
            long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException(records.size() + " records read, the ends are " + ends);
                }
                consumer.poll(Duration.ofMillis(200)).forEach(r -> add(records, r));
            }
        }
        return records;
    }

    private static void add(ArrayNode records, ConsumerRecord<byte[], byte[]> r) {
        ObjectNode node = records.addObject();
        node.put("partition", r.partition()).put("offset", r.offset()).put("timestamp", r.timestamp());
        node.put("key", r.key()).put("value", r.value());
        ArrayNode headers = node.putArray("headers");
        r.headers().forEach(h -> headers.addObject().put("key", h.key()).put("value", h.value()));
    }

    private long offsetAt(TopicPartition partition, long timestamp) {
        try (var consumer = consumer()) {
            OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, timestamp)).get(partition);
            return found == null ? -1 : found.offset();
        }
    }

    private ArrayNode load(String topic, JsonNode load) throws Exception {
        int count = load.get("count").asInt();
        int partitions = load.get("partitions").asInt();
        long step = 1_000_000_000L / load.get("rate").asInt();
        ArrayNode acks = JSON.createArrayNode();
        AtomicReference<Exception> failed = new AtomicReference<>();
        try (var producer = producer("none", "all", load.get("idempotent").asBoolean())) {
            long start = System.nanoTime();
            for (int i = 0; i < count; i++) {
                long wait = start + i * step - System.nanoTime();
                if (wait > 2_000_000) {
                    Thread.sleep(wait / 1_000_000);
                }
                int partition = i % partitions;
                int sequence = i / partitions;
                byte[] value = (sequence + " of the load").getBytes();
                producer.send(new ProducerRecord<>(topic, partition, null, value), (m, fault) -> {
                    if (fault != null) {
                        failed.set(fault);
                        return;
                    }
                    acks.addObject().put("partition", partition).put("sequence", sequence).put("offset", m.offset());
                    progress(acks.size());
                });
            }
            producer.flush();
        }
        if (failed.get() != null) {
            throw failed.get();
        }
        return acks;
    }

    private void progress(int acked) {
        try {
            if (acked % 100 == 0) {
                say(JSON.createObjectNode().put("progress", acked));
            }
        } catch (Exception fault) {
            throw new IllegalStateException(fault);
        }
    }
}
