import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreatePartitionsOptions;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsResult;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TopicListing;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringSerializer;

/** What the Java admin client asks of topics and of the cluster, and the list of all checks. */
class AdminChecks {
    interface Check {
        void run() throws Exception;
    }

    private static final AtomicInteger MADE = new AtomicInteger();

    final String broker;
    final Admin admin;
    private final Map<String, Check> checks = new LinkedHashMap<>();

    AdminChecks(String broker, Admin admin) {
        this.broker = broker;
        this.admin = admin;
        checks.put("create-topics", this::createTopics);
        checks.put("create-topics-validate-only", this::validateOnly);
        checks.put("create-topics-refusals", this::createRefusals);
        checks.put("create-topics-bad-configs", this::badConfigs);
        checks.put("describe-topics", this::describeTopics);
        checks.put("unknown-topics", this::unknownTopics);
        checks.put("list-topics", this::listTopics);
        checks.put("large-topic-list", this::largeTopicList);
        checks.put("create-partitions", this::createPartitions);
        checks.put("delete-topics", this::deleteTopics);
        checks.put("describe-cluster", this::describeCluster);
        checks.put("describe-log-dirs", this::describeLogDirs);
        checks.put("describe-features", this::describeFeatures);
        new ConfigChecks(this).addTo(checks);
        new DataChecks(this).addTo(checks);
    }

    List<String> names() {
        return new ArrayList<>(checks.keySet());
    }

    void run(String name) throws Exception {
        checks.get(name).run();
    }

    // ---- for all checks

    static String fresh(String stem) {
        return stem + "-" + System.nanoTime() + "-" + MADE.incrementAndGet();
    }

