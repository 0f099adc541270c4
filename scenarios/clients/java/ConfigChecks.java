import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigType;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidRequestException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** What the Java admin client asks of configurations. */
final class ConfigChecks {
    /** Every topic setting of Apache Kafka 4.0. */
    private static final Set<String> TOPIC_KEYS = Set.of(
            "cleanup.policy", "compression.gzip.level", "compression.lz4.level", "compression.type", "compression.zstd.level",
            "delete.retention.ms", "file.delete.delay.ms", "flush.messages", "flush.ms",
            "follower.replication.throttled.replicas", "index.interval.bytes", "leader.replication.throttled.replicas",
            "local.retention.bytes", "local.retention.ms", "max.compaction.lag.ms", "max.message.bytes",
            "message.timestamp.after.max.ms", "message.timestamp.before.max.ms", "message.timestamp.type",
            "min.cleanable.dirty.ratio", "min.compaction.lag.ms", "min.insync.replicas", "preallocate",
            "remote.log.copy.disable", "remote.log.delete.on.disable", "remote.storage.enable", "retention.bytes",
            "retention.ms", "segment.bytes", "segment.index.bytes", "segment.jitter.ms", "segment.ms",
            "unclean.leader.election.enable");

    private final AdminChecks all;
    private final Admin admin;

    ConfigChecks(AdminChecks all) {
        this.all = all;
        this.admin = all.admin;
    }

    void addTo(Map<String, AdminChecks.Check> checks) {
        checks.put("describe-topic-configs", this::describeTopic);
        checks.put("alter-topic-configs", this::alterTopic);
        checks.put("alter-topic-configs-refusals", this::alterRefusals);
        checks.put("describe-broker-configs", this::describeBroker);
        checks.put("alter-broker-configs", this::alterBroker);
    }

    private static ConfigResource topic(String name) {
        return new ConfigResource(ConfigResource.Type.TOPIC, name);
    }

    private static ConfigResource broker(String id) {
        return new ConfigResource(ConfigResource.Type.BROKER, id);
    }

    private Config describe(ConfigResource resource) throws Exception {
        DescribeConfigsOptions full = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        return admin.describeConfigs(List.of(resource), full).all().get().get(resource);
    }

    private KafkaFuture<Void> alter(ConfigResource resource, OpType op, String key, String value) {
        Collection<AlterConfigOp> ops = List.of(new AlterConfigOp(new ConfigEntry(key, value), op));
        return admin.incrementalAlterConfigs(Map.of(resource, ops)).all();
    }

    private void awaitValue(ConfigResource resource, String key, String value, ConfigSource source) throws Exception {
        Expect.eventually(key + " is " + value + " from " + source, () -> {
            ConfigEntry entry = describe(resource).get(key);
            return value.equals(entry.value()) && source == entry.source();
        });
    }

    private void describeTopic() throws Exception {
        ConfigResource resource = topic(all.topic("configured", 1, Map.of("retention.ms", "12345", "cleanup.policy", "compact")));
        Config c = describe(resource);
        for (String key : TOPIC_KEYS) {
            ConfigEntry entry = c.get(key);
            Expect.that(entry != null, "no entry for " + key);
            Expect.equal(false, entry.isReadOnly(), key + " read only");
            Expect.equal(false, entry.isSensitive(), key + " sensitive");
            Expect.that(entry.value() != null, key + " has no value");
            Expect.that(entry.documentation() != null && !entry.documentation().isEmpty(), key + " has no documentation");
            Expect.that(entry.type() != ConfigType.UNKNOWN, key + " has no type");
        }
        ConfigEntry retention = c.get("retention.ms");
        Expect.equal("12345", retention.value(), "retention.ms");
        Expect.equal(ConfigSource.DYNAMIC_TOPIC_CONFIG, retention.source(), "source of retention.ms");
        Expect.equal(ConfigType.LONG, retention.type(), "type of retention.ms");
        Expect.equal("retention.ms", retention.synonyms().get(0).name(), "first synonym of retention.ms");
        Expect.equal(ConfigSource.DYNAMIC_TOPIC_CONFIG, retention.synonyms().get(0).source(), "source of the first synonym");
        ConfigEntry segment = c.get("segment.bytes");
        Expect.equal("1073741824", segment.value(), "segment.bytes");
        Expect.equal(ConfigSource.DEFAULT_CONFIG, segment.source(), "source of segment.bytes");
        Expect.equal("log.segment.bytes", segment.synonyms().get(0).name(), "first synonym of segment.bytes");
        Expect.equal(ConfigType.LIST, c.get("cleanup.policy").type(), "type of cleanup.policy");
        Expect.equal(ConfigType.BOOLEAN, c.get("preallocate").type(), "type of preallocate");
        Expect.equal(ConfigType.DOUBLE, c.get("min.cleanable.dirty.ratio").type(), "type of min.cleanable.dirty.ratio");
        Expect.equal("CreateTime", c.get("message.timestamp.type").value(), "message.timestamp.type");
        Expect.equal("producer", c.get("compression.type").value(), "compression.type");
    }

