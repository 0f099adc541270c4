package clients

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestFranzGroup shares a topic among members of either protocol while members come and go and the broker is killed with kill -9: no record
// is left unread, and no committed offset goes back.
func TestFranzGroup(t *testing.T) {
	for _, protocol := range []string{"classic", "consumer"} {
		t.Run(protocol, func(t *testing.T) {
			b := startBroker(t)
			if b.Foreign() {
				t.Skip(ErrForeign)
			}
			f, err := openFranz(b)
			must(t, err)
			defer f.Close()
			w := &groupWork{T: t, broker: b, topic: createTopic(t, f, 6), protocol: protocol, read: map[string]int{}, committed: map[int32]int64{}}
			w.producer, err = kgo.NewClient(kgo.SeedBrokers(b.Address))
			must(t, err)
			defer w.producer.Close()
			w.admin = kadm.NewClient(w.producer)
			stay := w.join("stays")
			leave := w.join("leaves")
			for round := range 3 {
				w.write(1000)
				w.await()
				switch round {
				case 0:
					leave()
				case 1:
					leave = w.join("comes")
				}
				must(t, cmp.Or(b.Kill(), b.Restart()))
			}
			w.write(1000)
			w.await()
			leave()
			stay()
		})
	}
}

// groupWork is a topic that a group reads, and what was seen of both.
type groupWork struct {
	*testing.T
	broker          *Broker
	topic, protocol string
	producer        *kgo.Client
	admin           *kadm.Client
	written         int
	mutex           sync.Mutex
	read            map[string]int
	committed       map[int32]int64
}

func (w *groupWork) write(n int) {
	w.Helper()
	for range n {
		v := fmt.Sprint(w.written)
		w.written++
		w.producer.Produce(w.Context(), &kgo.Record{Topic: w.topic, Key: []byte(v), Value: []byte(v)}, func(_ *kgo.Record, err error) {
			if err != nil {
				w.Error(err)
			}
		})
	}
	must(w.T, w.producer.Flush(w.Context()))
}

// join begins a member; the function that it returns ends it.
func (w *groupWork) join(name string) (leave func()) {
	w.Helper()
	ctx, stop := context.WithCancel(w.Context())
	if w.protocol == "consumer" {
		ctx = context.WithValue(ctx, "opt_in_kafka_next_gen_balancer_beta", true) //nolint:staticcheck // the client's own key
	}
	c, err := kgo.NewClient(kgo.WithContext(ctx), kgo.SeedBrokers(w.broker.Address), kgo.ClientID(name), kgo.ConsumerGroup("group-"+w.topic), kgo.ConsumeTopics(w.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond))
	must(w.T, err)
	var running sync.WaitGroup
	done := make(chan struct{})
	running.Go(func() {
		for {
			poll, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			fetched := c.PollRecords(poll, 100)
			cancel()
			w.mutex.Lock()
			fetched.EachRecord(func(r *kgo.Record) { w.read[string(r.Value)]++ })
			w.mutex.Unlock()
			if fetched.NumRecords() > 0 {
				// It may fail while the broker is away: what was read is read again then.
				limit, cancel := context.WithTimeout(ctx, 2*time.Second)
				_ = c.CommitUncommittedOffsets(limit)
				cancel()
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
		c.Close()
		stop()
	}
}

// await returns when everything that was written is read, and looks at the committed offsets meanwhile.
func (w *groupWork) await() {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		w.mutex.Lock()
		n := len(w.read)
		w.mutex.Unlock()
		w.look()
		if n == w.written {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("%d of %d records are read; the broker's log: %s", n, w.written, w.broker.LogTail())
		}
	}
}

func (w *groupWork) look() {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
	defer cancel()
	offsets, err := w.admin.FetchOffsets(ctx, "group-"+w.topic)
	if err != nil {
		return // the coordinator is not there yet
	}
	for partition, o := range offsets[w.topic] {
		if o.Err == nil && o.At < w.committed[partition] {
			w.Errorf("partition %d: committed is %d behind %d", partition, o.At, w.committed[partition])
		}
		w.committed[partition] = max(w.committed[partition], o.At)
	}
}
