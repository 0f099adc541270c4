package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"lignum/core/config"
	"lignum/core/invariant"
	"lignum/core/record"
)

// one of each kind, with every field set.
func specimens() []Record {
	return []Record{
		&NoOperation{},
		&BrokerRegistered{
			ID: 7, Epoch: NoBrokerEpoch, Incarnation: UUID{1, 2}, Directories: []UUID{{3}, {4}}, Rack: "r1",
			Endpoints: []Endpoint{{"PLAINTEXT", "localhost", 9092, 0}, {"X", "::1", 65535, 3}},
			Features:  []FeatureRange{{"metadata.version", 7, 25}}, Fenced: true, ShuttingDown: true, Changed: 9,
		},
		&BrokerChanged{ID: 7, Epoch: 1 << 40, Fenced: true, ShuttingDown: true, Failed: []UUID{{8}}},
		&BrokerUnregistered{ID: 7, Epoch: 3},
		&TopicCreated{ID: record.TopicID{9}, Name: "a.topic"},
		&TopicDeleted{ID: record.TopicID{9}},
		&PartitionChanged{Topic: record.TopicID{9}, Index: 4, Partition: Partition{
			Replicas: []record.NodeID{1, 2, 3}, Directories: []UUID{{1}, {2}, {3}}, ISR: []record.NodeID{1}, ELR: []record.NodeID{2},
			LastKnownELR: []record.NodeID{3}, Adding: []record.NodeID{4}, Removing: []record.NodeID{1}, Leader: NoNode,
			LeaderEpoch: 5, Epoch: 6, Recovering: true, MinISR: 2, Flush: FlushPending,
		}},
		&TopicConfigured{Topic: record.TopicID{9}, Key: "retention.ms", Value: "1", Removed: true},
		&BrokerConfigured{Broker: NoNode, Key: "message.max.bytes", Value: "1"},
		&ProducerIDsAllocated{Broker: 1, Epoch: 2, Next: 1000},
		&FeatureSet{Name: "metadata.version", Level: 25},
		&GroupConfigured{Group: "g", Key: "consumer.session.timeout.ms", Value: "45000", Removed: true},
	}
}

func TestRecordsRoundTrip(t *testing.T) {
	t.Parallel()
	want := specimens()
	if len(want) != int(kindGroupConfigured) {
		t.Fatalf("%d specimens for %d kinds", len(want), kindGroupConfigured)
	}
	p := AppendRecords(nil, want)
	got, err := DecodeRecords(p)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for cut := range p {
		if got, err := DecodeRecords(p[:cut]); err == nil && len(AppendRecords(nil, got)) != cut {
			t.Errorf("cut at %d of %d: %d records", cut, len(p), len(got))
		}
	}
}

// TestVersion0 reads records as the first release wrote them: without what version 1 has added at the end of some.
func TestVersion0(t *testing.T) {
	t.Parallel()
	old := func(r Record, added int) []byte {
		p := AppendRecords(nil, []Record{r})
		if p[0]&0x80 != 0 {
			t.Fatalf("%T is too long for this test", r)
		}
		p = p[:len(p)-added]
		p[0] -= byte(added)
		p[2] = 0 // behind the length and the kind
		return p
	}
	for _, c := range []struct {
		now, want Record
		added     int
	}{
		{&BrokerRegistered{ID: 1, Epoch: 2, Fenced: true}, &BrokerRegistered{ID: 1, Epoch: 2, Fenced: true, Changed: record.NoOffset}, 1},
		{&BrokerChanged{ID: 1, Epoch: 2}, &BrokerChanged{ID: 1, Epoch: 2}, 1},
		{&BrokerUnregistered{1, 2}, &BrokerUnregistered{1, 2}, 0},
		{&PartitionChanged{Partition: Partition{ISR: []record.NodeID{1}, Recovering: true}},
			&PartitionChanged{Partition: Partition{ISR: []record.NodeID{1}, Recovering: true, MinISR: 1, Flush: FlushAsync}}, 2},
	} {
		got, err := DecodeRecords(old(c.now, c.added))
		if d := cmp.Diff([]Record{c.want}, got); err != nil || d != "" {
			t.Errorf("%v %s", err, d)
		}
	}
}

