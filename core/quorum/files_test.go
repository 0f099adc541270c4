package quorum

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStateRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range []savedState{
		{},
		{voters: []uint64{1}},
		{self: 1, term: 7, vote: 3, commit: 1 << 40, voters: []uint64{1, 2, 300}, noted: []note{{0, Directory{1}}, {1<<31 - 1, Directory{15: 2}}}},
		{self: 5<<32 | 1, term: 1<<31 - 1, vote: 7<<32 | 1<<31, voters: []uint64{1 << 31}},
	} {
		p := want.encode()
		got, err := decodeState(p)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(savedState{}, note{})); d != "" {
			t.Error(d)
		}
		for i := range p {
			bad := slices.Clone(p)
			bad[i] ^= 1
			if got, err := decodeState(bad); err == nil {
				t.Errorf("%q was read as %+v", bad, got)
			}
			if _, err := decodeState(p[:i]); err == nil {
				t.Errorf("%q was read", p[:i])
			}
		}
	}
}

// A single broker of the first release wrote this.
func TestFirstVersionOfState(t *testing.T) {
	t.Parallel()
	got, err := decodeState([]byte("version=0\nterm=7\nvote=2\ncommit=41\nvoters=2\ncrc=113308bd\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := savedState{self: 3, term: 7, vote: 3, commit: 41, voters: []uint64{3}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(savedState{}, note{})); d != "" {
		t.Error(d)
	}
}

// firstCheckpoint is a checkpoint of the first release: index 9, term 2, the voter with raft's id 3.
const firstCheckpoint = "LGQC\x00" + "\x00\x00\x00\x00\x00\x00\x00\x09" + "\x00\x00\x00\x00\x00\x00\x00\x02" +
	"\x00\x00\x00\x01" + "\x00\x00\x00\x00\x00\x00\x00\x03" + "\x00\x00\x00\x00\x00\x00\x00\x05" + "image"

func TestFirstVersionOfCheckpoint(t *testing.T) {
	t.Parallel()
	p := binary.BigEndian.AppendUint32([]byte(firstCheckpoint), crc32.Checksum([]byte(firstCheckpoint), castagnoli))
	got, err := decodeCheckpoint(p)
	if err != nil {
		t.Fatal(err)
	}
	want := &checkpoint{index: 9, term: 2, members: members{list: []member{{id: 3}}}, image: []byte("image")}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(checkpoint{}, members{}, member{})); d != "" {
		t.Error(d)
	}
}

func TestCheckpointRoundTrip(t *testing.T) {
	t.Parallel()
	want := &checkpoint{index: 1234, term: 7, members: someMembers(), image: []byte("image")}
	p := want.encode()
	got, err := decodeCheckpoint(p)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(checkpoint{}, members{}, member{})); d != "" {
		t.Error(d)
	}
	if name := want.name(); name != "00000000000000001234-0000000007.checkpoint" {
		t.Error(name)
	}
	if index, ok := parseCheckpointName(want.name()); index != 1234 || !ok {
		t.Errorf("index %d, %v", index, ok)
	}
	for _, name := range []string{"leader-epoch-checkpoint", "1.checkpoint", "0000000000000000123x-0000000007.checkpoint", "00000000000000001234.log"} {
		if _, ok := parseCheckpointName(name); ok {
			t.Errorf("%s is taken for a checkpoint", name)
		}
	}
	for i := range p {
		bad := slices.Clone(p)
		bad[i] ^= 1
		if _, err := decodeCheckpoint(bad); err == nil {
			t.Errorf("flip at %d passed", i)
		}
		if _, err := decodeCheckpoint(p[:i]); err == nil {
			t.Errorf("cut at %d passed", i)
		}
	}
}

func someMembers() members {
	return members{generation: 4, list: []member{
		{id: 1, directory: Directory{1}, address: "a:1"}, {id: 2}, {id: 4<<32 | 3, learner: true, directory: Directory{3}, address: "c:3"},
	}}
}

func FuzzDecodeState(f *testing.F) {
	s := savedState{self: 1, term: 7, vote: 3, commit: 9, voters: []uint64{1, 2}, noted: []note{{2, Directory{2}}}}
	f.Add(s.encode())
	s.vote = 0
	f.Add(s.encodeFirst())
	f.Fuzz(func(t *testing.T, p []byte) {
		if s, err := decodeState(p); err == nil && !bytes.Equal(s.encode(), p) && !bytes.Equal(s.encodeFirst(), p) {
			t.Errorf("%q was read as %+v", p, s)
		}
	})
}

func FuzzDecodeCheckpoint(f *testing.F) {
	f.Add((&checkpoint{index: 3, term: 2, members: someMembers(), image: []byte("x")}).encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		if c, err := decodeCheckpoint(p); err == nil && p[4] == checkpointVersion && !bytes.Equal(c.encode(), p) {
			t.Errorf("%q was read as %+v", p, c)
		}
	})
}
