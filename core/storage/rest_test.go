package storage

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/sim"
)

// blindTo has reads of some paths fail until the next Inject.
func (w *world) blindTo(prefixes ...string) {
	w.disk.Inject(func(op sim.Op) error {
		hit := func(prefix string) bool { return strings.HasPrefix(op.Path, prefix) }
		if op.Kind == sim.OpRead && slices.ContainsFunc(prefixes, hit) {
			return sim.ErrIO
		}
		return nil
	})
}

// unreadableWorld has records in the journal alone, on a disk that has just lost its power.
func unreadableWorld(t *testing.T) (w *world, bad, good *model) {
	w = settledWorld(t, config.Sync, config.Sync)
	w.blinds = true
	bad, good = w.models[0], w.models[1]
	for range 2 {
		for _, m := range w.models {
			w.add(m)
		}
		w.settle()
	}
	if bad.log.RecoveryPoint() > 0 || bad.log.SafeEnd() < record.Offset(len(bad.values)) {
		t.Fatal("nothing is in the journal alone")
	}
	w.disk.PowerBy(sim.LoseAll())
	w.boot()
	w.verify(false)
	for range 3 { // an empty file has nothing that cannot be read; the first one may be synced by the way
		w.add(bad)
		w.settle()
	}
	w.disk.Kill()
	return w, bad, good
}

// add appends a small batch.
func (w *world) add(m *model) {
	w.counter++
	b := batchOf(w.counter, 1, 50, m.log.EndOffset(), m)
	if err := m.log.AppendAt(b, commitlog.AppendInfo{}); err != nil {
		w.fatalf("%v", err)
	}
	m.values = append(m.values, valuesOf(b)...)
}

// restNames lists the rest files.
func (w *world) restNames() (names []string) {
	entries, err := w.disk.ReadDir(rootDir)
	if err != nil {
		w.fatalf("%v", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name, restSuffix) {
			names = append(names, e.Name)
		}
	}
	return names
}

// back takes the partitions into the books again that could not be read.
func (w *world) back() {
	w.models = append(w.models, w.blind...)
	w.blind = nil
}

// TestUnreadableLog: of a partition one file cannot be read at a start. It is left out, the others go on, long enough for the journal to have
// forgotten all that it had of it, and when the file can be read again nothing is missing.
func TestUnreadableLog(t *testing.T) {
	for _, file := range []string{"/00000000000000000000.log", "/partition.metadata"} {
		for _, again := range []string{"", "power", "kill", "stop"} {
			t.Run(file[1:]+" "+again, func(t *testing.T) {
				w, bad, good := unreadableWorld(t)
				dir := bad.log.Dir()
				w.blindTo(dir + file)
				w.boot()
				w.verify(false)
				if len(w.blind) != 1 || len(w.restNames()) != 1 {
					t.Fatalf("%d partitions cannot be read, and there are %v", len(w.blind), w.restNames())
				}
				w.work(good)
				switch again {
				case "stop":
					w.stop()
					w.disk.Kill()
				case "kill":
					w.disk.Kill()
				case "power":
					w.disk.PowerBy(sim.LoseAll())
				}
				if again != "" {
					w.boot() // is as blind
					w.verify(false)
					w.work(good)
				}
				w.disk.Inject(nil)
				w.disk.PowerBy(sim.LoseAll())
				w.back()
				for range 2 { // nor is it when the power goes before anything was synced
					w.boot()
					w.verify(false)
					if len(w.restNames()) != 1 {
						t.Fatalf("there are %v", w.restNames())
					}
					w.disk.PowerBy(sim.LoseAll())
				}
				w.boot()
				w.verify(false)
				w.settle()
				w.work(bad)
				if len(w.restNames()) > 0 {
					t.Fatalf("there are %v still", w.restNames())
				}
				w.disk.PowerBy(sim.LoseAll())
				w.boot()
				w.verify(false)
			})
		}
	}
}

