package clients

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"lignum/linearizability"
	"lignum/linearizability/history"
)

// chronicle is what clients did with the partitions of one topic and saw of them, for the judges of the simulator.
type chronicle struct {
	topic      string
	partitions int
	began      time.Time
	mutex      sync.Mutex
	sent       map[string]*sending
	reads      [][]history.Op // by partition
	seen       []sight
	failed     []error
}

// sending is one record on its way, from when its producer was given it.
type sending struct {
	partition    int32
	call, answer int64 // answer is history.Forever until there is one
	offset       int64 // where it was acknowledged; -1
}

func (c *chronicle) now() int64 { return int64(time.Since(c.began)) }

func (c *chronicle) fail(err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.failed) < 20 {
		c.failed = append(c.failed, err)
	}
}

// content identifies a record's value.
func content(value []byte) uint64 {
	h := fnv.New64a()
	h.Write(value)
	return h.Sum64()
}

// newChronicle makes a topic with three replicas and opens its books.
func newChronicle(t *testing.T, f *franz, partitions int) *chronicle {
	t.Helper()
	c := &chronicle{
		topic: newTopic(t), partitions: partitions, began: time.Now(), sent: map[string]*sending{}, reads: make([][]history.Op, partitions),
	}
	createReplicated(t, f, c.topic, partitions)
	return c
}

// createReplicated makes a topic with three replicas and waits until all of them are in sync.
func createReplicated(t *testing.T, f *franz, topic string, partitions int) {
	t.Helper()
	ctx, cancel := limited()
	defer cancel()
	made, err := f.admin.CreateTopic(ctx, int32(partitions), 3, nil, topic)
	must(t, cmp.Or(err, made.Err))
	awaitSync(t, f, topic)
}

// awaitSync waits until all replicas of a topic are in sync.
func awaitSync(t *testing.T, f *franz, topic string) {
	t.Helper()
	var last kadm.TopicDetail
	for deadline := time.Now().Add(clientLimit); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := limited()
		list, err := f.admin.ListTopics(ctx, topic)
		cancel()
		last = list[topic]
		whole := err == nil && last.Err == nil && len(last.Partitions) > 0
		for _, p := range last.Partitions {
			whole = whole && p.Err == nil && p.Leader >= 0 && len(p.ISR) == len(p.Replicas)
		}
		switch {
		case whole:
			return
		case time.Now().After(deadline):
			t.Fatalf("%s: not every replica is in sync within %v: %+v, %v", topic, clientLimit, last, err)
		}
	}
}

// chronicler is one producer that writes its doings down.
type chronicler struct {
	id         int
	client     *kgo.Client
	idempotent bool // else records may be there twice, and be given up
}

// write writes records to the partitions by turns until ctx ends, then waits for what is under way.
func (w chronicler) write(ctx context.Context, c *chronicle, rate int) {
	o := LoadOptions{Partitions: c.partitions, Count: 1 << 40, Rate: rate}
	o.paceWithin(ctx, func(partition int32, sequence int) {
		value := fmt.Appendf(nil, "%d %d %d", w.id, partition, sequence)
		s := &sending{partition: partition, call: c.now(), answer: history.Forever, offset: -1}
		c.mutex.Lock()
		c.sent[string(value)] = s
		c.mutex.Unlock()
		w.client.Produce(context.Background(), &kgo.Record{Topic: c.topic, Partition: partition, Value: value}, func(r *kgo.Record, err error) {
			if err != nil && w.idempotent {
				c.fail(fmt.Errorf("producer %d, record %s: %w", w.id, value, err))
			}
			if err == nil {
				c.mutex.Lock()
				defer c.mutex.Unlock()
				s.answer, s.offset = c.now(), r.Offset
			}
		})
	})
	flushed, cancel := limited()
	defer cancel()
	if err := w.client.Flush(flushed); err != nil {
		c.fail(fmt.Errorf("producer %d: what was sent is not all acknowledged %v after the last fault: %w", w.id, clientLimit, err))
	}
}

