package checkpoint

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/sim"
)

func TestOffsets(t *testing.T) {
	offsets := []PartitionOffset{{"orders", 0, 12345}, {"a.b_c-d", 17, 0}, {"orders", 1, 1<<63 - 1}}
	const text = "0\n3\norders 0 12345\na.b_c-d 17 0\norders 1 9223372036854775807\n"
	sealed := string(EncodeOffsets(offsets))
	if got := strings.TrimRight(sealed, " \t\n"); got+"\n" != text || len(sealed) != len(text)+sealBits {
		t.Errorf("encoded as %q", sealed)
	}
	for _, c := range []struct {
		text string
		want []PartitionOffset
	}{
		{text, offsets},
		{sealed, offsets},
		{"", nil},
		{"0\n0\n", nil},
		{"0\r\n1\r\norders 0 5\r\n", []PartitionOffset{{"orders", 0, 5}}},
	} {
		if got, err := ParseOffsets([]byte(c.text)); err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("%q: %v, %v", c.text, got, err)
		}
	}
	for _, bad := range []string{
		"0", "0\n", "\n", "1\n0\n", "x\n0\n", "0\nx\n", "0\n-1\n", "0\n1\n", "0\n0\norders 0 5\n", "0\n2\norders 0 5\n",
		"0\n1\norders 0 5", "0\n1\norders 0\n", "0\n1\norders 0 5 6\n", "0\n1\norders x 5\n", "0\n1\norders 0 x\n", "0\n1\norders -1 5\n",
		"0\n1\norders 0 -5\n", "0\n1\norders 2147483648 5\n", "0\n1\norders 0 9223372036854775808\n", "0\n2\na 0 1\na 0 2\n", "0\n1\n\n",
		"0\n1\norders 0 5\n\n", strings.Repeat("\x00", 512),
	} {
		if got, err := ParseOffsets([]byte(bad)); !errors.Is(err, ErrCorrupt) || got != nil {
			t.Errorf("%.40q: %v, %v", bad, got, err)
		}
	}
}