    private void alterTopic() throws Exception {
        ConfigResource resource = topic(all.topic("altered", 1, Map.of()));
        alter(resource, OpType.SET, "retention.ms", "777").get();
        awaitValue(resource, "retention.ms", "777", ConfigSource.DYNAMIC_TOPIC_CONFIG);
        alter(resource, OpType.APPEND, "cleanup.policy", "compact").get();
        awaitValue(resource, "cleanup.policy", "delete,compact", ConfigSource.DYNAMIC_TOPIC_CONFIG);
        alter(resource, OpType.SUBTRACT, "cleanup.policy", "delete").get();
        awaitValue(resource, "cleanup.policy", "compact", ConfigSource.DYNAMIC_TOPIC_CONFIG);
        Collection<AlterConfigOp> several = List.of(
                new AlterConfigOp(new ConfigEntry("retention.ms", ""), OpType.DELETE),
                new AlterConfigOp(new ConfigEntry("max.message.bytes", "5000"), OpType.SET));
        admin.incrementalAlterConfigs(Map.of(resource, several), new AlterConfigsOptions().validateOnly(true)).all().get();
        Expect.equal("777", describe(resource).get("retention.ms").value(), "retention.ms after validateOnly");
        admin.incrementalAlterConfigs(Map.of(resource, several)).all().get();
        awaitValue(resource, "retention.ms", "604800000", ConfigSource.DEFAULT_CONFIG);
        awaitValue(resource, "max.message.bytes", "5000", ConfigSource.DYNAMIC_TOPIC_CONFIG);
    }

    private void alterRefusals() throws Exception {
        ConfigResource resource = topic(all.topic("refuses", 1, Map.of()));
        Expect.refused(InvalidConfigurationException.class, "no.such.config", alter(resource, OpType.SET, "no.such.config", "1"));
        Expect.refused(InvalidConfigurationException.class, "retention.ms", alter(resource, OpType.SET, "retention.ms", "soon"));
        Expect.refused(InvalidConfigurationException.class, "retention.ms", alter(resource, OpType.APPEND, "retention.ms", "1"));
        Expect.refused(InvalidConfigurationException.class, "cleanup.policy", alter(resource, OpType.APPEND, "cleanup.policy", "burn"));
        ConfigResource missing = topic("no-such-topic");
        Expect.refused(UnknownTopicOrPartitionException.class, "", alter(missing, OpType.SET, "retention.ms", "1"));
        Expect.refused(UnknownTopicOrPartitionException.class, "", admin.describeConfigs(List.of(missing)).all());
        Expect.refused(InvalidTopicException.class, "", admin.describeConfigs(List.of(topic("bad name!"))).all());
        Collection<AlterConfigOp> twice = List.of(
                new AlterConfigOp(new ConfigEntry("retention.ms", "1"), OpType.SET),
                new AlterConfigOp(new ConfigEntry("retention.ms", "2"), OpType.SET));
        Expect.refused(InvalidRequestException.class, "", admin.incrementalAlterConfigs(Map.of(resource, twice)).all());
        Expect.equal("604800000", describe(resource).get("retention.ms").value(), "retention.ms after all that");
    }

    private void describeBroker() throws Exception {
        Config c = describe(broker("1"));
        for (String key : List.of("node.id", "log.retention.ms", "log.segment.bytes", "message.max.bytes", "num.partitions",
                "advertised.listeners", "log.dirs", "auto.create.topics.enable", "min.insync.replicas")) {
            Expect.that(c.get(key) != null, "no entry for " + key);
        }
        Expect.equal("1", c.get("node.id").value(), "node.id");
        Expect.equal(true, c.get("node.id").isReadOnly(), "node.id read only");
        Expect.equal(false, c.get("message.max.bytes").isReadOnly(), "message.max.bytes read only");
        Expect.equal("1048588", c.get("message.max.bytes").value(), "message.max.bytes");
        for (ConfigEntry entry : c.entries()) {
            Expect.that(!entry.isSensitive() || entry.value() == null, entry.name() + " is sensitive and shown");
        }
    }

    private void alterBroker() throws Exception {
        ConfigResource one = broker("1");
        ConfigResource everyone = broker("");
        String key = "message.max.bytes";
        alter(everyone, OpType.SET, key, "2000000").get();
        awaitValue(one, key, "2000000", ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG);
        alter(one, OpType.SET, key, "3000000").get();
        awaitValue(one, key, "3000000", ConfigSource.DYNAMIC_BROKER_CONFIG);
        Expect.equal(3, describe(one).get(key).synonyms().size(), "number of synonyms with both levels set");
        String topic = all.topic("inherits", 1, Map.of());
        awaitValue(topic(topic), "max.message.bytes", "3000000", ConfigSource.DYNAMIC_BROKER_CONFIG);
        alter(one, OpType.DELETE, key, "").get();
        awaitValue(one, key, "2000000", ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG);
        alter(everyone, OpType.DELETE, key, "").get();
        awaitValue(one, key, "1048588", ConfigSource.DEFAULT_CONFIG);
        Expect.refused(InvalidRequestException.class, "node.id", alter(one, OpType.SET, "node.id", "7"));
        Expect.refused(InvalidRequestException.class, "", alter(one, OpType.SET, key, "many"));
    }
}
