package journal

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"lignum/sim"
)

const dir = "journal"

// J1 to J6 under random work, kills and power cuts.
func TestRecoveryAfterRandomCrashes(t *testing.T) {
	for seed := range uint64(300) {
		w := newWorld(t, seed, tiny)
		w.open()
		for range 12 {
			w.disk.CrashAt(uint64(w.rand.Below(60)) + 1)
			w.disk.Attempt(func() {
				for range 150 {
					w.step()
				}
			})
			if w.rand.Below(3) == 0 {
				w.disk.Kill()
			} else {
				w.disk.Power()
			}
			// A crash in the middle of the recovery must not change what the next one finds.
			w.disk.CrashAt(uint64(w.rand.Below(20)) + 1)
			if w.disk.Attempt(w.open) {
				continue
			}
			w.disk.Power()
			w.open()
		}
	}
}

// Every single I/O call of a small workload as the last one, with every outcome of the power cut that a seed can draw.
func TestPowerAtEveryCall(t *testing.T) {
	work := func(w *world) {
		w.open()
		for i := range 14 {
			w.add(int64(100 + 1500*(i%4)))
			w.add(20)
			w.commit()
			w.prepare()
			if w.j.Pressing() {
				w.syncOldest()
			}
		}
		for w.commit() || w.prepare() {
		}
	}
	calls := uint64(0)
	for n := uint64(1); ; n++ {
		for seed := range uint64(6) {
			w := newWorld(t, seed, tiny)
			w.disk.CrashAt(n)
			if w.disk.Attempt(func() { work(w) }) {
				if calls = w.disk.Calls(); calls < 60 {
					t.Fatalf("only %d calls", calls)
				}
				return
			}
			w.disk.Power()
			w.open()
			w.add(9)
			w.commit()
			w.disk.Power()
			w.open()
		}
	}
}

func TestGroupTakesWhatWasQueued(t *testing.T) {
	w := newWorld(t, 1, tiny)
	w.open()
	for range 5 {
		w.add(10)
	}
	c := w.j.TakeCommit()
	if c == nil || c.First != 1 || c.Last != 5 {
		t.Fatalf("commit %+v, want 1..5", c)
	}
	w.add(10)
	if w.j.TakeCommit() != nil {
		t.Fatal("two commits in flight")
	}
	c.Run()
	if err := w.j.Committed(c); err != nil || w.j.DurableSeq() != 5 {
		t.Fatalf("durable %d, error %v; want 5", w.j.DurableSeq(), err)
	}
}

func TestFailedCommitIsFinal(t *testing.T) {
	for _, kind := range []sim.OpKind{sim.OpWrite, sim.OpSync} {
		w := newWorld(t, 1, tiny)
		w.open()
		w.add(10)
		w.disk.Inject(func(op sim.Op) error {
			if op.Kind == kind {
				return sim.ErrIO
			}
			return nil
		})
		c := w.j.TakeCommit()
		c.Run()
		if err := w.j.Committed(c); !errors.Is(err, sim.ErrIO) {
			t.Fatalf("%v: error %v", kind, err)
		}
		w.disk.Inject(nil)
		w.add(10)
		if w.j.TakeCommit() != nil || w.j.TakePrepare() != nil || w.j.DurableSeq() != 0 || w.j.Failed() == nil {
			t.Fatalf("%v: the journal went on after a failure", kind)
		}
	}
}

// A ring whose logs are synced in time settles on its files, and then never makes or names one in a commit.
func TestRecycledFilesCostOneWriteAndOneSync(t *testing.T) {
	w := newWorld(t, 1, tiny)
	w.open()
	round := func() {
		w.add(3000)
		w.commit()
		if w.j.Pressing() {
			w.syncOldest()
		}
		for w.prepare() {
		}
	}
	for range 20 {
		round()
	}
	if n := w.j.files(); n > tiny.Files {
		t.Fatalf("%d files, want at most %d", n, tiny.Files)
	}
	for range 50 {
		w.add(3000)
		before := w.disk.Calls()
		w.commit()
		if n := w.disk.Calls() - before; n != 2 {
			t.Fatalf("a commit made %d calls, want a write and a sync", n)
		}
		round()
	}
}

// An unsynced log holds its files and everything behind them; commits stop at MaxFiles and go on when it is synced.
func TestStallAtMaxFiles(t *testing.T) {
	w := newWorld(t, 1, tiny)
	w.open()
	for range 100 {
		w.add(6000)
		w.commit()
		w.prepare()
		if w.j.Stalled() {
			break
		}
	}
	if !w.j.Stalled() || w.j.files() != tiny.MaxFiles {
		t.Fatalf("stalled %v with %d files, want a stall at %d", w.j.Stalled(), w.j.files(), tiny.MaxFiles)
	}
	if w.commit() {
		t.Fatal("commit without a file")
	}
	w.syncOldest()
	for w.prepare() {
	}
	if !w.commit() || w.j.Stalled() {
		t.Fatal("no commit after the oldest file was freed")
	}
	w.open()
}

func TestDiscardAfterCleanStop(t *testing.T) {
	w := newWorld(t, 1, tiny)
	w.open()
	for range 10 {
		w.add(3000)
		w.commit()
	}
	r, err := Open(w.disk, dir, w.o, Opening{Discard: true, Salt: 9})
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := readAll(r); err != nil || len(entries) != 0 {
		t.Fatalf("%d entries, error %v, want none", len(entries), err)
	}
	w.j = New(r, w.rand)
	w.base, w.durable, w.needed = w.counter, w.counter, w.counter+1
	w.disk.Power()
	w.open()
	for range 10 {
		w.add(3000)
		w.commit()
		w.prepare()
	}
	w.disk.Power()
	w.open()
}

