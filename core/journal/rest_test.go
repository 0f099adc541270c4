package journal

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/sim"
)

// restOf reads a rest file to its end.
func restOf(d env.Disk, path string) (text string, err error) {
	r, err := OpenRest(d, path)
	if err != nil {
		return "", err
	}
	defer r.Close()
	for {
		entries, err := r.Read()
		if errors.Is(err, io.EOF) {
			return text, nil
		}
		if err != nil {
			return text, err
		}
		for _, e := range entries {
			text += fmt.Sprintf("%v %d %q;", e.Kind, e.Offset, e.Data)
		}
	}
}

// writeRest writes a rest file of two groups.
func writeRest(d env.Disk) error {
	w, err := NewRest(d, "a.rest", Place{3, 7})
	if err != nil {
		return err
	}
	defer w.Close()
	id := record.Partition{Topic: record.TopicID{1}, Index: 2}
	for n := range record.Offset(2) {
		entries := []Entry{
			{Kind: Truncate, Log: id, Offset: n}, {Kind: Append, Log: id, Offset: n, Data: [][]byte{make([]byte, 5000), []byte("x")}},
		}
		if err := w.Add(entries); err != nil {
			return err
		}
	}
	return w.Finish()
}

// TestRest: a rest file is there as a whole or not at all, and what the medium does to it is found.
func TestRest(t *testing.T) {
	want := ""
	finished := false
	for n := uint64(1); !finished; n++ {
		d := sim.NewDisk(sim.DiskOptions{Seed: n})
		d.CrashAt(n)
		finished = d.Attempt(func() {
			if err := writeRest(d); err != nil {
				t.Error(err)
			}
		})
		d.Power()
		text, err := restOf(d, "a.rest")
		switch {
		case err == nil && want == "":
			want = text
		case err == nil && text != want, err != nil && (finished || !errors.Is(err, env.ErrNotExist)):
			t.Fatalf("crash in call %d: %v, %q", n, err, text)
		}
	}
	for at := int64(0); at < 4096*5; at += 97 {
		d := sim.NewDisk(sim.DiskOptions{})
		if err := writeRest(d); err != nil {
			t.Fatal(err)
		}
		d.Rot("a.rest", at, 0x10)
		if text, err := restOf(d, "a.rest"); err == nil && text != want || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("rot at %d: %v, %q", at, err, text)
		}
		d.BadSector("a.rest", at)
		if text, err := restOf(d, "a.rest"); err == nil && text != want || err != nil && !errors.Is(err, env.ErrUnreadable) && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("bad sector at %d: %v, %q", at, err, text)
		}
	}
}
