package sim_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"lignum/core/env"
	"lignum/sim"
)

func open(t *testing.T, d env.Disk, path string, mode env.Mode) env.File {
	t.Helper()
	f, err := d.Open(path, mode)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// content is a file's whole content; "absent" if there is no such file.
func content(t *testing.T, d env.Disk, path string) string {
	t.Helper()
	f, err := d.Open(path, env.ReadOnly)
	if errors.Is(err, env.ErrNotExist) {
		return "absent"
	}
	must(t, err)
	size, err := f.Size()
	must(t, err)
	p := make([]byte, size)
	if _, err := f.ReadAt(p, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	must(t, f.Close())
	return string(p)
}

// outcomes counts what a path holds after a power cut, over many seeds.
func outcomes(t *testing.T, path string, o sim.DiskOptions, script func(d *sim.Disk)) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for seed := range uint64(300) {
		o.Seed = seed
		d := sim.NewDisk(o)
		script(d)
		d.Power()
		seen[content(t, d, path)]++
	}
	return seen
}

func fill(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

func TestPowerKeepsWhatWasSynced(t *testing.T) {
	seen := outcomes(t, "d/x", sim.DiskOptions{}, func(d *sim.Disk) {
		must(t, d.Mkdir("d"), d.SyncDir("."))
		f := open(t, d, "d/x", env.CreateNew)
		must(t, f.WriteAt(0, fill('a', 5000)), f.Truncate(3000), f.Sync(), d.SyncDir("d"))
		must(t, f.WriteAt(3000, fill('b', 3000)), f.Sync(), f.Close())
	})
	want := string(fill('a', 3000)) + string(fill('b', 3000))
	if len(seen) != 1 || seen[want] == 0 {
		t.Errorf("%d outcomes, want the synced one only", len(seen))
	}
}

func TestPowerLosesWhatWasNot(t *testing.T) {
	for name, c := range map[string]struct {
		script func(d *sim.Disk)
		want   []string
	}{
		"create": {func(d *sim.Disk) {
			f := open(t, d, "x", env.CreateNew)
			must(t, f.WriteAt(0, []byte("new")), f.Sync(), f.Close())
		}, []string{"absent", "new"}},
		"growth": {func(d *sim.Disk) {
			f := open(t, d, "x", env.CreateNew)
			must(t, d.SyncDir("."), f.WriteAt(0, []byte("new")), f.Close())
		}, []string{"", "new", "\x00\x00\x00", "n"}},
		"remove": {func(d *sim.Disk) {
			f := open(t, d, "x", env.CreateNew)
			must(t, f.WriteAt(0, []byte("old")), f.Sync(), f.Close(), d.SyncDir("."), d.Remove("x"))
		}, []string{"absent", "old"}},
		"rename over": {func(d *sim.Disk) {
			f := open(t, d, "x", env.CreateNew)
			must(t, f.WriteAt(0, []byte("old")), f.Sync(), f.Close())
			g := open(t, d, "y", env.CreateNew)
			must(t, g.WriteAt(0, []byte("new")), g.Sync(), g.Close(), d.SyncDir("."), d.Rename("y", "x"))
		}, []string{"old", "new"}},
		"rename over, content not synced": {func(d *sim.Disk) {
			f := open(t, d, "x", env.CreateNew)
			must(t, f.WriteAt(0, []byte("old")), f.Sync(), f.Close(), d.SyncDir("."))
			g := open(t, d, "y", env.CreateNew)
			must(t, g.WriteAt(0, []byte("new")), g.Close(), d.Rename("y", "x"), d.SyncDir("."))
		}, []string{"", "new", "\x00\x00\x00"}},
		"truncate": {func(d *sim.Disk) {
			f := open(t, d, "x", env.CreateNew)
			must(t, f.WriteAt(0, []byte("long")), f.Sync(), d.SyncDir("."), f.Truncate(2), f.Close())
		}, []string{"long", "lo"}},
		"truncate and append": {func(d *sim.Disk) {
			f := open(t, d, "x", env.CreateNew)
			must(t, f.WriteAt(0, []byte("long")), f.Sync(), d.SyncDir("."))
			must(t, f.Truncate(2), f.WriteAt(2, []byte("NG")), f.Close())
		}, []string{"long", "loNG", "lo"}},
		"mkdir": {func(d *sim.Disk) {
			must(t, d.Mkdir("d"))
			f := open(t, d, "x", env.CreateNew)
			must(t, f.Close(), d.SyncDir("."), d.Rename("x", "d/x"), d.SyncDir("."))
		}, []string{"absent"}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := outcomes(t, "x", sim.DiskOptions{}, c.script)
			for _, w := range c.want {
				if seen[w] == 0 {
					t.Errorf("never %q: %v", w, seen)
				}
			}
		})
	}
}

func TestRenameOverIsAtomic(t *testing.T) {
	seen := outcomes(t, "x", sim.DiskOptions{}, func(d *sim.Disk) {
		for i, s := range []string{"zero", "one", "two"} {
			f := open(t, d, "tmp", env.CreateNew)
			must(t, f.WriteAt(0, []byte(s)), f.Sync(), f.Close(), d.Rename("tmp", "x"))
			if i == 0 {
				must(t, d.SyncDir("."))
			}
		}
	})
	if len(seen) != 3 || seen["zero"] == 0 || seen["one"] == 0 || seen["two"] == 0 {
		t.Errorf("saw %v, want each of the three contents and nothing else", seen)
	}
}

func TestMoveBetweenDirectoriesLosesNothing(t *testing.T) {
	for seed := range uint64(300) {
		d := sim.NewDisk(sim.DiskOptions{Seed: seed})
		must(t, d.Mkdir("a"), d.Mkdir("b"), d.SyncDir("."))
		f := open(t, d, "a/x", env.CreateNew)
		must(t, f.WriteAt(0, []byte("data")), f.Sync(), f.Close(), d.SyncDir("a"), d.Rename("a/x", "b/x"))
		switch seed % 3 {
		case 1:
			must(t, d.SyncDir("a"))
		case 2:
			must(t, d.SyncDir("b"))
		}
		d.Power()
		a, b := content(t, d, "a/x"), content(t, d, "b/x")
		if a == "absent" && b == "absent" || seed%3 == 1 && a != "absent" || seed%3 == 2 && b == "absent" {
			t.Fatalf("seed %d: a %q b %q", seed, a, b)
		}
		must(t, d.SyncDir("a"), d.SyncDir("b"))
		d.PowerBy(sim.LoseAll())
		if content(t, d, "a/x") != a || content(t, d, "b/x") != b {
			t.Fatalf("seed %d: a second cut changed what the first had left", seed)
		}
	}
}

func TestSectorsAreIndependent(t *testing.T) {
	for _, sector := range []int64{512, 4096} {
		mixed, torn := 0, 0
		seen := outcomes(t, "x", sim.DiskOptions{SectorSize: sector}, func(d *sim.Disk) {
			f := open(t, d, "x", env.CreateNew)
			must(t, f.WriteAt(0, fill('o', 8192)), f.Sync(), d.SyncDir("."), f.WriteAt(0, fill('n', 8192)), f.Close())
		})
		for s := range seen {
			first := bytes.Repeat([]byte{s[0]}, int(sector))
			if s[:sector] != string(first) {
				torn++
			} else if bytes.Contains([]byte(s), []byte("on")) || bytes.Contains([]byte(s), []byte("no")) {
				mixed++
			}
		}
		if mixed == 0 || torn == 0 {
			t.Errorf("sector %d: %d mixed and %d torn outcomes of %d", sector, mixed, torn, len(seen))
		}
	}
}

func TestKillKeepsThePageCache(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{Seed: 3})
	f := open(t, d, "x", env.CreateNew)
	must(t, f.WriteAt(0, []byte("abc")))
	d.Kill()
	if got := content(t, d, "x"); got != "abc" {
		t.Errorf("after a kill %q", got)
	}
	if err := f.Sync(); !errors.Is(err, sim.ErrDown) {
		t.Errorf("a file of an earlier life syncs: %v", err)
	}
	d.PowerBy(sim.LoseAll())
	if got := content(t, d, "x"); got != "absent" {
		t.Errorf("a kill made it durable: %q", got)
	}
}

