package clients

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var partitionsFlag = flag.Int("partitions", 0, "how many partitions TestMany measures with; 0 leaves it out")

// TestMany measures how long a broker with many partitions takes to stop and to start, by what has happened to them since.
func TestMany(t *testing.T) {
	if *partitionsFlag == 0 {
		t.Skip("takes a minute: -partitions 10000")
	}
	if Running() != nil {
		t.Skip(ErrForeign)
	}
	dir := t.TempDir()
	binary, err := Binary(dir)
	must(t, err)
	b, err := Start(binary, filepath.Join(dir, "data"))
	must(t, err)
	t.Cleanup(func() { must(t, b.Stop()) })
	m := many{t: t, b: b, topics: max(1, *partitionsFlag/1000), each: min(1000, *partitionsFlag)}
	m.client, err = kgo.NewClient(kgo.SeedBrokers(b.Address), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(100_000))
	must(t, err)
	defer m.client.Close()
	m.create()
	m.took("a stop, never written to", b.Stop)
	m.took("a start after it", m.start)
	m.took("a stop, nothing has happened", b.Stop)
	m.took("a start after it", m.start)
	m.write()
	m.took("a stop, a record for each", b.Stop)
	m.took("a start after it", m.start)
	m.took("a stop, nothing has happened", b.Stop)
	must(t, m.start())
	m.write()
	must(t, b.Kill())
	m.took("a start after kill -9, a record for each", m.start)
	m.took("a stop after it", b.Stop)
	must(t, m.start())
}

// many is a broker with so many topics of so many partitions.
type many struct {
	t            *testing.T
	b            *Broker
	client       *kgo.Client
	topics, each int
}

func (m *many) name(i int) string { return fmt.Sprintf("many-%d", i) }

// took measures one step.
func (m *many) took(what string, step func() error) {
	m.t.Helper()
	began := time.Now()
	must(m.t, step())
	m.t.Logf("FIGURE %d partitions: %s: %.2f s", m.topics*m.each, what, time.Since(began).Seconds())
}

// start starts the broker, and waits until it serves.
func (m *many) start() error {
	if err := m.b.Restart(); err != nil {
		return err
	}
	ctx, cancel := limited()
	defer cancel()
	for ctx.Err() == nil {
		if m.client.Ping(ctx) == nil { // not over a connection of the life before
			return nil
		}
	}
	return ctx.Err()
}

func (m *many) create() {
	f, err := openFranz(m.b)
	must(m.t, err)
	defer f.Close()
	for i := range m.topics {
		ctx, cancel := limited()
		made, err := f.admin.CreateTopic(ctx, int32(m.each), 1, nil, m.name(i))
		cancel()
		must(m.t, cmp.Or(err, made.Err))
	}
}

// write writes a record to each partition.
func (m *many) write() {
	for i := range m.topics {
		for p := range m.each {
			r := &kgo.Record{Topic: m.name(i), Partition: int32(p), Value: []byte("one more")}
			m.client.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
				if err != nil {
					m.t.Errorf("%s-%d: %v", r.Topic, r.Partition, err)
				}
			})
		}
	}
	must(m.t, m.client.Flush(context.Background()))
}