// TestUnreadableLogEnds: a partition that is deleted or set aside while it cannot be read does not come back, and leaves nothing.
func TestUnreadableLogEnds(t *testing.T) {
	for _, aside := range []bool{false, true} {
		for _, early := range []bool{false, true} { // the crash comes before the directory has another name
			w, bad, _ := unreadableWorld(t)
			w.blindTo(bad.log.Dir() + "/0")
			w.boot()
			w.verify(false)
			ended := func(err error) {
				if err != nil && !early {
					t.Error(err)
				}
			}
			if aside {
				w.store.SetAside(bad.id, func(_ string, err error) { ended(err) })
			} else {
				w.store.Delete(bad.id, ended)
			}
			if early {
				w.disk.Attempt(func() {
					w.disk.Watch(func(op sim.Op, _ error) {
						if op.Kind == sim.OpSync && strings.HasPrefix(op.Path, "journal/") {
							w.disk.CrashAt(1)
						}
					})
					w.settle()
				})
				w.disk.Watch(nil)
			} else {
				w.settle()
			}
			w.disk.PowerBy(sim.LoseAll())
			w.boot() // as blind as before
			w.blind = nil
			w.verify(false)
			w.settle()
			w.clock.Advance(time.Minute)
			w.store.Tick()
			w.settle()
			if len(w.restNames()) > 0 || w.store.Log(bad.id) != nil || len(w.store.Offline()) > 0 {
				t.Errorf("aside %v, early %v: there are %v, log %v, offline %v", aside, early, w.restNames(), w.store.Log(bad.id), w.store.Offline())
			}
		}
	}
}

// TestNamedByItsDirectory: a directory that does not say whose it is any more can be set aside by its name. If the partition of that name is deleted, it is
// kept all the same: it may be another's.
func TestNamedByItsDirectory(t *testing.T) {
	for _, aside := range []bool{false, true} {
		w, bad, good := unreadableWorld(t)
		dir, topic := bad.log.Dir(), bad.log.Topic()
		w.blindTo(dir + "/partition.metadata")
		w.boot()
		w.verify(false)
		w.store.Identify(good.id, good.log.Topic())
		w.store.Identify(bad.id, topic)
		if off := w.store.Offline(); len(off) != 1 || off[0].ID != bad.id || off[0].Dir != dir || !errors.Is(off[0].Err, env.ErrUnreadable) {
			t.Fatalf("%+v", off)
		}
		ended := 0
		if aside {
			w.store.SetAside(bad.id, func(_ string, err error) { ended++ })
		} else {
			w.store.Delete(bad.id, func(error) { ended++ })
		}
		w.settle()
		w.clock.Advance(time.Minute)
		w.store.Tick()
		w.settle()
		w.blind = nil
		kept := ""
		entries, err := w.disk.ReadDir(rootDir)
		for _, e := range entries {
			if strings.HasPrefix(e.Name, dir+".") && strings.HasSuffix(e.Name, straySuffix) {
				kept = e.Name
			}
		}
		if err != nil || ended != 1 || kept == "" || len(w.restNames()) > 0 || len(w.store.Offline()) > 0 {
			t.Fatalf("aside %v: %v, ended %d, kept %q, there are %v, offline %v", aside, err, ended, kept, w.restNames(), w.store.Offline())
		}
		w.store.Create(bad.id, topic, config.DefaultTopic(), func(_ *Log, err error) {
			if ended++; err != nil {
				t.Error(err)
			}
		})
		w.settle()
		if ended != 2 {
			t.Error("the name is not free")
		}
	}
}

// TestBadRest: what a rest file holds is as dear as what the log does.
func TestBadRest(t *testing.T) {
	for _, rot := range []bool{false, true} {
		w, bad, good := unreadableWorld(t)
		w.blindTo(bad.log.Dir())
		w.boot()
		w.verify(false)
		w.work(good)
		w.disk.PowerBy(sim.LoseAll())
		w.disk.Inject(nil)
		want := env.ErrUnreadable
		if rot {
			want = commitlog.ErrCorrupt
			w.disk.Rot(w.restNames()[0], 4096+100, 1)
		} else {
			w.blindTo(w.restNames()[0])
		}
		w.boot()
		if off := w.store.Offline(); len(off) != 1 || !errors.Is(off[0].Err, want) || w.store.Log(good.id) == nil {
			t.Fatalf("rot %v: offline: %v", rot, off)
		}
		w.disk.Inject(nil)
		if !rot {
			w.disk.PowerBy(sim.LoseAll())
			w.boot()
			w.back()
			w.verify(false)
		}
	}
}

// TestBlindStarts: as TestPromisesSurviveRandomCrashes, but some starts cannot read some of the directories.
func TestBlindStarts(t *testing.T) {
	seeds := uint64(100)
	if testing.Short() {
		seeds = 10
	}
	blind := 0
	for seed := range seeds {
		w := newWorld(t, 1000+seed)
		w.blinds = true
		w.boot()
		for range 8 {
			w.day()
			blind += len(w.blind)
		}
	}
	if blind < int(seeds) {
		t.Errorf("%d partitions could not be read at a start", blind)
	}
}

