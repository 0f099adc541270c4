package clients

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

func TestSarama(t *testing.T) {
	suite(t, func(b *Broker) (Driver, error) { return openSarama(b) })
}

// saramaDriver drives github.com/IBM/sarama.
type saramaDriver struct {
	address []string
	client  sarama.Client
	admin   sarama.ClusterAdmin
}

func openSarama(b *Broker) (*saramaDriver, error) {
	client, err := sarama.NewClient([]string{b.Address}, saramaConfig())
	if err != nil {
		return nil, err
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &saramaDriver{address: []string{b.Address}, client: client, admin: admin}, nil
}

// saramaConfig asks for the newest version that the client knows, and for as much
// patience as a restart takes.
func saramaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Metadata.Retry.Max = 300
	c.Metadata.Retry.Backoff = 100 * time.Millisecond
	c.Producer.Retry.Max = 300
	c.Producer.Retry.Backoff = 100 * time.Millisecond
	c.Producer.Return.Successes = true
	c.Admin.Retry.Max = 100
	c.Consumer.MaxWaitTime = 50 * time.Millisecond // a partition is closed when a fetch has ended
	return c
}

func (s *saramaDriver) Name() string   { return "sarama " + moduleVersion("github.com/IBM/sarama") }
func (s *saramaDriver) Traits() Traits { return Traits{} }
func (s *saramaDriver) Close() error   { return s.admin.Close() }

func (s *saramaDriver) Create(topic string, partitions int) error {
	return s.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1}, false)
}

func (s *saramaDriver) Topics() (map[string]int, error) {
	list, err := s.admin.ListTopics()
	topics := map[string]int{}
	for name, detail := range list {
		topics[name] = int(detail.NumPartitions)
	}
	return topics, err
}

func (s *saramaDriver) Delete(topic string) error { return s.admin.DeleteTopic(topic) }

// givenOrHashed takes a message's partition as given, or hashes its key if it is -1.
type givenOrHashed struct{ sarama.Partitioner }

func (g givenOrHashed) Partition(m *sarama.ProducerMessage, n int32) (int32, error) {
	if m.Partition < 0 {
		return g.Partitioner.Partition(m, n)
	}
	return m.Partition, nil
}

func producerConfig(o ProduceOptions) *sarama.Config {
	c := saramaConfig()
	c.Producer.Compression = map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}[o.Codec]
	c.Producer.RequiredAcks = map[string]sarama.RequiredAcks{"0": sarama.NoResponse, "1": sarama.WaitForLocal, "all": sarama.WaitForAll}[o.Acks]
	c.Producer.Idempotent = o.Idempotent
	c.Net.MaxOpenRequests = 1
	c.Producer.Partitioner = func(topic string) sarama.Partitioner { return givenOrHashed{sarama.NewHashPartitioner(topic)} }
	return c
}

func encoded(p []byte) sarama.Encoder {
	if p == nil {
		return nil
	}
	return sarama.ByteEncoder(p)
}

func (s *saramaDriver) Produce(topic string, o ProduceOptions, records []Record) (acked []Record, err error) {
	producer, err := sarama.NewSyncProducer(s.address, producerConfig(o))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, producer.Close()) }()
	messages := make([]*sarama.ProducerMessage, len(records))
	for i, r := range records {
		messages[i] = &sarama.ProducerMessage{Topic: topic, Partition: r.Partition, Key: encoded(r.Key), Value: encoded(r.Value), Timestamp: time.UnixMilli(r.Timestamp)}
		for _, h := range r.Headers {
			messages[i].Headers = append(messages[i].Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
		}
	}
	if err := producer.SendMessages(messages); err != nil {
		return nil, err
	}
	acked = append(acked, records...)
	for i, m := range messages {
		acked[i].Partition, acked[i].Offset = m.Partition, m.Offset
		if o.Acks == "0" {
			acked[i].Offset = -1
		}
	}
	return acked, nil
}

func (s *saramaDriver) Read(topic string, from map[int32]int64) (records []Record, err error) {
	if err := s.client.RefreshMetadata(topic); err != nil {
		return nil, err
	}
	partitions, err := s.client.Partitions(topic)
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumer(s.address, saramaConfig())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, consumer.Close()) }()
	for _, p := range partitions {
		end, err := s.client.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			return nil, err
		}
		if from[p] >= end {
			continue
		}
		part, err := readSarama(consumer, topic, p, from[p], end)
		if err != nil {
			return nil, err
		}
		records = append(records, part...)
	}
	return records, nil
}

func readSarama(consumer sarama.Consumer, topic string, partition int32, from, end int64) (records []Record, err error) {
	messages, err := consumer.ConsumePartition(topic, partition, from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, messages.Close()) }()
	limit := time.After(clientLimit)
	for {
		select {
		case m := <-messages.Messages():
			r := Record{Partition: partition, Offset: m.Offset, Timestamp: m.Timestamp.UnixMilli(), Key: m.Key, Value: m.Value}
			for _, h := range m.Headers {
				r.Headers = append(r.Headers, Header{Key: string(h.Key), Value: h.Value})
			}
			if records = append(records, r); m.Offset == end-1 {
				return records, nil
			}
		case <-limit:
			return nil, fmt.Errorf("partition %d: read %d records from offset %d, want them up to %d", partition, len(records), from, end)
		}
	}
}

func (s *saramaDriver) OffsetAt(topic string, partition int32, timestamp int64) (int64, error) {
	return s.client.GetOffset(topic, partition, timestamp)
}

func (s *saramaDriver) Load(topic string, o LoadOptions, progress func(int)) ([]Ack, error) {
	c := producerConfig(ProduceOptions{Codec: "none", Acks: "all", Idempotent: o.Idempotent})
	producer, err := sarama.NewAsyncProducer(s.address, c)
	if err != nil {
		return nil, err
	}
	var acks []Ack
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range o.Count {
			select {
			case m := <-producer.Successes():
				acks = append(acks, Ack{Partition: m.Partition, Sequence: m.Metadata.(int), Offset: m.Offset})
				progress(len(acks))
			case err := <-producer.Errors():
				failed = err
			}
		}
	}()
	o.pace(func(partition int32, sequence int) {
		producer.Input() <- &sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.ByteEncoder(loadValue(sequence)), Metadata: sequence}
	})
	<-done
	return acks, errors.Join(failed, producer.Close())
}
