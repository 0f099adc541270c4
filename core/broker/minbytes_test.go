package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestFetchOfManyBytes: a fetch waits for its min bytes while there is less, not while there is more than it may get at a time.
func TestFetchOfManyBytes(t *testing.T) {
	r := newRig(t, nil)
	for topic, configs := range map[string][]string{"hot": nil, "cold": {"segment.bytes", "1048576"}} {
		r.create(topic, 1, configs...)
		for range 250 {
			r.produce(topic, 0, -1, batch(strings.Repeat("x", 10_000)))
		}
		if topic == "cold" {
			r.host.Kill()
			r.start()
		}
		for at := int64(0); at < 250; {
			q := fetchRequest(topic, 0, at)
			q.MinBytes, q.MaxBytes, q.Topics[0].Partitions[0].PartitionMaxBytes = 1<<20, 50<<20, 1<<20
			began := r.world.Now()
			out := ask[*kmsg.FetchResponse](r, q, 12).Topics[0].Partitions[0]
			took := r.world.Now().Sub(began)
			at += int64(len(valuesIn(t, out.RecordBatches, at)))
			if more := at < 250; more != (took < time.Second) {
				t.Errorf("%s: %d bytes took %v, there was more: %v", topic, len(out.RecordBatches), took, more)
			}
		}
	}
}
