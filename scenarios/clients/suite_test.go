package clients

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// suite runs the checks that every client must pass. Each top-level test of a
// client calls it once; the subtests' names are the columns of ./run's table.
func suite(t *testing.T, open func(b *Broker) (Driver, error)) {
	b := startBroker(t)
	d, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("client: %s", d.Name())
	t.Run("create-list", func(t *testing.T) { checkCreateAndList(t, d) })
	t.Run("partitioner", func(t *testing.T) { checkPartitioner(t, d) })
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run("codec-"+codec, func(t *testing.T) {
			checkRoundTrip(t, d, ProduceOptions{Codec: codec, Acks: "all"})
		})
	}
	for _, acks := range []string{"0", "1", "all"} {
		t.Run("acks-"+acks, func(t *testing.T) {
			checkRoundTrip(t, d, ProduceOptions{Codec: "none", Acks: acks})
		})
	}
	t.Run("idempotence", func(t *testing.T) {
		checkRoundTrip(t, d, ProduceOptions{Codec: "lz4", Acks: "all", Idempotent: true})
	})
	t.Run("seek-time", func(t *testing.T) { checkSeekTime(t, b, d) })
	t.Run("delete", func(t *testing.T) { checkDelete(t, d) })
	t.Run("kill-9", func(t *testing.T) { checkKill(t, b, d) })
}

