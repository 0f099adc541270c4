package broker_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestSectorThatCannotBeSent: a sector that nobody reads but the kernel, for a connection, ends that connection once. From then on its partition says so, and the others that a
// client asks for beside it are told.
func TestSectorThatCannotBeSent(t *testing.T) {
	r := newRig(t, nil)
	r.create("t", 2)
	noise := make([]byte, 200_000)
	for i := range noise {
		noise[i] = 'a' + byte(rand.New(rand.NewPCG(1, uint64(i))).IntN(26))
	}
	for partition := range int32(2) {
		if out := r.produce("t", partition, -1, batch(string(noise))); out.ErrorCode != 0 {
			t.Fatalf("produce: %v", wire.ErrorCode(out.ErrorCode))
		}
	}
	ended := false
	r.host.Do(func() { r.node.Shutdown(func(error) { ended = true }) })
	r.until(func() bool { return ended })
	r.host.Kill()
	r.start()
	path := ""
	r.host.Disk().EachFile(func(p string, size int64) {
		if strings.HasPrefix(p, "t-0/") && strings.HasSuffix(p, ".log") && size > 0 {
			path = p
		}
	})
	r.host.Disk().BadSector(path, 100_000)
	both := fetchRequest("t", 0, 0)
	second := both.Topics[0].Partitions[0]
	second.Partition = 1
	both.Topics[0].Partitions = append(both.Topics[0].Partitions, second)
	r.dial()
	r.send(both, 12)
	r.until(func() bool { return len(r.answers) > 0 || r.gone })
	if !r.gone {
		t.Fatal("it is answered: nothing can be shown")
	}
	for range 2 {
		r.conn = nil
		out := ask[*kmsg.FetchResponse](r, both, 12)
		for _, p := range out.Topics[0].Partitions {
			switch {
			case p.Partition == 0 && wire.ErrorCode(p.ErrorCode) != wire.KafkaStorageError:
				t.Errorf("partition 0: %v", wire.ErrorCode(p.ErrorCode))
			case p.Partition == 1 && (p.ErrorCode != 0 || len(p.RecordBatches) < len(noise)):
				t.Errorf("partition 1: %v, %d bytes", wire.ErrorCode(p.ErrorCode), len(p.RecordBatches))
			}
		}
	}
}