// drawBlindness chooses what the next start cannot read.
func (w *world) drawBlindness() {
	if !w.blinds {
		return
	}
	w.disk.Inject(nil)
	var prefixes []string
	entries, err := w.disk.ReadDir(rootDir)
	if err != nil {
		w.fatalf("%v", err)
	}
	for _, e := range entries {
		if _, _, ok := parseDir(e.Name); ok && e.Dir && w.rand.Below(4) == 0 {
			prefix := e.Name + []string{"/", "/0", "/partition"}[w.rand.Below(3)]
			w.logf("blind to %s", prefix)
			prefixes = append(prefixes, prefix)
		}
	}
	w.blindTo(prefixes...)
}

// TestRestGoesLast: a checkpoint that comes before the sync of what was put back does not let the rest file go.
func TestRestGoesLast(t *testing.T) {
	w, bad, good := unreadableWorld(t)
	w.blindTo(bad.log.Dir() + "/0")
	w.boot()
	w.verify(false)
	w.work(good)
	w.disk.PowerBy(sim.LoseAll())
	w.disk.Inject(nil)
	w.back()
	w.boot()
	w.verify(false)
	w.store.syncs = nil // as if they took long
	w.store.checkpoint(func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
	w.settle()
	w.disk.PowerBy(sim.LoseAll())
	w.boot()
	w.verify(false)
}

// TestJournalOfADamagedLog: what the journal has of a log that is offline for its damage is all that tells how much was promised of it, or what the log's own files lack. It
// outlives the ring: else the log would be taken for a shorter one by a later start.
func TestJournalOfADamagedLog(t *testing.T) {
	t.Run("log", func(t *testing.T) {
		w := settledWorld(t, config.Async, config.Sync)
		bad, good := w.models[0], w.models[1]
		for range 4 {
			w.add(bad)
		}
		w.settle()
		bad.settings.FlushPolicy = config.Sync
		bad.log.Configure(bad.settings)
		w.settle()
		w.add(bad) // the journal says what was synced before, and no checkpoint does
		w.settle()
		if bad.log.SafeEnd() != 5 {
			t.Fatalf("%d is safe", bad.log.SafeEnd())
		}
		w.disk.Rot(bad.log.Dir()+"/00000000000000000000.log", 300, 0xff)
		for range 3 {
			w.disk.Kill()
			w.boot()
			if len(w.store.Offline()) != 1 {
				t.Fatalf("the log ends at %d", w.store.Log(bad.id).EndOffset())
			}
			good.log = w.store.Log(good.id)
			good.log.Configure(good.settings)
			w.work(good)
		}
	})
	t.Run("identity", func(t *testing.T) {
		w, bad, good := unreadableWorld(t)
		safe := bad.log.SafeEnd()
		if safe != record.Offset(len(bad.values)) {
			t.Fatalf("%d is safe of %d", safe, len(bad.values))
		}
		w.disk.PowerBy(sim.LoseAll())
		w.disk.Rot(bad.log.Dir()+"/partition.metadata", 15, 1)
		for range 2 {
			w.boot()
			if w.store.Log(bad.id) != nil {
				t.Fatal("the log is not offline")
			}
			good.log = w.store.Log(good.id)
			good.log.Configure(good.settings)
			w.work(good)
			w.disk.Kill()
		}
		w.disk.Rot(bad.log.Dir()+"/partition.metadata", 15, 1) // somebody mends it
		w.boot()
		if l := w.store.Log(bad.id); l == nil || l.EndOffset() != safe {
			t.Errorf("want %d: offline is %v, the log is %v", safe, w.store.Offline(), l)
		}
	})
}

// TestRestFilesGoInOrder: rest files go with their partition's directory one by one. Whatever a loss of power brings back, none is there without those
// behind it: the last may say that the partition was deleted.
func TestRestFilesGoInOrder(t *testing.T) {
	names := []string{"a.1.rest", "a.2.rest", "a.3.rest"}
	done := false
	for call := uint64(1); !done; call++ {
		w := &sim.Walk{}
		for w.Next() {
			d := sim.NewDisk(sim.DiskOptions{NoWriteback: true})
			err := d.Mkdir("t-0")
			for _, name := range names {
				f, created := d.Open(name, env.CreateNew)
				err = errors.Join(err, created, f.Sync(), f.Close())
			}
			if err = errors.Join(err, d.SyncDir(".")); err != nil {
				t.Fatal(err)
			}
			d.CrashAt(call)
			done = d.Attempt(func() { err = moveRests(d, names, "t-0") })
			d.PowerBy(w)
			left := 0
			for i, name := range names {
				there, failed := exists(d, name)
				if err = errors.Join(err, failed); there {
					left++
				} else if left > 0 {
					t.Errorf("a crash in call %d leaves %s and not %s", call, names[i-1], name)
				}
			}
			if err != nil || done && left > 0 {
				t.Fatalf("%d files are left: %v", left, err)
			}
		}
	}
}
