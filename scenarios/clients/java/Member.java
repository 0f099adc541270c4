import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A member of a group. It reads, tells what it has read, and commits it, until the input ends. */
final class Member {
    /** Where a line of the output goes. */
    interface Out {
        void say(ObjectNode answer) throws Exception;
    }

    private final JsonNode order;
    private final BufferedReader in;
    private final Out out;
    private volatile boolean told;

    Member(JsonNode order, BufferedReader in, Out out) {
        this.order = order;
        this.in = in;
        this.out = out;
    }

    void run() throws Exception {
        Thread waiting = new Thread(this::awaitEnd);
        waiting.setDaemon(true);
        waiting.start();
        try (var consumer = new KafkaConsumer<>(config(), new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(order.get("topic").asText()));
            while (!told) {
                ConsumerRecords<String, String> polled = consumer.poll(Duration.ofMillis(200));
                if (polled.isEmpty()) {
                    continue;
                }
                ObjectNode answer = Driver.JSON.createObjectNode();
                ArrayNode values = answer.putArray("values");
                polled.forEach(r -> values.add(r.value()));
                out.say(answer);
                commit(consumer);
            }
        }
    }

    private void awaitEnd() {
        try {
            while (in.readLine() != null) {
                continue;
            }
        } catch (IOException fault) {
            fault.printStackTrace();
        }
        told = true;
    }

    /** It may fail while there is no coordinator, or when a rebalance comes first. */
    private static void commit(KafkaConsumer<String, String> consumer) {
        try {
            consumer.commitSync(Duration.ofSeconds(5));
        } catch (CommitFailedException | RebalanceInProgressException | RetriableException fault) {
            System.err.println("commit: " + fault);
        }
    }

    private Map<String, Object> config() {
        Map<String, Object> config = new HashMap<>();
        String protocol = order.get("protocol").asText();
        config.put("bootstrap.servers", order.get("broker").asText());
        config.put("group.id", order.get("group").asText());
        config.put("group.protocol", protocol);
        config.put("enable.auto.commit", false);
        config.put("auto.offset.reset", "earliest");
        config.put("fetch.max.wait.ms", 100);
        config.put("reconnect.backoff.max.ms", 500);
        if (!order.get("instance").asText().isEmpty()) {
            config.put("group.instance.id", order.get("instance").asText());
        }
        if (protocol.equals("classic")) {
            config.put("session.timeout.ms", 6000);
            config.put("heartbeat.interval.ms", 500);
            config.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
        }
        return config;
    }
}