func TestPartition(t *testing.T) {
	topic := record.TopicID{0xfb, 0xff, 1, 2, 3}
	p := EncodePartition(topic)
	const kafka = "version: 0\ntopic_id: -_8BAgMAAAAAAAAAAAAAAA"
	if string(p) != kafka+"\nchecksum: 740924d6" {
		t.Errorf("encoded as %q", p)
	}
	for _, good := range []string{kafka, kafka + "\n", string(p), string(p) + "\n", strings.ReplaceAll(string(p), "\n", "\r\n") + "\r\n"} {
		if got, err := ParsePartition([]byte(good)); err != nil || got != topic {
			t.Errorf("%q: %v, %v", good, got, err)
		}
	}
	for _, bad := range []string{
		"", "version: 0", string(p[:len(p)-1]), string(p) + "\nmore", "version: 1\ntopic_id: " + topic.String(), "topic_id: " + topic.String() + "\nversion: 0",
		"version: 0\ntopic_id: " + record.TopicID{}.String(), "version: 0\ntopic_id: " + strings.Repeat("+", 22), "version: 0\nid: " + topic.String(),
	} {
		if _, err := ParsePartition([]byte(bad)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCleanShutdown(t *testing.T) {
	if got := string(EncodeCleanShutdown(42)); got != `{"version":0,"brokerEpoch":42}` {
		t.Errorf("encoded as %s", got)
	}
	for text, want := range map[string]int64{
		"":                               NoBrokerEpoch,
		`{"version":0,"brokerEpoch":42}`: 42,
		`{"version":0,"brokerEpoch":-1}`: -1,
		"{ \"brokerEpoch\" : 7 ,\n \"version\": 0 }\n":            7,
		`{"version":0,"brokerEpoch":null}`:                        NoBrokerEpoch,
		`{"version":1,"reason":"asked, to","new":true,"x":1.5e3}`: NoBrokerEpoch,
		`{}`: NoBrokerEpoch,
	} {
		if got, err := ParseCleanShutdown([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, bad := range []string{
		"{", "}", "x", `{"version":0,"brokerEpoch":4`, `{"brokerEpoch":}`, `{"brokerEpoch":4x}`, `{"brokerEpoch":4,}`, `{brokerEpoch:4}`, `{"brokerEpoch" 4}`,
		`{"a":{"b":1}}`, `{"a":1 "b":2}`, `{"a\"":1}`, `{"brokerEpoch":99999999999999999999}`, "\x00\x00\x00",
	} {
		if _, err := ParseCleanShutdown([]byte(bad)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestMeta(t *testing.T) {
	m := Meta{ClusterID: "Some5Cluster_Id-12345w", NodeID: 3, Directory: DirectoryID{1}}
	text := string(EncodeMeta(m))
	if text != "#checksum=6173b9be\nnode.id=3\ndirectory.id=AQAAAAAAAAAAAAAAAAAAAA\nversion=1\ncluster.id=Some5Cluster_Id-12345w\n" {
		t.Errorf("encoded as %q", text)
	}
	kafka := "#\r\n#Sat Oct 26 12:00:00 UTC 2024\r\nnode.id=3\r\ndirectory.id: AQAAAAAAAAAAAAAAAAAAAA\r\n  version = 1\r\ncluster.id Some5Cluster_Id-12345w\r\nother=x"
	for _, good := range []string{text, kafka} {
		if got, err := ParseMeta([]byte(good)); err != nil || got != m {
			t.Errorf("%q: %+v, %v", good, got, err)
		}
	}
	m.Quorum = DirectoryID{2}
	if again, err := ParseMeta(EncodeMeta(m)); err != nil || again != m {
		t.Errorf("%+v, %v", again, err)
	}
	without := Meta{ClusterID: "c", NodeID: 0}
	if got, err := ParseMeta(EncodeMeta(without)); err != nil || got != without {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{
		"", "version=1\ncluster.id=c\n", "version=1\nnode.id=1\n", "node.id=1\ncluster.id=c\n", "version=0\nbroker.id=1\ncluster.id=c\n",
		"version=2\nnode.id=1\ncluster.id=c\n", "version=1\nnode.id=x\ncluster.id=c\n", "version=1\nnode.id=-1\ncluster.id=c\n", "version=1\nnode.id=1\ncluster.id=\n",
		text + "version=1\n", "version=1\nnode.id=1\ncluster.id=c\\\n", "version=1\nnode.id=1\ncluster.id=c\\u12\n", "version=1\nnode.id=1\ncluster.id=c\ndirectory.id=short\n",
		strings.Repeat("\x00", 100),
	} {
		if _, err := ParseMeta([]byte(bad)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestMetaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Meta{
			ClusterID: rapid.StringN(1, 40, -1).Draw(t, "cluster"),
			NodeID:    record.NodeID(rapid.Int32Range(0, 1<<31-1).Draw(t, "node")),
		}
		copy(m.Directory[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "directory"))
		if got, err := ParseMeta(EncodeMeta(m)); err != nil || got != m {
			t.Fatalf("%+v came back as %+v, %v", m, got, err)
		}
	})
}

// A crash in any call of Write leaves the old content or the new, and the next Write works.
func TestWriteIsAtomic(t *testing.T) {
	old, fresh := bytes.Repeat([]byte("old "), 1000), bytes.Repeat([]byte("new"), 900)
	for seed := range uint64(40) {
		for call := uint64(1); ; call++ {
			d := sim.NewDisk(sim.DiskOptions{Seed: seed})
			mustDo(t, d.Mkdir("dir"))
			mustDo(t, d.SyncDir("."))
			mustDo(t, Write(d, "dir", "file", old))
			d.CrashAt(call)
			finished := d.Attempt(func() { mustDo(t, Write(d, "dir", "file", fresh)) })
			d.Power()
			got, err := Read(d, "dir", "file")
			if err != nil || (finished && !bytes.Equal(got, fresh)) || (!bytes.Equal(got, old) && !bytes.Equal(got, fresh)) {
				t.Fatalf("seed %d, crash in call %d: %d bytes, %v", seed, call, len(got), err)
			}
			mustDo(t, Write(d, "dir", "file", old))
			if got, err := Read(d, "dir", "file"); err != nil || !bytes.Equal(got, old) {
				t.Fatalf("seed %d, crash in call %d: then %d bytes, %v", seed, call, len(got), err)
			}
			if finished {
				break
			}
		}
	}
}

func TestRemove(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{})
	mustDo(t, Write(d, "", "file", nil))
	if p, err := Read(d, "", "file"); err != nil || len(p) != 0 {
		t.Errorf("%q, %v", p, err)
	}
	mustDo(t, Remove(d, "", "file"))
	mustDo(t, Remove(d, "", "file"))
	d.Power()
	if _, err := Read(d, "", "file"); !errors.Is(err, env.ErrNotExist) {
		t.Error(err)
	}
}

// Every failing call is reported, and none but the rename lets go of the old content.
func TestWriteReportsFaults(t *testing.T) {
	for _, kind := range []sim.OpKind{sim.OpOpen, sim.OpTruncate, sim.OpWrite, sim.OpSync, sim.OpClose, sim.OpRename, sim.OpSyncDir} {
		d := sim.NewDisk(sim.DiskOptions{})
		mustDo(t, Write(d, "", "file", []byte("old")))
		d.Inject(func(op sim.Op) error {
			if op.Kind == kind {
				return errors.ErrUnsupported
			}
			return nil
		})
		if err := Write(d, "", "file", []byte("new")); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%v failed: %v", kind, err)
		}
		d.Inject(nil)
		if got, err := Read(d, "", "file"); err != nil || (string(got) != "old" && kind != sim.OpSyncDir) {
			t.Errorf("%v failed: %q, %v", kind, got, err)
		}
	}
}

func mustDo(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzParseOffsets(f *testing.F) {
	f.Add([]byte("0\n2\norders 0 5\norders 1 7\n"))
	f.Add([]byte("0\n1\norders 0 5"))
	f.Fuzz(func(t *testing.T, p []byte) {
		all, err := ParseOffsets(p)
		if err != nil {
			return
		}
		if again, err := ParseOffsets(EncodeOffsets(all)); err != nil || !cmp.Equal(all, again) {
			t.Fatalf("%v came back as %v, %v", all, again, err)
		}
	})
}

func FuzzParsePartition(f *testing.F) {
	f.Add(EncodePartition(record.TopicID{1}))
	f.Fuzz(func(t *testing.T, p []byte) {
		topic, err := ParsePartition(p)
		if err != nil {
			return
		}
		if again, err := ParsePartition(EncodePartition(topic)); err != nil || again != topic {
			t.Fatalf("%v came back as %v, %v", topic, again, err)
		}
	})
}

func FuzzParseCleanShutdown(f *testing.F) {
	f.Add(EncodeCleanShutdown(5))
	f.Add([]byte(`{"a" : "b", "brokerEpoch":null}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		epoch, err := ParseCleanShutdown(p)
		if err != nil {
			return
		}
		if again, err := ParseCleanShutdown(EncodeCleanShutdown(epoch)); err != nil || again != epoch {
			t.Fatalf("%v came back as %v, %v", epoch, again, err)
		}
	})
}

func FuzzParseMeta(f *testing.F) {
	f.Add(EncodeMeta(Meta{ClusterID: "a:b =c\\", NodeID: 1, Directory: DirectoryID{1}}))
	f.Add([]byte("!x\nversion : 1\ncluster.id=\\u0041\nnode.id 3"))
	f.Fuzz(func(t *testing.T, p []byte) {
		m, err := ParseMeta(p)
		if err != nil || strings.ToValidUTF8(m.ClusterID, "") != m.ClusterID {
			return
		}
		if again, err := ParseMeta(EncodeMeta(m)); err != nil || again != m {
			t.Fatalf("%+v came back as %+v, %v", m, again, err)
		}
	})
}

// TestRot: whichever bit of a small file rots, it is found, or makes no difference (L7).
func TestRot(t *testing.T) {
	offsets := []PartitionOffset{{"a", 1, 12345}, {"b", 0, 70}}
	topic := record.TopicID{0xfb, 0xff, 1, 2, 3}
	meta := Meta{ClusterID: "Some5Cluster_Id-12345w", NodeID: 3, Directory: DirectoryID{1}}
	for _, f := range []struct {
		name string
		p    []byte
		same func(p []byte) (bool, error)
	}{
		{"offsets", EncodeOffsets(offsets), func(p []byte) (bool, error) { got, err := ParseOffsets(p); return cmp.Equal(got, offsets), err }},
		{"partition", EncodePartition(topic), func(p []byte) (bool, error) { got, err := ParsePartition(p); return got == topic, err }},
		{"meta", EncodeMeta(meta), func(p []byte) (bool, error) { got, err := ParseMeta(p); return got == meta, err }},
	} {
		for bit := range len(f.p) * 8 {
			p := append([]byte(nil), f.p...)
			p[bit/8] ^= 1 << (bit % 8)
			if same, err := f.same(p); !same && !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: bit %d of byte %d rots, and the file is read as %q: %v", f.name, bit%8, bit/8, p, err)
			}
		}
	}
}