// TestBrokerChanges: a broker remembers which entry changed it last, and loses the directories that fail.
func TestBrokerChanges(t *testing.T) {
	t.Parallel()
	m := New()
	m.Apply(Position{3, 1}, []Record{&BrokerRegistered{ID: 1, Epoch: NoBrokerEpoch, Directories: []UUID{{1}, {2}}, Changed: record.NoOffset}})
	if b := m.Broker(1); b.Epoch != 3 || b.Changed != 3 {
		t.Errorf("%+v", b)
	}
	m.Apply(Position{5, 1}, []Record{&BrokerChanged{ID: 1, Epoch: 3, Fenced: true, Failed: []UUID{{1}, {7}}}})
	if b := m.Broker(1); b.Changed != 5 || !slices.Equal(b.Directories, []UUID{{2}}) || !b.Fenced {
		t.Errorf("%+v", b)
	}
	for u, reserved := range map[UUID]bool{{}: true, LostDirectory: true, {15: 100}: false, {14: 1}: false, {3}: false} {
		if u.Reserved() != reserved {
			t.Errorf("%v is reserved: %v", u, !reserved)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		p    []byte
		want error
	}{
		"unknown kind":    {[]byte{2, 99, 0}, ErrUnknown},
		"unknown version": {[]byte{2, 1, 2}, ErrUnknown},
		"trailing byte":   {[]byte{3, 1, 0, 0}, ErrCorrupt},
		"no version":      {[]byte{1, 1}, ErrCorrupt},
		"length beyond":   {[]byte{9, 1, 0}, ErrCorrupt},
		"endless length":  {[]byte{255, 255, 255}, ErrCorrupt},
		"huge list":       {AppendRecords(nil, []Record{&BrokerUnregistered{}})[:2], ErrCorrupt},
	} {
		if _, err := DecodeRecords(c.p); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestDisplaced (F7): an entry by which a broker leads no more, or is not in sync any more, counts as a change of the broker, which it has to know of.
func TestDisplaced(t *testing.T) {
	t.Parallel()
	before := Partition{Replicas: []record.NodeID{1, 2, 3}, ISR: []record.NodeID{1, 2}, Leader: 1}
	for name, c := range map[string]struct {
		now       Partition
		displaced []record.NodeID
	}{
		"another leader":              {Partition{Leader: 2, LeaderEpoch: 1, ISR: []record.NodeID{1, 2}}, []record.NodeID{1}},
		"no leader":                   {Partition{Leader: NoNode, LeaderEpoch: 1, ISR: []record.NodeID{1, 2}}, []record.NodeID{1}},
		"out of the ISR":              {Partition{Leader: 1, ISR: []record.NodeID{1}}, []record.NodeID{2}},
		"out of the ISR and deposed":  {Partition{Leader: 2, LeaderEpoch: 1, ISR: []record.NodeID{2}}, []record.NodeID{1}},
		"eligible, but out of it":     {Partition{Leader: 1, ISR: []record.NodeID{1}, ELR: []record.NodeID{2}}, []record.NodeID{2}},
		"into the ISR":                {Partition{Leader: 1, ISR: []record.NodeID{1, 2, 3}}, nil},
		"the same leader once more":   {Partition{Leader: 1, LeaderEpoch: 1, ISR: []record.NodeID{1, 2}}, nil},
		"the ISR in another order":    {Partition{Leader: 1, ISR: []record.NodeID{2, 1}}, nil},
		"the leader under sync":       {Partition{Leader: 1, LeaderEpoch: 1, ISR: []record.NodeID{1, 2}, Flush: FlushPending}, []record.NodeID{1, 2}},
		"moved to brokers beside all": {Partition{Leader: 3, LeaderEpoch: 1, ISR: []record.NodeID{3}}, []record.NodeID{1, 2}},
	} {
		m := New()
		id := record.TopicID{1}
		m.Apply(Position{4, 1}, []Record{
			&BrokerRegistered{ID: 1, Epoch: NoBrokerEpoch, Changed: record.NoOffset}, &BrokerRegistered{ID: 2, Epoch: NoBrokerEpoch, Changed: record.NoOffset},
			&BrokerRegistered{ID: 3, Epoch: NoBrokerEpoch, Changed: record.NoOffset}, &TopicCreated{id, "t"}, &PartitionChanged{id, 0, before},
		})
		c.now.Replicas, c.now.Epoch = before.Replicas, 1
		m.Apply(Position{9, 1}, []Record{&PartitionChanged{id, 0, c.now}})
		var displaced []record.NodeID
		for _, b := range m.Brokers() {
			if b.Changed == 9 {
				displaced = append(displaced, b.ID)
			}
		}
		if !slices.Equal(displaced, c.displaced) {
			t.Errorf("%s: %v, want %v", name, displaced, c.displaced)
		}
		other, err := DecodeSnapshot(m.Snapshot())
		if err != nil || !slices.EqualFunc(m.Brokers(), other.Brokers(), func(a, b *Broker) bool { return a.Changed == b.Changed }) {
			t.Errorf("%s: a snapshot does not tell it: %v", name, err)
		}
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	m := New()
	a, b := record.TopicID{1}, record.TopicID{2}
	one := Partition{Replicas: []record.NodeID{1}, ISR: []record.NodeID{1}, Leader: 1}
	changes := m.Apply(Position{4, 1}, []Record{
		&BrokerRegistered{ID: 1, Epoch: NoBrokerEpoch},
		&TopicCreated{b, "b"}, &TopicCreated{a, "a"},
		&PartitionChanged{a, 0, one}, &PartitionChanged{b, 0, one}, &PartitionChanged{a, 1, one},
		&TopicConfigured{Topic: a, Key: "retention.ms", Value: "5"},
	})
	want := Changes{
		Partitions: []record.Partition{{Topic: a}, {Topic: b}, {Topic: a, Index: 1}}, Configured: []record.TopicID{a}, Brokers: []record.NodeID{1},
	}
	if d := cmp.Diff(want, changes); d != "" {
		t.Error(d)
	}
	if m.Broker(1).Epoch != 4 || m.Offset() != 4 || m.PartitionCount() != 3 || m.Topics()[0].Name != "a" || len(m.TopicsFrom("aa")) != 1 {
		t.Errorf("%+v", m)
	}
	changes = m.Apply(Position{5, 1}, []Record{
		&PartitionChanged{b, 0, Partition{Leader: NoNode, Epoch: 1, LeaderEpoch: 1}}, &TopicDeleted{b},
		&BrokerConfigured{Broker: NoNode, Key: "message.max.bytes", Value: "5"},
		&BrokerConfigured{Broker: 1, Key: "message.max.bytes", Value: "6"},
	})
	if len(changes.Partitions) != 0 || len(changes.Deleted) != 1 || !changes.BrokerConfig {
		t.Errorf("%+v", changes)
	}
	if m.Topic("b") != nil || m.TopicByID(b) != nil || m.PartitionCount() != 2 || m.Partition(record.Partition{Topic: a, Index: 2}) != nil {
		t.Errorf("%+v", m)
	}
	if got := config.NewTopic(m.Topic("a").Config, m.Defaults(1, nil)); got.RetentionMillis != 5 || got.MaxMessageBytes != 6 {
		t.Errorf("%+v", got)
	}
	if got := config.NewTopic(nil, m.Defaults(2, nil)); got.MaxMessageBytes != 5 {
		t.Errorf("%+v", got)
	}
}

// TestApplyStopsOnImpossible holds that a record which does not fit the image is never passed over.
func TestApplyStopsOnImpossible(t *testing.T) {
	t.Parallel()
	a := record.TopicID{1}
	for name, r := range map[string]Record{
		"topic twice":          &TopicCreated{a, "other"},
		"name twice":           &TopicCreated{record.TopicID{2}, "a"},
		"zero topic":           &TopicCreated{record.TopicID{}, "z"},
		"no such topic":        &TopicDeleted{record.TopicID{3}},
		"partition gap":        &PartitionChanged{Topic: a, Index: 2},
		"partition epoch":      &PartitionChanged{Topic: a, Index: 0, Partition: Partition{Epoch: 2}},
		"leader epoch":         &PartitionChanged{Topic: a, Index: 0, Partition: Partition{Epoch: 1, LeaderEpoch: 2}},
		"ids given away":       &ProducerIDsAllocated{Next: 1000},
		"other broker epoch":   &BrokerChanged{ID: 1, Epoch: 7},
		"registered backwards": &BrokerRegistered{ID: 1, Epoch: 0},
	} {
		m := New()
		m.Apply(Position{0, 1}, []Record{
			&BrokerRegistered{ID: 1, Epoch: NoBrokerEpoch}, &TopicCreated{a, "a"},
			&PartitionChanged{Topic: a, Partition: Partition{LeaderEpoch: 3}}, &ProducerIDsAllocated{Next: 1000},
		})
		if !violates(func() { m.Apply(Position{1, 1}, []Record{r}) }) {
			t.Errorf("%s was applied", name)
		}
	}
	m := New()
	m.Apply(Position{3, 2}, nil)
	for _, at := range []Position{{3, 2}, {2, 2}, {4, 1}} {
		if !violates(func() { m.Apply(at, nil) }) {
			t.Errorf("%v was applied after {3 2}", at)
		}
	}
}

func violates(f func()) (violated bool) {
	defer func() {
		if e := recover(); e != nil {
			if _, violated = e.(invariant.Violation); !violated {
				panic(e)
			}
		}
	}()
	f()
	return false
}

// TestSnapshotEqualsFold is M5: whatever the log holds, the image read from a snapshot equals the fold of the entries up to there, and stays
// equal to it under the entries that follow.
func TestSnapshotEqualsFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := history{image: New(), t: t}
		var restored *Image
		for range rapid.IntRange(1, 40).Draw(t, "entries") {
			at := Position{h.image.Offset() + record.Offset(rapid.IntRange(1, 3).Draw(t, "gap")), max(h.image.Epoch(), 1)}
			records, err := DecodeRecords(AppendRecords(nil, h.entry()))
			if err != nil {
				t.Fatal(err)
			}
			h.image.Apply(at, records)
			if restored != nil {
				restored.Apply(at, records)
				equalImages(t, restored, h.image)
			}
			if rapid.IntRange(0, 3).Draw(t, "snapshot") == 0 {
				restored, err = DecodeSnapshot(h.image.Snapshot())
				if err != nil {
					t.Fatal(err)
				}
				equalImages(t, restored, h.image)
			}
		}
	})
}

func equalImages(t *rapid.T, got, want *Image) {
	if d := cmp.Diff(want, got, cmp.AllowUnexported(Image{}, brokerConfig{}, groupConfig{}), cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("images differ:\n%s", d)
	}
	if !bytes.Equal(got.Snapshot(), want.Snapshot()) {
		t.Fatal("snapshots of equal images differ")
	}
}

// history writes entries that fit the image.
type history struct {
	image *Image
	t     *rapid.T
	ids   byte
}

func (h *history) entry() []Record {
	var records []Record
	seen := map[string]bool{} // what this entry has touched already: its records are made from the image before it
	for range rapid.IntRange(0, 4).Draw(h.t, "records") {
		touches, more := h.change()
		if touches == "" || !seen[touches] {
			seen[touches] = true
			records = append(records, more...)
		}
	}
	return records
}

func (h *history) change() (touches string, records []Record) {
	topics := h.image.Topics()
	n := rapid.IntRange(0, 9).Draw(h.t, "change")
	if len(topics) == 0 && n >= 6 {
		n -= 6
	}
	key := rapid.SampledFrom([]string{"retention.ms", "segment.bytes", "cleanup.policy"}).Draw(h.t, "key")
	removed := rapid.Bool().Draw(h.t, "removed")
	node := record.NodeID(rapid.IntRange(0, 4).Draw(h.t, "node"))
	switch n {
	case 0:
		h.ids++
		return "", []Record{&TopicCreated{record.TopicID{h.ids}, fmt.Sprintf("%c-%d", 'a'+h.ids*7%26, h.ids)}}
	case 1:
		return fmt.Sprint("broker ", node), []Record{&BrokerRegistered{
			ID: node, Epoch: NoBrokerEpoch, Incarnation: UUID{byte(node)}, Fenced: removed, Changed: record.NoOffset, Rack: key,
			Directories: []UUID{{1, byte(node)}, {2, byte(node)}}, Endpoints: []Endpoint{{"PLAINTEXT", "host", 9092, int16(node)}}, Features: []FeatureRange{{key, 1, 3}},
		}}
	case 2:
		return "", []Record{&BrokerConfigured{Broker: node - 1, Key: key, Value: "1", Removed: removed}}
	case 3:
		return "ids", []Record{&ProducerIDsAllocated{Next: h.image.NextProducerID() + 1000}}
	case 4:
		return "", []Record{&FeatureSet{key, int16(node)}, &NoOperation{}, &GroupConfigured{Group: fmt.Sprint("g", node), Key: key, Value: "1", Removed: removed}}
	case 5:
		if b := h.image.Broker(node); b != nil && removed {
			return fmt.Sprint("broker ", node), []Record{&BrokerUnregistered{node, b.Epoch}}
		} else if b != nil {
			changed := &BrokerChanged{ID: node, Epoch: b.Epoch, Fenced: rapid.Bool().Draw(h.t, "fenced"), ShuttingDown: rapid.Bool().Draw(h.t, "stopping")}
			if len(b.Directories) > 1 && key == "segment.bytes" {
				changed.Failed = b.Directories[:1]
			}
			return fmt.Sprint("broker ", node), []Record{changed}
		}
		return "", nil
	}
	topic := rapid.SampledFrom(topics).Draw(h.t, "topic")
	touches = topic.Name
	switch n {
	case 6:
		return touches, []Record{&TopicConfigured{topic.ID, key, "1", removed}}
	case 7:
		return touches, []Record{&TopicDeleted{topic.ID}}
	default:
		p := Partition{Replicas: []record.NodeID{node, node + 1}, ISR: []record.NodeID{node}, Leader: node}
		i := rapid.IntRange(0, len(topic.Partitions)).Draw(h.t, "index")
		if i < len(topic.Partitions) {
			old := topic.Partitions[i]
			p.Epoch, p.LeaderEpoch = old.Epoch+1, old.LeaderEpoch+record.Epoch(node%2)
			p.ELR = slices.Clone(old.ISR)
			p.Recovering, p.MinISR, p.Flush = removed, int32(node), Flush(node%3)
			p.LastKnownELR, p.Adding, p.Removing = []record.NodeID{node + 2}, []record.NodeID{node + 1}, []record.NodeID{node}
			p.Directories = []UUID{{1, byte(node)}, LostDirectory}
		}
		return touches, []Record{&PartitionChanged{topic.ID, int32(i), p}}
	}
}

func TestSnapshotRefuses(t *testing.T) {
	t.Parallel()
	m := New()
	m.Apply(Position{3, 1}, []Record{&TopicCreated{record.TopicID{1}, "a"}})
	p := m.Snapshot()
	for i := range p {
		bad := slices.Clone(p)
		bad[i] ^= 1
		if _, err := DecodeSnapshot(bad); err == nil {
			t.Errorf("flip at %d passed", i)
		}
		if _, err := DecodeSnapshot(p[:i]); err == nil {
			t.Errorf("cut at %d passed", i)
		}
	}
}

func FuzzDecodeRecords(f *testing.F) {
	f.Add(AppendRecords(nil, specimens()))
	f.Fuzz(func(t *testing.T, p []byte) {
		records, err := DecodeRecords(p)
		if err != nil {
			return
		}
		again, err := DecodeRecords(AppendRecords(nil, records))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(records, again); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzDecodeSnapshot(f *testing.F) {
	m := New()
	m.Apply(Position{3, 1}, []Record{&TopicCreated{record.TopicID{1}, "a"}, &BrokerRegistered{ID: 1, Epoch: NoBrokerEpoch}})
	f.Add(m.Snapshot())
	f.Fuzz(func(t *testing.T, p []byte) {
		violates(func() { // a well-formed snapshot of an impossible image stops the node, as it should
			if m, err := DecodeSnapshot(p); err == nil && !bytes.Equal(m.Snapshot(), p) && len(m.Snapshot()) > len(p) {
				t.Fatalf("%d bytes grew to %d", len(p), len(m.Snapshot()))
			}
		})
	})
}

func BenchmarkImage(b *testing.B) {
	m := New()
	var records []Record
	for i := range 100 {
		id := record.TopicID{1, byte(i)}
		records = append(records, &TopicCreated{id, fmt.Sprintf("topic-%03d", i)})
		for p := range 100 {
			records = append(records, &PartitionChanged{id, int32(p), Partition{Replicas: []record.NodeID{1}, ISR: []record.NodeID{1}, Leader: 1}})
		}
	}
	m.Apply(Position{0, 1}, records)
	b.Run("snapshot of 10,000 partitions", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.SetBytes(int64(len(m.Snapshot())))
		}
	})
	b.Run("apply 10,000 partitions", func(b *testing.B) {
		for b.Loop() {
			New().Apply(Position{0, 1}, records)
		}
	})
}