// TestDiscardIsCutShort: the power fails while the first start after a clean stop gives the files up, and undoes any of the renames. The next
// start needs none of them, and says of none that it is missing.
func TestDiscardIsCutShort(t *testing.T) {
	for seed := range uint64(60) {
		w := newWorld(t, seed, tiny)
		w.open()
		for range 10 {
			w.add(3000)
			w.commit()
		}
		w.disk.CrashAt(2 + seed%12)
		w.disk.Attempt(func() {
			if r, err := Open(w.disk, dir, w.o, Opening{Discard: true, Salt: 9}); err == nil {
				_, _ = readAll(r)
			}
		})
		w.disk.Power()
		w.needed, w.durable = w.counter+1, 0
		r, err := Open(w.disk, dir, w.o, Opening{Salt: 10})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if _, err := readAll(r); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestHoldsUntilTheNameIsGone: a replay at the next start would meet the entries of a log in a file that nobody needs and that has not been used again.
func TestHoldsUntilTheNameIsGone(t *testing.T) {
	w := newWorld(t, 1, tiny)
	w.open()
	rare := partition(77)
	if w.j.Holds(rare) {
		t.Fatal("holds a log that was never there")
	}
	w.counter++
	w.j.Add(Entry{Kind: Join, Log: rare})
	for range 4 {
		w.add(3000)
		w.add(3000)
		w.commit()
	}
	for w.j.Sealed() > 0 {
		if !w.j.Holds(rare) {
			t.Fatal("a file that keeps its name is forgotten already")
		}
		w.j.Safe(rare, w.j.DurableSeq())
		w.syncOldest()
	}
	if !w.j.Holds(rare) {
		t.Fatal("a file that is only idle is forgotten already")
	}
	for w.prepare() {
	}
	if w.j.Holds(rare) {
		t.Fatal("a file that is used again is remembered")
	}
	if !w.j.Holds(w.logOf(1)) && !w.j.Holds(w.logOf(2)) {
		t.Fatal("the present file is forgotten")
	}
}

// Damage to anything that was durable is reported with file and position, never taken for a torn tail (J3).
func TestDamageIsFound(t *testing.T) {
	build := func() (*world, []string) {
		w := newWorld(t, 4, tiny)
		w.open()
		for range 9 {
			w.add(3000)
			w.add(2000)
			w.commit()
		}
		entries, err := w.disk.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, dir+"/"+e.Name)
		}
		return w, names
	}
	_, names := build()
	if len(names) < 3 {
		t.Fatalf("only %d files", len(names))
	}
	type damage struct {
		name string
		do   func(*world)
		want string // in the error
	}
	var all []damage
	for i, n := range names {
		all = append(all, damage{"header of " + n, func(w *world) { w.disk.Rot(n, 17, 1) }, n + " position 0"})
		if i < len(names)-1 {
			all = append(all, damage{"first group of " + n, func(w *world) { w.disk.Rot(n, block+200, 4) }, "position"})
			all = append(all, damage{"group header in " + n, func(w *world) { w.disk.Rot(n, block+33, 4) }, "position"})
			all = append(all, damage{"unreadable " + n, func(w *world) { w.disk.BadSector(n, block+10) }, n + " position 4096"})
			all = append(all, damage{"without " + n, func(w *world) { _ = w.disk.Remove(n) }, n})
		}
	}
	for _, d := range all {
		t.Run(d.name, func(t *testing.T) {
			w, _ := build()
			d.do(w)
			r, err := Open(w.disk, dir, tiny, Opening{})
			if err == nil {
				_, err = readAll(r)
			}
			if err == nil || !strings.Contains(err.Error(), d.want) {
				t.Fatalf("error %v, want one with %q", err, d.want)
			}
			if !strings.HasPrefix(d.name, "unreadable") && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("error %v is not ErrCorrupt", err)
			}
		})
	}
}

// A bad last group is what a crash leaves; what it held was never durable.
func TestTornLastGroup(t *testing.T) {
	for _, at := range []int64{0, 60, 64, 70, 3000, 5200} {
		w := newWorld(t, 4, tiny)
		w.open()
		w.add(10)
		for w.commit() {
		}
		f, end := w.j.current(), w.j.current().end
		durable := w.durable
		w.add(4000)
		w.add(1200)
		c := w.j.TakeCommit()
		c.Run()
		w.durable = durable
		w.disk.Rot(name(dir, f.generation), end+at, 1)
		w.disk.Kill()
		w.open()
		if w.counter != durable {
			t.Fatalf("rot at %d: recovered %d entries, want %d", at, w.counter, durable)
		}
		w.add(100)
		w.commit()
		w.disk.Power()
		w.open()
	}
}

// A client's bytes that look like a group are not one, for it cannot know the salt (J2).
func TestForgedGroupInTheTail(t *testing.T) {
	w := newWorld(t, 4, tiny)
	w.open()
	forged := make([]byte, block)
	h := groupHeader{identity: identity{generation: 1, salt: 1234}, number: 2, first: 1, bytes: groupHeaderBytes}
	h.encode(forged)
	f := w.j.current()
	if err := f.handle.WriteAt(block, make([]byte, block), forged, forged); err != nil {
		t.Fatal(err)
	}
	w.disk.Kill()
	w.open()
	if w.counter != 0 {
		t.Fatalf("%d forged entries", w.counter)
	}
}

func TestKindNames(t *testing.T) {
	if s := fmt.Sprint(Append, Anchor, Kind(99)); s != "append anchor kind 99" {
		t.Fatal(s)
	}
}