func TestFailedSyncLies(t *testing.T) {
	lost, shown := 0, 0
	for seed := range uint64(100) {
		d := sim.NewDisk(sim.DiskOptions{Seed: seed})
		f := open(t, d, "x", env.CreateNew)
		must(t, f.WriteAt(0, fill('a', 1024)), f.Sync(), d.SyncDir("."), f.WriteAt(0, fill('b', 1024)))
		d.Inject(func(op sim.Op) error {
			if op.Kind == sim.OpSync {
				return sim.ErrIO
			}
			return nil
		})
		if err := f.Sync(); !errors.Is(err, sim.ErrIO) {
			t.Fatal(err)
		}
		d.Inject(nil)
		must(t, f.Sync())
		before := content(t, d, "x")
		d.PowerBy(sim.KeepAll())
		after := content(t, d, "x")
		if after != string(fill('b', 1024)) {
			lost++
		}
		if before != after {
			shown++
		}
	}
	if lost < 50 || shown == 0 || shown == lost {
		t.Errorf("of 100 failed syncs %d lost data, and the cache hid it %d times", lost, shown)
	}
}

// A small commit protocol: the walk over all crash states finds that it is sound, and that it is not without its syncs.
func TestWalkVisitsEveryCrashState(t *testing.T) {
	replace := func(d *sim.Disk, syncs bool) {
		f := open(t, d, "tmp", env.CreateNew)
		must(t, f.WriteAt(0, []byte("new")))
		if syncs {
			must(t, f.Sync())
		}
		must(t, f.Close(), d.Rename("tmp", "x"))
	}
	for _, syncs := range []bool{true, false} {
		bad := map[string]bool{}
		w := &sim.Walk{}
		for w.Next() {
			d := sim.NewDisk(sim.DiskOptions{NoWriteback: true})
			f := open(t, d, "x", env.CreateNew)
			must(t, f.WriteAt(0, []byte("old")), f.Sync(), f.Close(), d.SyncDir("."))
			replace(d, syncs)
			d.PowerBy(w)
			if got := content(t, d, "x"); got != "old" && got != "new" {
				bad[got] = true
			}
		}
		if syncs != (len(bad) == 0) {
			t.Errorf("syncs %v: bad outcomes %v in %d runs", syncs, bad, w.Runs())
		}
		if w.Runs() < 4 {
			t.Errorf("only %d runs", w.Runs())
		}
	}
}

