package clients

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestKillNineUnderLoad writes with acks=all from several producers as fast as they
// can, kills the broker with kill -9 and restarts it, several times over; then
// every acknowledged record is there, once, in order.
//
// Each producer has a partition of its own, and all of them share one more: there,
// the order is that of each producer by itself.
func TestKillNineUnderLoad(t *testing.T) {
	const producers, kills = 4, 3
	b := startBroker(t)
	if b.Foreign() {
		t.Skip(ErrForeign)
	}
	f, err := openFranz(b)
	must(t, err)
	defer f.Close()
	topic := createTopic(t, f, producers+1)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	writers := make([]*writer, producers)
	var running sync.WaitGroup
	for i := range writers {
		writers[i] = &writer{id: i, next: map[int32]int{}}
		writers[i].client, err = f.producer(ProduceOptions{Codec: []string{"none", "lz4"}[i%2], Acks: "all", Idempotent: true})
		must(t, err)
		defer writers[i].client.Close()
		running.Go(func() { writers[i].write(ctx, topic, int32(i), producers) })
	}
	for kill := range kills {
		awaitAcks(t, b, writers, 2000)
		time.Sleep(time.Duration(50+100*kill) * time.Millisecond)
		must(t, cmp.Or(b.Kill(), b.Restart()))
	}
	awaitAcks(t, b, writers, 2000)
	stop()
	running.Wait()
	judgeWriters(t, f, topic, writers)
}

// writer is one producer and what it was told.
type writer struct {
	id     int
	client *kgo.Client
	next   map[int32]int // by partition: the next sequence
	count  atomic.Int64
	mutex  sync.Mutex
	acks   []Ack
	failed error
}

// write writes until ctx ends, by turns to the two partitions; then it waits for
// what is under way.
func (w *writer) write(ctx context.Context, topic string, own, shared int32) {
	padding := string(make([]byte, 200))
	for i := 0; ctx.Err() == nil; i++ {
		partition := []int32{own, shared}[i%2]
		sequence := w.next[partition]
		w.next[partition]++
		value := fmt.Appendf(nil, "%d %d %s", w.id, sequence, padding)
		w.client.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: partition, Value: value}, func(r *kgo.Record, err error) {
			w.mutex.Lock()
			defer w.mutex.Unlock()
			if err != nil {
				w.failed = err
				return
			}
			w.acks = append(w.acks, Ack{Partition: partition, Sequence: sequence, Offset: r.Offset})
			w.count.Add(1)
		})
		if i%16 == 0 {
			time.Sleep(time.Millisecond) // a few ten thousand records a second in all
		}
	}
	flushed, cancel := limited()
	defer cancel()
	if err := w.client.Flush(flushed); err != nil {
		w.failed = err
	}
}

// awaitAcks waits until each writer had this many more records acknowledged.
func awaitAcks(t *testing.T, b *Broker, writers []*writer, more int64) {
	t.Helper()
	for _, w := range writers {
		start := w.count.Load()
		for deadline := time.Now().Add(clientLimit); w.count.Load() < start+more; time.Sleep(time.Millisecond) {
			if b.Exited() || time.Now().After(deadline) {
				t.Fatalf("producer %d had only %d more records acknowledged within %v, or until the broker ended", w.id, w.count.Load()-start, clientLimit)
			}
		}
	}
}

// judgeWriters reads the topic back. Nobody gave up, so every producer's sequence
// in a partition must be without a gap, and each record where it was acknowledged.
func judgeWriters(t *testing.T, f *franz, topic string, writers []*writer) {
	t.Helper()
	read, err := f.Read(topic, nil)
	must(t, err)
	byOffset(read)
	type place struct {
		partition int32
		offset    int64
	}
	type stream struct {
		writer    int
		partition int32
	}
	at, next, faults := map[place][2]int{}, map[stream]int{}, 0
	for _, r := range read {
		var id, sequence int
		if _, err := fmt.Sscanf(string(r.Value), "%d %d ", &id, &sequence); err != nil {
			t.Fatalf("record %.300s: %v", r, err)
		}
		at[place{r.Partition, r.Offset}] = [2]int{id, sequence}
		s := stream{id, r.Partition}
		if sequence != next[s] && faults < 10 {
			faults++
			t.Errorf("partition %d, offset %d: record %d of producer %d, want record %d", r.Partition, r.Offset, sequence, id, next[s])
		}
		next[s] = sequence + 1
	}
	acked := 0
	for _, w := range writers {
		if w.failed != nil {
			t.Errorf("producer %d: %v", w.id, w.failed)
		}
		acked += len(w.acks)
		lost := slices.IndexFunc(w.acks, func(a Ack) bool {
			got, found := at[place{a.Partition, a.Offset}]
			return !found || got != [2]int{w.id, a.Sequence}
		})
		if lost >= 0 {
			t.Errorf("producer %d: record %+v was acknowledged and is not there", w.id, w.acks[lost])
		}
	}
	if len(read) != acked {
		t.Errorf("%d records acknowledged, %d read", acked, len(read))
	}
	t.Logf("%d records acknowledged over the kills, %d read", acked, len(read))
}
