package clients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
)

func TestKafkaGo(t *testing.T) {
	suite(t, func(b *Broker) (Driver, error) { return openKafkaGo(b), nil })
}

// kafkaGo drives github.com/segmentio/kafka-go.
type kafkaGo struct {
	address net.Addr
	client  *kafka.Client
}

func openKafkaGo(b *Broker) *kafkaGo {
	address := kafka.TCP(b.Address)
	return &kafkaGo{address: address, client: &kafka.Client{Addr: address, Timeout: clientLimit}}
}

func (k *kafkaGo) Name() string   { return "kafka-go " + moduleVersion("github.com/segmentio/kafka-go") }
func (k *kafkaGo) Traits() Traits { return Traits{Repeats: true} }
func (k *kafkaGo) Close() error   { return nil }

func (k *kafkaGo) Create(topic string, partitions int) error {
	answer, err := k.client.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}},
	})
	if err != nil {
		return err
	}
	if err := answer.Errors[topic]; err != nil {
		return err
	}
	return k.awaitLeaders(topic, partitions)
}

// awaitLeaders waits until the client's metadata shows the topic: its writer gives
// up at a topic that the broker has not heard of yet.
func (k *kafkaGo) awaitLeaders(topic string, partitions int) error {
	for deadline := time.Now().Add(clientLimit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		answer, err := k.client.Metadata(context.Background(), &kafka.MetadataRequest{Topics: []string{topic}})
		if err == nil && len(answer.Topics) == 1 && answer.Topics[0].Error == nil && len(answer.Topics[0].Partitions) == partitions {
			return nil
		}
	}
	return fmt.Errorf("topic %s never had its %d partitions", topic, partitions)
}

func (k *kafkaGo) Topics() (map[string]int, error) {
	answer, err := k.client.Metadata(context.Background(), &kafka.MetadataRequest{})
	if err != nil {
		return nil, err
	}
	topics := map[string]int{}
	for _, t := range answer.Topics {
		topics[t.Name] = len(t.Partitions)
	}
	return topics, nil
}

func (k *kafkaGo) Delete(topic string) error {
	answer, err := k.client.DeleteTopics(context.Background(), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	return answer.Errors[topic]
}

// given takes a record's partition as given, or hashes its key if it is -1.
type given struct{ hash kafka.Hash }

func (g *given) Balance(m kafka.Message, partitions ...int) int {
	if p := m.WriterData.(int32); p >= 0 {
		return int(p)
	}
	return g.hash.Balance(m, partitions...)
}

func (k *kafkaGo) writer(topic string, o ProduceOptions, completed func([]kafka.Message, error)) *kafka.Writer {
	acks := map[string]kafka.RequiredAcks{"0": kafka.RequireNone, "1": kafka.RequireOne, "all": kafka.RequireAll}
	codecs := map[string]kafka.Compression{"none": compress.None, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}
	return &kafka.Writer{
		Addr: k.address, Topic: topic, Balancer: &given{}, MaxAttempts: 300,
		WriteBackoffMin: 50 * time.Millisecond, WriteBackoffMax: 200 * time.Millisecond,
		BatchSize: 100, BatchTimeout: 5 * time.Millisecond,
		RequiredAcks: acks[o.Acks], Compression: codecs[o.Codec], Completion: completed,
	}
}

func (k *kafkaGo) Produce(topic string, o ProduceOptions, records []Record) ([]Record, error) {
	if o.Idempotent {
		return nil, Lacks("an idempotent producer")
	}
	ctx, cancel := limited()
	defer cancel()
	w := k.writer(topic, o, nil)
	messages := make([]kafka.Message, len(records))
	for i, r := range records {
		messages[i] = kafka.Message{Key: r.Key, Value: r.Value, Time: time.UnixMilli(r.Timestamp), WriterData: r.Partition}
		for _, h := range r.Headers {
			messages[i].Headers = append(messages[i].Headers, kafka.Header{Key: h.Key, Value: h.Value})
		}
	}
	if err := errors.Join(w.WriteMessages(ctx, messages...), w.Close()); err != nil {
		return nil, err
	}
	return records, nil // the writer tells no offsets here
}

func (k *kafkaGo) offset(topic string, partition int32, want kafka.OffsetRequest) (kafka.PartitionOffsets, error) {
	answer, err := k.client.ListOffsets(context.Background(), &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: {want}},
	})
	if err != nil {
		return kafka.PartitionOffsets{}, err
	}
	if len(answer.Topics[topic]) != 1 {
		return kafka.PartitionOffsets{}, fmt.Errorf("%d answers for partition %d", len(answer.Topics[topic]), partition)
	}
	return answer.Topics[topic][0], answer.Topics[topic][0].Error
}

func (k *kafkaGo) Read(topic string, from map[int32]int64) ([]Record, error) {
	topics, err := k.Topics()
	if err != nil {
		return nil, err
	}
	var records []Record
	for p := range int32(topics[topic]) {
		end, err := k.offset(topic, p, kafka.LastOffsetOf(int(p)))
		if err != nil {
			return nil, err
		}
		if from[p] >= end.LastOffset {
			continue
		}
		part, err := k.readPartition(topic, p, from[p], end.LastOffset)
		if err != nil {
			return nil, err
		}
		records = append(records, part...)
	}
	return records, nil
}

func (k *kafkaGo) readPartition(topic string, partition int32, from, end int64) (records []Record, err error) {
	ctx, cancel := limited()
	defer cancel()
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{k.address.String()}, Topic: topic, Partition: int(partition), MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond})
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.SetOffset(from); err != nil {
		return nil, err
	}
	for next := from; next < end; {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			return nil, fmt.Errorf("%d records read from offset %d, want them up to %d: %w", len(records), from, end, err)
		}
		got := Record{Partition: partition, Offset: m.Offset, Timestamp: m.Time.UnixMilli(), Key: m.Key, Value: m.Value}
		for _, h := range m.Headers {
			got.Headers = append(got.Headers, Header{Key: h.Key, Value: h.Value})
		}
		records = append(records, got)
		next = m.Offset + 1
	}
	return records, nil
}

func (k *kafkaGo) OffsetAt(topic string, partition int32, timestamp int64) (int64, error) {
	answer, err := k.offset(topic, partition, kafka.TimeOffsetOf(int(partition), time.UnixMilli(timestamp)))
	if err != nil {
		return 0, err
	}
	for offset := range answer.Offsets {
		return offset, nil
	}
	return -1, nil
}

func (k *kafkaGo) Load(topic string, o LoadOptions, progress func(int)) ([]Ack, error) {
	var mutex sync.Mutex
	var acks []Ack
	var failed error
	w := k.writer(topic, ProduceOptions{Codec: "none", Acks: "all"}, func(messages []kafka.Message, err error) {
		mutex.Lock()
		defer mutex.Unlock()
		if err != nil {
			failed = err
			return
		}
		for _, m := range messages {
			sequence, err := loadSequence(m.Value)
			failed = errors.Join(failed, err)
			acks = append(acks, Ack{Partition: int32(m.Partition), Sequence: sequence, Offset: m.Offset})
		}
		progress(len(acks))
	})
	w.Async = true
	var refused error
	o.pace(func(partition int32, sequence int) {
		err := w.WriteMessages(context.Background(), kafka.Message{Value: loadValue(sequence), WriterData: partition})
		refused = errors.Join(refused, err)
	})
	return acks, errors.Join(refused, w.Close(), failed)
}