func TestCrashAtEveryCall(t *testing.T) {
	script := func(d *sim.Disk) {
		f := open(t, d, "x", env.CreateNew)
		must(t, f.WriteAt(0, fill('a', 2000)), f.Sync(), d.SyncDir("."), f.Close())
	}
	partial := false
	n := uint64(1)
	for ; ; n++ {
		d := sim.NewDisk(sim.DiskOptions{Seed: n})
		d.CrashAt(n)
		finished := d.Attempt(func() { script(d) })
		if !finished {
			if _, err := d.ReadDir("."); !errors.Is(err, sim.ErrDown) {
				t.Fatalf("call after the crash: %v", err)
			}
		}
		d.Kill()
		size := len(content(t, d, "x"))
		partial = partial || size > 10 && size < 2000
		if finished {
			break
		}
	}
	if n != 6 || !partial {
		t.Errorf("finished at %d, partial write seen: %v", n, partial)
	}
}

func TestSpace(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{Capacity: 64 << 10})
	f := open(t, d, "x", env.CreateNew)
	must(t, f.WriteAt(0, fill('a', 60<<10)))
	if err := f.WriteAt(60<<10, fill('b', 8<<10)); !errors.Is(err, env.ErrNoSpace) {
		t.Fatalf("error %v", err)
	}
	must(t, f.Truncate(4096), f.WriteAt(4096, fill('c', 60<<10)))
	g := open(t, d, "y", env.CreateNew)
	if err := g.WriteAt(0, []byte("z")); !errors.Is(err, env.ErrNoSpace) {
		t.Fatalf("error %v", err)
	}
	must(t, d.Remove("x"))
	if err := g.WriteAt(0, []byte("z")); !errors.Is(err, env.ErrNoSpace) {
		t.Fatalf("an open file gives back no room, yet: %v", err)
	}
	must(t, f.Close(), g.WriteAt(0, []byte("z")))
	d.Kill()
	if u, _ := d.Usage("."); u.FreeBytes != 60<<10 {
		t.Errorf("free %d", u.FreeBytes)
	}
}