// startBroker starts a broker of the test's own, or takes the one that is running.
func startBroker(t *testing.T) *Broker {
	t.Helper()
	if b := Running(); b != nil {
		return b
	}
	dir := t.TempDir()
	binary, err := Binary(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Start(binary, filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the broker printed:\n%s", b.LogTail())
		}
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// must ends the test on an error, and skips it where the client lacks the feature.
func must(t *testing.T, err error) {
	t.Helper()
	var lacks Lacks
	if errors.As(err, &lacks) {
		t.Skip(lacks)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var topicsMade atomic.Int64

// newTopic is a topic name that no other test uses, here or in an earlier run.
func newTopic(t *testing.T) string {
	name := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())
	return fmt.Sprintf("%s-%d-%d", name, time.Now().UnixNano()%1e12, topicsMade.Add(1))
}

// createTopic creates a topic with the client itself and sees to its end.
func createTopic(t *testing.T, d Driver, partitions int) string {
	t.Helper()
	topic := newTopic(t)
	must(t, d.Create(topic, partitions))
	return topic
}

// eventually waits for what a broker may do a moment after it answered: Apache
// Kafka's brokers learn of a topic's creation and deletion from the metadata log.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

func checkCreateAndList(t *testing.T, d Driver) {
	for _, partitions := range []int{1, 7} {
		topic := createTopic(t, d, partitions)
		eventually(t, "the topic is listed with its partitions", func() bool {
			topics, err := d.Topics()
			must(t, err)
			return topics[topic] == partitions
		})
	}
}

func checkDelete(t *testing.T, d Driver) {
	topic, kept := createTopic(t, d, 3), createTopic(t, d, 1)
	_, err := d.Produce(topic, ProduceOptions{Codec: "none", Acks: "all"}, sample(sampleOptions{Count: 9, Partitions: 3, Start: hourAgo(), Traits: d.Traits()}))
	must(t, err)
	must(t, d.Delete(topic))
	eventually(t, "the topic is gone and the other one is not", func() bool {
		topics, err := d.Topics()
		must(t, err)
		return topics[topic] == 0 && topics[kept] == 1
	})
}

// checkPartitioner lets the client choose partitions: every record arrives once,
// and records of one key share a partition and keep their order.
func checkPartitioner(t *testing.T, d Driver) {
	topic := createTopic(t, d, 4)
	records := make([]Record, 120)
	for i := range records {
		records[i] = Record{Partition: -1, Offset: -1, Timestamp: hourAgo(), Value: fmt.Appendf(nil, "%04d", i)}
		if i%2 == 0 {
			records[i].Key = fmt.Appendf(nil, "key-%d", i%14)
		}
	}
	_, err := d.Produce(topic, ProduceOptions{Codec: "none", Acks: "all"}, records)
	must(t, err)
	read, err := d.Read(topic, nil)
	must(t, err)
	home, last := map[string]int32{}, map[string]string{}
	var values []string
	byOffset(read)
	for _, r := range read {
		values = append(values, string(r.Value))
		if r.Key == nil {
			continue
		}
		key := string(r.Key)
		if p, seen := home[key]; seen && p != r.Partition {
			t.Errorf("key %s is in partitions %d and %d", key, p, r.Partition)
		}
		if string(r.Value) <= last[key] {
			t.Errorf("key %s: %s comes after %s", key, r.Value, last[key])
		}
		home[key], last[key] = r.Partition, string(r.Value)
	}
	slices.Sort(values)
	for i, r := range records {
		if i >= len(values) || values[i] != string(r.Value) {
			t.Fatalf("of %d records, %d were read, not all of them the same", len(records), len(values))
		}
	}
}

func hourAgo() int64 { return time.Now().Add(-time.Hour).UnixMilli() }

func checkRoundTrip(t *testing.T, d Driver, o ProduceOptions) {
	topic := createTopic(t, d, 3)
	if o.Acks == "0" { // nobody would tell the client that the topic is not quite there yet
		eventually(t, "the new topic can be read", func() bool { _, err := d.Read(topic, nil); return err == nil })
	}
	wrote, err := d.Produce(topic, o, sample(sampleOptions{Count: 300, Partitions: 3, Start: hourAgo(), Step: 7, Traits: d.Traits()}))
	must(t, err)
	var read []Record
	eventually(t, "as many records are read as were written", func() bool {
		read, err = d.Read(topic, nil)
		must(t, err)
		return len(read) >= len(wrote) || o.Acks == "all" // less is answered before the records may be read
	})
	must(t, compare(wrote, read, d.Traits()))

	// And from the middle.
	half, err := d.Read(topic, map[int32]int64{0: 50, 1: 99, 2: 100})
	must(t, err)
	if len(half) != 50+1+0 {
		t.Errorf("from offsets 50, 99 and 100 of 100: %d records, want 51", len(half))
	}
}

// checkSeekTime looks offsets up by timestamp and reads from there.
func checkSeekTime(t *testing.T, b *Broker, d Driver) {
	topic := createTopic(t, d, 1)
	writer := d
	if d.Traits().OwnTime {
		franz, err := openFranz(b)
		must(t, err)
		defer franz.Close()
		writer = franz
	}
	start := hourAgo()
	for batch := range 5 { // several batches, 1000 ms between two records
		records := sample(sampleOptions{Count: 20, Partitions: 1, Start: start + int64(batch)*20_000, Step: 1000, Traits: writer.Traits()})
		_, err := writer.Produce(topic, ProduceOptions{Codec: "none", Acks: "all"}, records)
		must(t, err)
	}
	for _, c := range []struct{ after, want int64 }{{-5000, 0}, {0, 0}, {1, 1}, {1000, 1}, {19_500, 20}, {57_000, 57}, {99_000, 99}, {99_001, -1}} {
		got, err := d.OffsetAt(topic, 0, start+c.after)
		must(t, err)
		if got != c.want {
			t.Errorf("offset at %d ms: %d, want %d", c.after, got, c.want)
		}
	}
	from, err := d.OffsetAt(topic, 0, start+57_000)
	must(t, err)
	read, err := d.Read(topic, map[int32]int64{0: from})
	must(t, err)
	if len(read) != 43 || read[0].Timestamp != start+57_000 {
		t.Errorf("from 57,000 ms on: %d records, want 43", len(read))
	}
}

// checkKill kills and restarts the broker while the client writes.
func checkKill(t *testing.T, b *Broker, d Driver) {
	if b.Foreign() {
		t.Skip(ErrForeign)
	}
	const partitions = 3
	topic := createTopic(t, d, partitions)
	o := LoadOptions{Partitions: partitions, Count: 6000, Rate: 3000, Idempotent: !d.Traits().Repeats}
	var killed atomic.Bool
	restarted := make(chan error, 1)
	acks, err := d.Load(topic, o, func(acked int) {
		if acked >= o.Count/4 && killed.CompareAndSwap(false, true) {
			go func() { restarted <- cmp.Or(b.Kill(), b.Restart()) }()
		}
	})
	if killed.Load() {
		must(t, <-restarted)
	}
	must(t, err)
	if !killed.Load() {
		t.Fatalf("the load ended before the kill, with %d records acknowledged", len(acks))
	}
	t.Logf("%d of %d records acknowledged over the kill", len(acks), o.Count)
	if len(acks) < o.Count/4 {
		t.Errorf("only %d of %d records were acknowledged", len(acks), o.Count)
	}
	read, err := d.Read(topic, nil)
	must(t, err)
	must(t, judgeLoad(acks, read, d.Traits().Repeats))
}

// judgeLoad holds what was read after a load against what was acknowledged:
// everything acknowledged is there, at the offset that was told, in order, and
// once. A producer that is not idempotent may repeat a record when it retries; then
// only the first copies must be in order.
func judgeLoad(acks []Ack, read []Record, mayRepeat bool) error {
	var faults []error
	type place struct {
		partition int32
		offset    int64
	}
	at, seen, newest := map[place]int{}, map[int32]map[int]bool{}, map[int32]int{}
	byOffset(read)
	for _, r := range read {
		sequence, err := loadSequence(r.Value)
		if err != nil {
			return fmt.Errorf("record %s: %w", r, err)
		}
		p := r.Partition
		if seen[p] == nil {
			seen[p], newest[p] = map[int]bool{}, -1
		}
		at[place{p, r.Offset}] = sequence
		switch {
		case seen[p][sequence] && mayRepeat:
		case seen[p][sequence]:
			faults = append(faults, fmt.Errorf("partition %d has record %d twice, again at offset %d", p, sequence, r.Offset))
		case sequence < newest[p]:
			faults = append(faults, fmt.Errorf("partition %d: record %d comes after record %d", p, sequence, newest[p]))
		}
		seen[p][sequence], newest[p] = true, max(newest[p], sequence)
	}
	for _, a := range acks {
		sequence, found := at[place{a.Partition, a.Offset}]
		switch {
		case a.Offset < 0 && !seen[a.Partition][a.Sequence]:
			faults = append(faults, fmt.Errorf("partition %d: acknowledged record %d is lost", a.Partition, a.Sequence))
		case a.Offset >= 0 && (!found || sequence != a.Sequence):
			faults = append(faults, fmt.Errorf("partition %d: record %d was acknowledged at offset %d, where record %d is now (found: %v)", a.Partition, a.Sequence, a.Offset, sequence, found))
		}
	}
	if more := len(faults) - 10; more > 0 {
		faults = append(faults[:10], fmt.Errorf("and %d more", more))
	}
	return errors.Join(faults...)
}