    /** A new topic with these settings, which every broker knows of by now. */
    String topic(String stem, int partitions, Map<String, String> configs) throws Exception {
        String name = fresh(stem);
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(configs))).all().get();
        Expect.eventually(name + " is described", () -> isThere(name));
        return name;
    }

    boolean isThere(String topic) throws Exception {
        return admin.listTopics().names().get().contains(topic);
    }

    /** Writes records with the given timestamps, each in a batch of its own. */
    List<RecordMetadata> write(String topic, int partition, long... timestamps) throws Exception {
        List<RecordMetadata> written = new ArrayList<>();
        try (var producer = new KafkaProducer<>(Map.of("bootstrap.servers", broker), new StringSerializer(), new StringSerializer())) {
            for (long timestamp : timestamps) {
                written.add(producer.send(new ProducerRecord<>(topic, partition, timestamp, "key", "value")).get());
            }
        }
        return written;
    }

    // ---- topics

    private void createTopics() throws Exception {
        String three = fresh("three");
        String defaults = fresh("defaults");
        String assigned = fresh("assigned");
        CreateTopicsResult made = admin.createTopics(List.of(
                new NewTopic(three, 3, (short) 1).configs(Map.of("retention.ms", "12345", "cleanup.policy", "compact,delete")),
                new NewTopic(defaults, Optional.empty(), Optional.empty()),
                new NewTopic(assigned, Map.of(0, List.of(1), 1, List.of(1)))));
        made.all().get();
        Expect.equal(3, made.numPartitions(three).get(), "number of partitions");
        Expect.equal(1, made.replicationFactor(three).get(), "replication factor");
        Expect.equal(1, made.numPartitions(defaults).get(), "default number of partitions");
        Expect.equal(1, made.replicationFactor(defaults).get(), "default replication factor");
        Expect.equal(2, made.numPartitions(assigned).get(), "number of assigned partitions");
        Expect.that(!made.topicId(three).get().equals(Uuid.ZERO_UUID), "a topic has an id");
        Expect.equal("12345", made.config(three).get().get("retention.ms").value(), "retention.ms");
        Expect.equal("compact,delete", made.config(three).get().get("cleanup.policy").value(), "cleanup.policy");
        Expect.that(made.config(three).get().get("segment.bytes").isDefault(), "segment.bytes is the default");
        Expect.eventually("all three are listed", () -> isThere(three) && isThere(defaults) && isThere(assigned));
        Uuid described = admin.describeTopics(List.of(three)).allTopicNames().get().get(three).topicId();
        Expect.equal(made.topicId(three).get(), described, "topic id");
    }

    private void validateOnly() throws Exception {
        String name = fresh("only-validated");
        CreateTopicsOptions only = new CreateTopicsOptions().validateOnly(true);
        CreateTopicsResult made = admin.createTopics(List.of(new NewTopic(name, 3, (short) 1)), only);
        made.all().get();
        Expect.equal(3, made.numPartitions(name).get(), "number of partitions");
        Expect.refused(InvalidPartitionsException.class, "",
                admin.createTopics(List.of(new NewTopic(fresh("none"), 0, (short) 1)), only).all());
        Expect.that(!isThere(name), "validateOnly created the topic");
    }

    private void createRefusals() throws Exception {
        String there = topic("there", 1, Map.of());
        String good = fresh("good");
        CreateTopicsResult made = admin.createTopics(List.of(
                new NewTopic(there, 1, (short) 1), new NewTopic("bad name!", 1, (short) 1), new NewTopic(good, 1, (short) 1)));
        Expect.refused(TopicExistsException.class, there, made.values().get(there));
        Expect.refused(InvalidTopicException.class, "bad name!", made.values().get("bad name!"));
        made.values().get(good).get();

        for (String name : List.of(".", "..", "x".repeat(250), "slash/ed", "ümlaut")) {
            Expect.refused(InvalidTopicException.class, "", create(new NewTopic(name, 1, (short) 1)));
        }
        Expect.refused(InvalidTopicException.class, "", create(new NewTopic("", 1, (short) 1)));
        String stem = fresh("collides");
        create(new NewTopic(stem + ".a", 1, (short) 1)).get();
        Expect.refused(InvalidTopicException.class, stem, create(new NewTopic(stem + "_a", 1, (short) 1)));

        Expect.refused(InvalidPartitionsException.class, "", create(new NewTopic(fresh("x"), 0, (short) 1)));
        Expect.refused(InvalidPartitionsException.class, "", create(new NewTopic(fresh("x"), -2, (short) 1)));
        Expect.refused(InvalidReplicationFactorException.class, "", create(new NewTopic(fresh("x"), 1, (short) 3)));
        Expect.refused(InvalidReplicationFactorException.class, "", create(new NewTopic(fresh("x"), 1, (short) 0)));
        Expect.refused(InvalidReplicaAssignmentException.class, "99", create(new NewTopic(fresh("x"), Map.of(0, List.of(99)))));
        Expect.refused(InvalidReplicaAssignmentException.class, "", create(new NewTopic(fresh("x"), Map.of(0, List.of(1, 1)))));
        Expect.refused(InvalidReplicaAssignmentException.class, "", create(new NewTopic(fresh("x"), Map.of(1, List.of(1)))));
    }

    private void badConfigs() throws Exception {
        Map<String, String> bad = new LinkedHashMap<>();
        bad.put("no.such.config", "1");
        bad.put("retention.ms", "soon");
        bad.put("cleanup.policy", "burn");
        bad.put("compression.type", "zip");
        bad.put("min.insync.replicas", "0");
        bad.put("message.timestamp.type", "Now");
        bad.put("segment.bytes", "-1");
        bad.put("min.cleanable.dirty.ratio", "1.5");
        bad.put("unclean.leader.election.enable", "perhaps");
        for (Map.Entry<String, String> c : bad.entrySet()) {
            NewTopic topic = new NewTopic(fresh("bad"), 1, (short) 1).configs(Map.of(c.getKey(), c.getValue()));
            Expect.refused(InvalidConfigurationException.class, c.getKey(), create(topic));
        }
        Map<String, String> none = new HashMap<>();
        none.put("retention.ms", null);
        Expect.refused(InvalidConfigurationException.class, "retention.ms", create(new NewTopic(fresh("bad"), 1, (short) 1).configs(none)));
    }

    private org.apache.kafka.common.KafkaFuture<Void> create(NewTopic topic) {
        return admin.createTopics(List.of(topic)).all();
    }

    private void describeTopics() throws Exception {
        String name = topic("described", 3, Map.of());
        TopicDescription d = admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
        Expect.equal(name, d.name(), "name");
        Expect.equal(false, d.isInternal(), "internal");
        Expect.equal(3, d.partitions().size(), "number of partitions");
        for (TopicPartitionInfo p : d.partitions()) {
            Expect.equal(1, p.leader().id(), "leader");
            Expect.address(broker, p.leader());
            Expect.equal(1, p.replicas().size(), "number of replicas");
            Expect.equal(1, p.isr().size(), "size of the ISR");
            Expect.equal(List.of(), p.elr(), "eligible leader replicas");
            Expect.equal(List.of(), p.lastKnownElr(), "last known eligible leader replicas");
        }
        TopicDescription byId = admin.describeTopics(TopicCollection.ofTopicIds(List.of(d.topicId()))).allTopicIds().get().get(d.topicId());
        Expect.equal(name, byId.name(), "name by id");
        Expect.equal(null, d.authorizedOperations(), "operations that nobody asked for");
        DescribeTopicsOptions all = new DescribeTopicsOptions().includeAuthorizedOperations(true);
        Expect.that(!admin.describeTopics(List.of(name), all).allTopicNames().get().get(name).authorizedOperations().isEmpty(), "operations that were asked for");
    }

    private void unknownTopics() throws Exception {
        String there = topic("there", 1, Map.of());
        DescribeTopicsResult both = admin.describeTopics(List.of(there, "no-such-topic"));
        both.topicNameValues().get(there).get();
        Expect.refused(UnknownTopicOrPartitionException.class, "", both.topicNameValues().get("no-such-topic"));
        Uuid id = Uuid.randomUuid();
        Expect.refused(UnknownTopicIdException.class, "", admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).topicIdValues().get(id));
        Expect.refused(InvalidTopicException.class, "", admin.describeTopics(List.of("bad name!")).topicNameValues().get("bad name!"));
        Expect.refused(UnknownTopicOrPartitionException.class, "", admin.deleteTopics(List.of("no-such-topic")).all());
        Expect.refused(UnknownTopicIdException.class, "", admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
        Expect.refused(UnknownTopicOrPartitionException.class, "", admin.createPartitions(Map.of("no-such-topic", NewPartitions.increaseTo(2))).all());
        Expect.that(!isThere("no-such-topic"), "asking for a topic created it");
    }

    private void listTopics() throws Exception {
        String name = topic("listed", 1, Map.of());
        TopicListing listing = admin.listTopics().namesToListings().get().get(name);
        Expect.equal(false, listing.isInternal(), "internal");
        Expect.equal(admin.describeTopics(List.of(name)).allTopicNames().get().get(name).topicId(), listing.topicId(), "topic id");
    }

    private void largeTopicList() throws Exception {
        String stem = fresh("many");
        Set<String> names = new HashSet<>();
        for (int request = 0; request < 3; request++) {
            List<NewTopic> topics = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                topics.add(new NewTopic(stem + "-" + request + "-" + i, 2, (short) 1));
            }
            admin.createTopics(topics).all().get();
            topics.forEach(t -> names.add(t.name()));
        }
        Expect.eventually("all 300 topics are listed", () -> admin.listTopics().names().get().containsAll(names));
        DescribeTopicsOptions pages = new DescribeTopicsOptions().partitionSizeLimitPerResponse(37);
        Map<String, TopicDescription> described = admin.describeTopics(names, pages).allTopicNames().get();
        Expect.equal(names, described.keySet(), "described topics");
        described.values().forEach(d -> Expect.equal(2, d.partitions().size(), "partitions of " + d.name()));
        admin.deleteTopics(names).all().get();
        Expect.eventually("all 300 topics are gone", () -> admin.listTopics().names().get().stream().noneMatch(names::contains));
    }

    private void createPartitions() throws Exception {
        String name = topic("grows", 2, Map.of());
        CreatePartitionsOptions only = new CreatePartitionsOptions().validateOnly(true);
        admin.createPartitions(Map.of(name, NewPartitions.increaseTo(9)), only).all().get();
        admin.createPartitions(Map.of(name, NewPartitions.increaseTo(5))).all().get();
        Expect.eventually("five partitions", () -> admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().size() == 5);
        admin.createPartitions(Map.of(name, NewPartitions.increaseTo(6, List.of(List.of(1))))).all().get();
        write(name, 4, 1000);
        Expect.refused(InvalidPartitionsException.class, "6", grow(name, NewPartitions.increaseTo(6)));
        Expect.refused(InvalidPartitionsException.class, "", grow(name, NewPartitions.increaseTo(3)));
        Expect.refused(InvalidPartitionsException.class, "", grow(name, NewPartitions.increaseTo(0)));
        Expect.refused(InvalidReplicaAssignmentException.class, "99", grow(name, NewPartitions.increaseTo(7, List.of(List.of(99)))));
        Expect.refused(InvalidReplicaAssignmentException.class, "", grow(name, NewPartitions.increaseTo(8, List.of(List.of(1)))));
    }

    private org.apache.kafka.common.KafkaFuture<Void> grow(String topic, NewPartitions to) {
        return admin.createPartitions(Map.of(topic, to)).all();
    }

    private void deleteTopics() throws Exception {
        String byName = topic("by-name", 2, Map.of());
        String byId = topic("by-id", 2, Map.of());
        Uuid id = admin.describeTopics(List.of(byId)).allTopicNames().get().get(byId).topicId();
        write(byName, 0, 1000);
        admin.deleteTopics(List.of(byName)).all().get();
        admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all().get();
        Expect.eventually("both are gone", () -> !isThere(byName) && !isThere(byId));

        admin.createTopics(List.of(new NewTopic(byId, 1, (short) 1))).all().get();
        Expect.eventually("it is there again", () -> isThere(byId));
        Uuid again = admin.describeTopics(List.of(byId)).allTopicNames().get().get(byId).topicId();
        Expect.that(!again.equals(id), "a topic that was made again has a new id");
        Expect.refused(UnknownTopicIdException.class, "", admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
        Expect.equal(0L, write(byId, 0, 1000).get(0).offset(), "first offset of the topic that was made again");
    }

    // ---- the cluster

    private void describeCluster() throws Exception {
        DescribeClusterResult c = admin.describeCluster();
        Expect.equal(1, c.nodes().get().size(), "number of nodes");
        Node node = c.nodes().get().iterator().next();
        Expect.equal(1, node.id(), "node id");
        Expect.address(broker, node);
        Expect.equal(null, node.rack(), "rack");
        Expect.equal(false, node.isFenced(), "fenced");
        Expect.equal(1, c.controller().get().id(), "controller");
        Expect.that(c.clusterId().get() != null && !c.clusterId().get().isEmpty(), "there is a cluster id");
        Expect.equal(null, c.authorizedOperations().get(), "operations that nobody asked for");
        DescribeClusterOptions all = new DescribeClusterOptions().includeAuthorizedOperations(true).includeFencedBrokers(true);
        Expect.that(!admin.describeCluster(all).authorizedOperations().get().isEmpty(), "operations that were asked for");
    }

    private void describeLogDirs() throws Exception {
        String name = topic("measured", 2, Map.of());
        write(name, 0, 1000);
        Map<String, LogDirDescription> dirs = admin.describeLogDirs(List.of(1)).descriptions().get(1).get();
        Expect.equal(1, dirs.size(), "number of log directories");
        LogDirDescription dir = dirs.values().iterator().next();
        Expect.equal(null, dir.error(), "error");
        Expect.that(dir.totalBytes().getAsLong() > dir.usableBytes().getAsLong(), "total and usable bytes");
        Expect.that(dir.replicaInfos().get(new TopicPartition(name, 0)).size() > 50, "size of a partition with one record");
        Expect.equal(0L, dir.replicaInfos().get(new TopicPartition(name, 1)).size(), "size of an empty partition");
        Expect.equal(false, dir.replicaInfos().get(new TopicPartition(name, 0)).isFuture(), "future replica");
        TopicPartitionReplica replica = new TopicPartitionReplica(name, 0, 1);
        var placed = admin.describeReplicaLogDirs(List.of(replica)).all().get().get(replica);
        Expect.equal(dirs.keySet().iterator().next(), placed.getCurrentReplicaLogDir(), "the replica's log directory");
    }

    /** A broker may announce no features at all, but what it announces must fit together. */
    private void describeFeatures() throws Exception {
        FeatureMetadata f = admin.describeFeatures().featureMetadata().get();
        f.finalizedFeatures().forEach((name, range) -> {
            Expect.contains(f.supportedFeatures().keySet(), name, "supported features");
            Expect.that(range.maxVersionLevel() <= f.supportedFeatures().get(name).maxVersion(), name + " is finalized above what is supported");
        });
        Expect.that(f.finalizedFeatures().isEmpty() || f.finalizedFeaturesEpoch().get() >= 0, "finalized features come with an epoch");
    }
}