// watch asks one broker for all partitions, whoever leads them, until ctx ends, and writes down what a broker says that takes itself for
// the leader: what is in them, and where they end. Fetches tell ends too, but those of a new leader may be old ones for a moment (KIP-207).
func (c *chronicle) watch(ctx context.Context, number int, address string) {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Fetch), 10) // from the next one on a follower answers too, with what it knows (KIP-392)
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.RequestRetries(0), kgo.DialTimeout(time.Second), kgo.MaxVersions(versions))
	if err != nil {
		c.fail(err)
		return
	}
	defer client.Close()
	ask := func(r kmsg.Request) kmsg.Response {
		within, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		answer, err := client.SeedBrokers()[0].Request(within, r)
		if err != nil {
			return nil
		}
		return answer
	}
	cursors := make([]int64, c.partitions)
	for ctx.Err() == nil {
		if r, ok := ask(c.fetch(cursors)).(*kmsg.FetchResponse); ok {
			c.fetched(number, cursors, r)
		}
		asked := c.now()
		if r, ok := ask(c.latest()).(*kmsg.ListOffsetsResponse); ok {
			c.listed(number, asked, r)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (c *chronicle) fetch(cursors []int64) *kmsg.FetchRequest {
	r := kmsg.NewPtrFetchRequest()
	r.MaxWaitMillis, r.MinBytes, r.MaxBytes, r.SessionEpoch = 30, 1, 1<<20, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = c.topic
	for i, at := range cursors {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = int32(i), at, 1<<18
		topic.Partitions = append(topic.Partitions, p)
	}
	r.Topics = append(r.Topics, topic)
	return r
}

func (c *chronicle) latest() *kmsg.ListOffsetsRequest {
	r := kmsg.NewPtrListOffsetsRequest()
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = c.topic
	for i := range c.partitions {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = int32(i), -1
		topic.Partitions = append(topic.Partitions, p)
	}
	r.Topics = append(r.Topics, topic)
	return r
}

// fetched notes the records that were delivered: they are for good.
func (c *chronicle) fetched(number int, cursors []int64, r *kmsg.FetchResponse) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, topic := range r.Topics {
		for i := range topic.Partitions {
			p := &topic.Partitions[i]
			if p.Partition < 0 || int(p.Partition) >= len(cursors) {
				continue
			}
			at := &cursors[p.Partition]
			if errors.Is(kerr.ErrorForCode(p.ErrorCode), kerr.OffsetOutOfRange) {
				c.failed = append(c.failed, fmt.Errorf("partition %d: broker %d says that offset %d is out of range; it was read", p.Partition, number, *at))
			}
			if p.ErrorCode != 0 {
				continue
			}
			got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: c.topic, Partition: p.Partition, Offset: *at}, p, kgo.DefaultDecompressor(), nil)
			if got.Err != nil {
				c.failed = append(c.failed, fmt.Errorf("partition %d of broker %d: %w", p.Partition, number, got.Err))
			}
			for _, record := range got.Records {
				if record.Offset != *at {
					c.failed = append(c.failed, fmt.Errorf("partition %d of broker %d: offset %d comes where %d should", p.Partition, number, record.Offset, *at))
				}
				*at = record.Offset + 1
				c.seen = append(c.seen, sight{number, p.Partition, record.Offset, content(record.Value)})
			}
		}
	}
}

// sight is a record that a broker delivered.
type sight struct {
	broker    int
	partition int32
	offset    int64
	content   uint64
}

// listed notes where a broker says that the partitions end which it leads.
func (c *chronicle) listed(number int, asked int64, r *kmsg.ListOffsetsResponse) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, topic := range r.Topics {
		for _, p := range topic.Partitions {
			if p.ErrorCode == 0 && p.Partition >= 0 && int(p.Partition) < len(c.reads) {
				c.reads[p.Partition] = append(c.reads[p.Partition], history.Op{
					Client: number, Kind: history.Read, Call: asked, Return: c.now(), Offset: p.Offset,
				})
			}
		}
	}
}

