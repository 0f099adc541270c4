package group

import (
	"bytes"
	"testing"

	"lignum/core/coordinator"
	"lignum/core/record"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// TestRecordsAgainstKmsg: what is written is what the protocol's own schemas say, and what they write is read.
func TestRecordsAgainstKmsg(t *testing.T) {
	text := rapid.StringN(0, 5, 30)
	t.Run("offset", rapid.MakeCheck(func(t *rapid.T) {
		c := Committed{
			Partition: rapid.Int32().Draw(t, "partition"), Offset: record.Offset(rapid.Int64().Draw(t, "offset")), LeaderEpoch: 7,
			Metadata: text.Draw(t, "metadata"), committed: rapid.Int64().Draw(t, "committed"), expires: noExpiry,
		}
		switch rapid.IntRange(0, 2).Draw(t, "version") {
		case 1:
			c.expires, c.LeaderEpoch = rapid.Int64Range(0, 1<<60).Draw(t, "expires"), record.NoEpoch
		case 2:
			c.Topic = record.TopicID{1, 2, 3}
		}
		r := offsetRecord("g", "t", &c)
		k := kmsg.NewOffsetCommitKey()
		v := kmsg.NewOffsetCommitValue()
		if err := k.ReadFrom(r.Key); err != nil || k.Version != 1 || k.Group != "g" || k.Topic != "t" || k.Partition != c.Partition {
			t.Fatalf("key %+v: %v", k, err)
		}
		if err := v.ReadFrom(r.Value); err != nil || v.Offset != int64(c.Offset) || v.Metadata != c.Metadata || v.CommitTimestamp != c.committed || v.TopicID != c.Topic {
			t.Fatalf("value %+v: %v", v, err)
		}
		if again := v.AppendTo(nil); !bytes.Equal(again, r.Value) {
			t.Fatalf("got  %x\nwant %x", r.Value, again)
		}
		got, err := decodeOffset(r.Value)
		if got.Partition = c.Partition; err != nil || got != c {
			t.Fatalf("read %+v, want %+v: %v", got, c, err)
		}
	}))
	t.Run("old offsets", func(t *testing.T) {
		for version := range int16(5) {
			v := kmsg.OffsetCommitValue{Version: version, Offset: 1, LeaderEpoch: 2, Metadata: "m", CommitTimestamp: 3, ExpireTimestamp: 4}
			c, err := decodeOffset(v.AppendTo(nil))
			if err != nil || c.Offset != 1 || c.Metadata != "m" || c.committed != 3 || (c.expires == 4) != (version == 1) {
				t.Errorf("version %d: %+v %v", version, c, err)
			}
		}
	})
	t.Run("classic", func(t *testing.T) {
		c := classicRecord{protocolType: consumerType, generation: 3, protocol: "range", leader: "a", since: 9, members: []classicMemberRecord{
			{id: "a", instance: "i", clientID: "c", host: "/h", rebalanceTimeout: 1, sessionTimeout: 2, subscription: []byte{3}, assignment: []byte{}},
			{id: "b", subscription: []byte{}, assignment: []byte{5}},
		}}
		v := kmsg.NewGroupMetadataValue()
		if err := v.ReadFrom(c.encode()); err != nil {
			t.Fatal(err)
		}
		if again := v.AppendTo(nil); !bytes.Equal(again, c.encode()) {
			t.Errorf("got  %x\nwant %x", c.encode(), again)
		}
		for version := range int16(5) {
			v.Version = version
			got, err := decodeClassic(v.AppendTo(nil))
			if err != nil || len(got.members) != 2 || got.members[0].id != "a" || got.leader != "a" {
				t.Errorf("version %d: %+v %v", version, got, err)
			}
		}
		if got, err := decodeClassic(c.encode()); err != nil || cmp.Diff(c, got, cmp.AllowUnexported(classicRecord{}, classicMemberRecord{})) != "" {
			t.Errorf("read %+v: %v", got, err)
		}
	})
}

// TestConsumerRecords: what is written is read again.
func TestConsumerRecords(t *testing.T) {
	f := facts{instance: "i", rack: "r", clientID: "c", host: "/h", topics: []string{"t", "u"}, regex: "x", assignor: "range", rebalanceTimeout: 5}
	f.classic = &classicFacts{sessionTimeout: 6, protocols: []Protocol{{"range", []byte{1}}, {"rr", []byte{}}}}
	all := cmp.AllowUnexported(facts{}, classicFacts{}, current{})
	if got, err := decodeFacts(f.encode()); err != nil || cmp.Diff(f, got, all) != "" {
		t.Errorf("facts: %s %v", cmp.Diff(f, got, all), err)
	}
	c := current{epoch: 4, previous: 3, state: unrevoked, assigned: of(1, 0, 2), revoking: append(of(1, 1), of(2, 0)...)}
	if got, err := decodeCurrent(currentRecord("g", "m", &c).Value); err != nil || cmp.Diff(c, got, all) != "" {
		t.Errorf("current: %s %v", cmp.Diff(c, got, all), err)
	}
	if got, err := decodeTarget(targetRecord("g", "m", of(1, 5)).Value); err != nil || len(got) != 1 {
		t.Errorf("target: %v %v", got, err)
	}
	if epoch, hash, err := decodeEpoch(epochRecord("g", 8, 9).Value); err != nil || epoch != 8 || hash != 9 {
		t.Errorf("epoch: %d %d %v", epoch, hash, err)
	}
	if got, err := decodeRegex(regexRecord("g", "x", []string{"a"}, 1, 2).Value); err != nil || len(got) != 1 {
		t.Errorf("regex: %v %v", got, err)
	}
	for _, k := range []key{
		{version: keyOffset, group: "g", name: "t", partition: 1}, {version: keyClassic, group: "g"}, {version: keyConsumerMember, group: "g", name: "m"},
		{version: keyRegex, group: "g", name: "x"}, {version: keyTargetEpoch, group: "g"},
	} {
		if got, known, err := decodeKey(k.encode()); err != nil || !known || got != k {
			t.Errorf("key %+v: %+v %v %v", k, got, known, err)
		}
	}
}

// FuzzReplay: whatever the topic holds, a shard reads it without harm.
func FuzzReplay(f *testing.F) {
	c := Committed{Offset: 1, expires: noExpiry}
	for _, r := range []coordinator.Record{
		offsetRecord("g", "t", &c), targetRecord("g", "m", of(1, 5)), currentRecord("g", "m", &current{assigned: of(1, 1)}), epochRecord("g", 8, 9),
		memberRecord("g", "m", &facts{topics: []string{"t"}, classic: &classicFacts{}}), tombstone(key{version: keyConsumerEpoch, group: "g"}),
		{Key: key{version: keyClassic, group: "g"}.encode(), Value: (&classicRecord{members: []classicMemberRecord{{id: "a"}}}).encode()},
	} {
		f.Add(r.Key, r.Value, r.Value == nil)
	}
	f.Fuzz(func(t *testing.T, k, v []byte, null bool) {
		w := newWorld(t)
		s, _ := w.groups.Find("g")
		if null {
			v = nil
		}
		for range 2 {
			s.Replay(coordinator.Position{Offset: 1, Producer: record.NoProducer}, coordinator.Record{Key: k, Value: v})
		}
		s.Loaded()
	})
}
