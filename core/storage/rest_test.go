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