// judge holds the books against what is in the topic when all is over.
func (c *chronicle) judge(t *testing.T, f *franz, writers []chronicler) {
	t.Helper()
	asked := c.now()
	read, err := f.Read(c.topic, nil)
	must(t, err)
	byOffset(read)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, err := range c.failed {
		t.Error(err)
	}
	logs := make([][]Record, c.partitions)
	for _, r := range read {
		logs[r.Partition] = append(logs[r.Partition], r)
	}
	acked := 0
	for value, s := range c.sent {
		if s.offset < 0 {
			continue
		}
		acked++
		if log := logs[s.partition]; s.offset >= int64(len(log)) || string(log[s.offset].Value) != value {
			t.Errorf("LOST: record %q was acknowledged at offset %d of partition %d, which is not so now", value, s.offset, s.partition)
		}
	}
	wrong := 0
	for _, s := range c.seen {
		if log := logs[s.partition]; (s.offset >= int64(len(log)) || content(log[s.offset].Value) != s.content) && wrong < 10 {
			wrong++
			t.Errorf("broker %d delivered another record at offset %d of partition %d than is there now", s.broker, s.offset, s.partition)
		}
	}
	ops := 0
	for p, log := range logs {
		h := history.Log{Name: fmt.Sprint(p), Ops: append(c.appends(t, log), c.reads[p]...)}
		h.Ops = append(h.Ops, history.Op{Client: 99, Kind: history.Read, Call: asked, Return: c.now(), Offset: int64(len(log))})
		ops += len(h.Ops)
		if v := linearizability.JudgePartition(h); v != linearizability.Linearizable {
			t.Errorf("partition %d: its history of %d operations is %s", p, len(h.Ops), v)
			explain(t, h)
		}
		judgeOrder(t, p, log, writers)
	}
	t.Logf("%d records sent, %d acknowledged, %d in the topic; %d operations and %d records that were read on the way judged", len(c.sent), acked, len(read), ops, len(c.seen))
	if acked == 0 {
		t.Error("no record was acknowledged")
	}
}

// appends are the operations that made a log.
func (c *chronicle) appends(t *testing.T, log []Record) []history.Op {
	t.Helper()
	var ops []history.Op
	for i, r := range log {
		if r.Offset != int64(i) {
			t.Fatalf("partition %d has a hole at offset %d", r.Partition, i)
		}
		s := c.sent[string(r.Value)]
		if s == nil {
			t.Errorf("partition %d, offset %d: nobody sent %q", r.Partition, r.Offset, r.Value)
			continue
		}
		op := history.Op{Kind: history.Append, Call: s.call, Return: history.Forever, Offset: r.Offset, Count: 1, Content: content(r.Value)}
		if s.offset == r.Offset {
			op.Return = s.answer
		}
		ops = append(ops, op)
	}
	return ops
}

// judgeOrder: each idempotent producer's records are there once, in the order of their sending, without a gap.
func judgeOrder(t *testing.T, partition int, log []Record, writers []chronicler) {
	t.Helper()
	next, faults := map[int]int{}, 0
	for _, r := range log {
		var id, p, sequence int
		if _, err := fmt.Sscanf(string(r.Value), "%d %d %d", &id, &p, &sequence); err != nil {
			continue // reported as sent by nobody
		}
		if !slices.ContainsFunc(writers, func(w chronicler) bool { return w.id == id && w.idempotent }) {
			continue
		}
		if sequence != next[id] && faults < 5 {
			faults++
			t.Errorf("partition %d, offset %d: record %d of producer %d, want record %d", partition, r.Offset, sequence, id, next[id])
		}
		next[id] = sequence + 1
	}
}

// explain points at operations that contradict each other: reads that saw an end which was outdated when they were asked for.
func explain(t *testing.T, h history.Log) {
	t.Helper()
	ops := slices.Clone(h.Ops)
	slices.SortFunc(ops, func(a, b history.Op) int { return cmp.Compare(a.Return, b.Return) })
	told := 0
	for _, op := range ops {
		if op.Kind == history.Append {
			op.Offset++
		}
		for _, later := range ops {
			if told < 5 && later.Kind == history.Read && op.Return < later.Call && later.Offset < op.Offset {
				told++
				t.Logf("at %v (asked at %v) broker %d told the end %d, but %s had shown %d at %v (client %d)", time.Duration(later.Return), time.Duration(later.Call),
					later.Client, later.Offset, op.Kind, op.Offset, time.Duration(op.Return), op.Client)
				break
			}
		}
	}
}
