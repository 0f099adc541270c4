package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// clientLimit bounds one operation of a Go client.
const clientLimit = 60 * time.Second

func TestFranz(t *testing.T) {
	suite(t, func(b *Broker) (Driver, error) { return openFranz(b) })
}

// TestFranzOldest speaks the versions of Kafka 2.1, the oldest release whose clients
// Apache Kafka 4 promises to serve (KIP-896).
func TestFranzOldest(t *testing.T) {
	suite(t, func(b *Broker) (Driver, error) { return openFranz(b, kgo.MaxVersions(kversion.V2_1_0())) })
}

// franz drives github.com/twmb/franz-go.
type franz struct {
	options []kgo.Opt
	client  *kgo.Client
	admin   *kadm.Client
}

func openFranz(b *Broker, options ...kgo.Opt) (*franz, error) {
	options = append(options, kgo.SeedBrokers(strings.Split(b.Address, ",")...), kgo.MetadataMinAge(50*time.Millisecond))
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	return &franz{options: options, client: client, admin: kadm.NewClient(client)}, nil
}

// another is one more client, with these options besides.
func (f *franz) another(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(slices.Clone(f.options), options...)...)
}

func (f *franz) Name() string   { return "franz-go " + moduleVersion("github.com/twmb/franz-go") }
func (f *franz) Traits() Traits { return Traits{} }
func (f *franz) Close() error   { f.client.Close(); return nil }

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), clientLimit)
}

func (f *franz) Create(topic string, partitions int) error {
	ctx, cancel := limited()
	defer cancel()
	_, err := f.admin.CreateTopic(ctx, int32(partitions), 1, nil, topic)
	return err
}

func (f *franz) Topics() (map[string]int, error) {
	ctx, cancel := limited()
	defer cancel()
	list, err := f.admin.ListTopics(ctx)
	topics := map[string]int{}
	for name, detail := range list {
		topics[name] = len(detail.Partitions)
	}
	return topics, err
}

func (f *franz) Delete(topic string) error {
	ctx, cancel := limited()
	defer cancel()
	_, err := f.admin.DeleteTopic(ctx, topic)
	return err
}

// producer is a client set up to write to explicit partitions, or by key where a
// record's partition is -1.
func (f *franz) producer(o ProduceOptions) (*kgo.Client, error) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	acks := map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}
	byKey := kgo.StickyKeyPartitioner(nil)
	partitioner := kgo.BasicConsistentPartitioner(func(topic string) func(*kgo.Record, int) int {
		keyed := byKey.ForTopic(topic)
		return func(r *kgo.Record, n int) int {
			if r.Partition < 0 {
				return keyed.Partition(r, n)
			}
			return int(r.Partition)
		}
	})
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(codecs[o.Codec]),
		kgo.RequiredAcks(acks[o.Acks]), kgo.RecordPartitioner(partitioner),
	}
	if !o.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	return f.another(options...)
}

func (f *franz) Produce(topic string, o ProduceOptions, records []Record) ([]Record, error) {
	client, err := f.producer(o)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	sent := make([]*kgo.Record, len(records))
	for i, r := range records {
		sent[i] = &kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.Timestamp)}
		for _, h := range r.Headers {
			sent[i].Headers = append(sent[i].Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
	}
	ctx, cancel := limited()
	defer cancel()
	if err := client.ProduceSync(ctx, sent...).FirstErr(); err != nil {
		return nil, err
	}
	acked := append([]Record(nil), records...)
	for i, r := range sent {
		acked[i].Partition, acked[i].Offset = r.Partition, r.Offset
		if o.Acks == "0" {
			acked[i].Offset = -1
		}
	}
	return acked, nil
}

func (f *franz) Read(topic string, from map[int32]int64) ([]Record, error) {
	ctx, cancel := limited()
	defer cancel()
	ends, err := f.admin.ListEndOffsets(ctx, topic)
	if err := errors.Join(err, ends.Error()); err != nil {
		return nil, err
	}
	left := 0
	starts := map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		if n := o.Offset - from[o.Partition]; n > 0 {
			left += int(n)
			starts[o.Partition] = kgo.NewOffset().At(from[o.Partition])
		}
	})
	if left == 0 {
		return nil, nil
	}
	client, err := f.another(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var records []Record
	for len(records) < left {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("%d of %d records read: %w", len(records), left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got := Record{Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}
			for _, h := range r.Headers {
				got.Headers = append(got.Headers, Header{Key: h.Key, Value: h.Value})
			}
			records = append(records, got)
		})
	}
	return records, nil
}

func (f *franz) OffsetAt(topic string, partition int32, timestamp int64) (int64, error) {
	ctx, cancel := limited()
	defer cancel()
	listed, err := f.admin.ListOffsetsAfterMilli(ctx, timestamp, topic)
	if err := errors.Join(err, listed.Error()); err != nil {
		return 0, err
	}
	offset, found := listed.Lookup(topic, partition)
	if !found {
		return 0, fmt.Errorf("no answer for partition %d", partition)
	}
	if offset.Timestamp < 0 { // kadm answers the end offset where there is none
		return -1, nil
	}
	return offset.Offset, nil
}

func (f *franz) Load(topic string, o LoadOptions, progress func(int)) ([]Ack, error) {
	client, err := f.producer(ProduceOptions{Codec: "none", Acks: "all", Idempotent: o.Idempotent})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := limited()
	defer cancel()
	var mutex sync.Mutex
	var acks []Ack
	var failed error
	o.pace(func(partition int32, sequence int) {
		r := &kgo.Record{Topic: topic, Partition: partition, Value: loadValue(sequence)}
		client.Produce(ctx, r, func(r *kgo.Record, err error) {
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				failed = err
				return
			}
			acks = append(acks, Ack{Partition: partition, Sequence: sequence, Offset: r.Offset})
			progress(len(acks))
		})
	})
	if err := client.Flush(ctx); err != nil {
		return nil, err
	}
	return acks, failed
}
