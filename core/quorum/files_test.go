package quorum

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStateRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range []savedState{
		{voters: []uint64{1}},
		{term: 7, vote: 3, commit: 1 << 40, voters: []uint64{1, 2, 300}},
		{term: 1<<31 - 1, vote: 1 << 31, voters: []uint64{1 << 31}},
	} {
		p := want.encode()
		got, err := decodeState(p)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(savedState{})); d != "" {
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

func TestCheckpointRoundTrip(t *testing.T) {
	t.Parallel()
	want := &checkpoint{index: 1234, term: 7, voters: []uint64{1, 2}, image: []byte("image")}
	p := want.encode()
	got, err := decodeCheckpoint(p)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(checkpoint{})); d != "" {
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

func FuzzDecodeState(f *testing.F) {
	f.Add(savedState{term: 7, vote: 3, commit: 9, voters: []uint64{1, 2}}.encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		if s, err := decodeState(p); err == nil && !bytes.Equal(s.encode(), p) {
			t.Errorf("%q was read as %+v", p, s)
		}
	})
}

func FuzzDecodeCheckpoint(f *testing.F) {
	f.Add((&checkpoint{index: 3, term: 2, voters: []uint64{1}, image: []byte("x")}).encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		if c, err := decodeCheckpoint(p); err == nil && !bytes.Equal(c.encode(), p) {
			t.Errorf("%q was read as %+v", p, c)
		}
	})
}
