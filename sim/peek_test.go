package sim_test

import (
	"bytes"
	"fmt"
	"testing"

	"lignum/core/env"
	"lignum/sim"
)

// TestWatchKnowsFiles: two files that were opened under one name are told apart.
func TestWatchKnowsFiles(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{Seed: 1})
	var files []any
	d.Watch(func(op sim.Op, _ error) {
		if op.Kind == sim.OpWrite {
			files = append(files, op.File())
		}
	})
	open := func() env.File {
		f, err := d.Open("new", env.Create)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	write := func(f env.File) {
		if err := f.WriteAt(0, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	first := open()
	write(first)
	if err := d.Rename("new", "old"); err != nil {
		t.Fatal(err)
	}
	second := open()
	write(second)
	write(first)
	if len(files) != 3 || files[0] == nil || files[0] == files[1] || files[0] != files[2] {
		t.Errorf("writes to %v", files)
	}
}

// TestPeekedPartsAreOfTheWhole: what Find and PeekFrom say of a part of a file is what Peek has of all of it, in both layers; and a file that was not rewritten since
// an edition still begins with what it was.
func TestPeekedPartsAreOfTheWhole(t *testing.T) {
	d, r := sim.NewDisk(sim.DiskOptions{Seed: 1}), sim.NewStream(1, sim.DomainUser, 0)
	f, err := d.Open("f", env.Create)
	if err == nil {
		err = d.SyncDir(".")
	}
	if err != nil {
		t.Fatal(err)
	}
	var before []byte
	var edition uint64
	kept := 0
	for step := range 3000 {
		size, _ := f.Size()
		switch r.Below(12) {
		case 0:
			err = f.Sync()
		case 1:
			err = f.Truncate(r.Below(size + 5000))
		case 2, 3:
			p := bytes.Repeat([]byte{byte(r.Below(3))}, 1+int(r.Below(6000)))
			err = f.WriteAt(r.Below(size+1), p)
		default:
			err = f.WriteAt(size, []byte(fmt.Sprint(step)))
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []sim.Layer{sim.Cached, sim.Durable} {
			whole, _ := d.Peek(l, "f", nil)
			from := r.Below(int64(len(whole)) + 1)
			if part, ok := d.PeekFrom(l, "f", from, []byte("x")); !ok || string(part) != "x"+string(whole[from:]) {
				t.Fatalf("step %d: from %d on there are %d bytes of %d", step, from, len(part), len(whole))
			}
			at := r.Below(int64(len(whole)) + 1)
			want := append([]byte{byte(r.Below(2))}, whole[at:min(at+r.Below(9000), int64(len(whole)))]...)
			if len(want) > 1 {
				want = want[r.Below(2):]
			}
			expected := int64(bytes.Index(whole[from:], want))
			if expected >= 0 {
				expected += from
			}
			if got, _ := d.Find(l, "f", from, want); got != expected {
				t.Fatalf("step %d: %d bytes from %d on are found at %d, they are at %d of %d", step, len(want), from, got, expected, len(whole))
			}
		}
		now, _ := d.Peek(sim.Cached, "f", nil)
		e := d.Editions(".", nil)[0]
		if e.Rewritten <= edition {
			kept++
			if !bytes.HasPrefix(now, before) || e.Changed == edition && len(now) != len(before) {
				t.Fatalf("step %d: the file is another one, and its edition says nothing of it", step)
			}
		}
		before, edition = now, e.Changed
	}
	if kept < 1000 {
		t.Errorf("it was kept in %d steps", kept)
	}
}

// TestPagesOfForgottenFiles: a file that has no name any more gives its pages to others, but not while it is open, or while a power cut could bring it back.
func TestPagesOfForgottenFiles(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{Seed: 1})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fill := func(path string, c byte) env.File {
		f, err := d.Open(path, env.Create)
		must(err)
		must(f.WriteAt(0, bytes.Repeat([]byte{c}, 10000)))
		must(f.Sync())
		return f
	}
	full := func(p []byte, c byte) {
		t.Helper()
		if len(p) != 10000 || bytes.Count(p, []byte{c}) != len(p) {
			t.Errorf("%d bytes, %d of them %q", len(p), bytes.Count(p, []byte{c}), c)
		}
	}
	a, b := fill("a", 'a'), fill("b", 'b')
	must(b.Close())
	must(d.SyncDir("."))
	must(d.Remove("a"))
	must(d.SyncDir("."))
	must(d.Remove("b"))
	must(fill("c", 'c').Close())
	p := make([]byte, 10000)
	_, err := a.ReadAt(p, 0)
	must(err)
	full(p, 'a')
	must(a.Close())
	must(fill("d", 'd').Close())
	d.PowerBy(sim.LoseAll())
	p, _ = d.Peek(sim.Cached, "b", p[:0])
	full(p, 'b')
}

// TestUnsynced: what a file holds, and its name, are two things that a power cut can take.
func TestUnsynced(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{Seed: 1, NoWriteback: true})
	f := open(t, d, "x", env.CreateNew)
	look := func(when string, unsynced, dirty bool) {
		t.Helper()
		if d.Unsynced("x") != unsynced || d.Dirty("x") != dirty {
			t.Errorf("%s: unsynced %v, dirty %v", when, d.Unsynced("x"), d.Dirty("x"))
		}
	}
	look("empty", false, true)
	must(t, f.WriteAt(0, fill('a', 600)))
	look("written", true, true)
	must(t, f.Sync())
	look("synced", false, true)
	must(t, d.SyncDir("."))
	look("named", false, false)
	must(t, f.WriteAt(600, fill('b', 1)))
	look("written again", true, true)
	must(t, d.Remove("x"))
	look("gone", false, false)
}