func TestRotAndBadSector(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{})
	f := open(t, d, "x", env.CreateNew)
	must(t, f.WriteAt(0, fill('a', 2048)), f.Sync())
	d.Rot("x", 700, 1)
	if got := content(t, d, "x"); got[700] != 'a'^1 || got[699] != 'a' || got[701] != 'a' {
		t.Error("rot hit the wrong place")
	}
	d.BadSector("x", 1100)
	p := make([]byte, 2048)
	if n, err := f.ReadAt(p, 0); n != 1024 || !errors.Is(err, sim.ErrIO) {
		t.Errorf("read %d, %v", n, err)
	}
	if n, err := f.ReadAt(p[:512], 1536); n != 512 || err != nil {
		t.Errorf("read behind: %d, %v", n, err)
	}
	must(t, f.WriteAt(1024, fill('b', 512)))
	if n, err := f.ReadAt(p, 0); n != 2048 || err != nil {
		t.Errorf("read after rewrite: %d, %v", n, err)
	}
}

func TestRatesMakeCallsFail(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{Seed: 1, Rates: sim.Rates{Read: 100_000, Write: 100_000, Sync: 100_000, Close: 100_000, Space: 100_000}})
	failures := map[string]int{}
	for range 2000 {
		f, err := d.Open("x", env.Create)
		must(t, err)
		for what, err := range map[string]error{"write": f.WriteAt(0, []byte("abc")), "sync": f.Sync(), "close": f.Close()} {
			switch {
			case errors.Is(err, env.ErrNoSpace):
				failures["space"]++
			case errors.Is(err, sim.ErrIO):
				failures[what]++
			case err != nil:
				t.Fatal(err)
			}
		}
	}
	for _, what := range []string{"write", "space", "sync", "close"} {
		if n := failures[what]; n < 120 || n > 300 {
			t.Errorf("%s failed %d times of 2000", what, n)
		}
	}
	if d.Faults(sim.OpSync) != uint64(failures["sync"]) {
		t.Errorf("%d faults counted, want %d", d.Faults(sim.OpSync), failures["sync"])
	}
}

// What a failing write was about to write is there in part, at most.
func TestFailedWriteIsPartial(t *testing.T) {
	lengths := map[int]bool{}
	for seed := range uint64(100) {
		d := sim.NewDisk(sim.DiskOptions{Seed: seed})
		f := open(t, d, "x", env.Create)
		d.Inject(func(op sim.Op) error {
			if op.Kind == sim.OpWrite {
				return sim.ErrIO
			}
			return nil
		})
		if err := f.WriteAt(0, []byte("abc"), []byte("def")); !errors.Is(err, sim.ErrIO) {
			t.Fatal(err)
		}
		d.Inject(nil)
		got := content(t, d, "x")
		if got != "abcdef"[:len(got)] {
			t.Fatalf("content %q", got)
		}
		lengths[len(got)] = true
	}
	if len(lengths) != 7 {
		t.Errorf("lengths %v, want 0 to 6", lengths)
	}
}

func TestLanesKeepTheirOrder(t *testing.T) {
	mixed := false
	for seed := range uint64(20) {
		l := sim.NewLanes(seed)
		var order []int
		for i := range 20 {
			l.Start(env.Lane(i%2), func() func() {
				return func() { order = append(order, i) }
			})
		}
		l.Drain()
		last := [2]int{-1, -1}
		for k, i := range order {
			if i < last[i%2] {
				t.Fatalf("seed %d: order %v", seed, order)
			}
			last[i%2] = i
			mixed = mixed || i != k
		}
		if len(order) != 20 || l.Waiting() != 0 {
			t.Fatalf("%d of 20 ran", len(order))
		}
	}
	if !mixed {
		t.Error("lanes always took turns")
	}
}

func TestSyncAll(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{})
	must(t, d.Mkdir("d"), d.Mkdir("e"))
	f := open(t, d, "e/x", env.CreateNew)
	must(t, f.WriteAt(0, fill('a', 5000)), d.Rename("e/x", "d/x"))
	d.SyncAll()
	d.PowerBy(sim.LoseAll())
	if content(t, d, "d/x") != string(fill('a', 5000)) || content(t, d, "e/x") != "absent" {
		t.Error("not all of it is durable")
	}
}
