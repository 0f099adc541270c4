package storage

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/config"
	"lignum/core/record"
)

// TestLongName: a topic's name may be so long that nothing fits behind it. Its directory has to get another name all the same when the topic goes.
func TestLongName(t *testing.T) {
	for _, aside := range []bool{false, true} {
		w := newWorld(t, 1)
		w.boot()
		id, topic := record.Partition{Topic: record.TopicID{7}, Index: 99999}, strings.Repeat("t", 249)
		ended := 0
		for life := range 3 {
			w.store.Create(id, topic, w.settings(config.Sync), func(_ *Log, err error) {
				if err != nil {
					t.Fatalf("life %d: %v", life, err)
				}
			})
			w.settle()
			end := func(err error) {
				if ended++; err != nil {
					t.Fatalf("life %d: %v", life, err)
				}
			}
			if aside {
				w.store.SetAside(id, func(_ string, err error) { end(err) })
			} else {
				w.store.Delete(id, end)
			}
			w.settle()
			w.disk.Kill()
			w.boot()
		}
		if ended != 3 || len(w.store.Logs())+len(w.store.Offline()) > 0 {
			t.Errorf("aside %v: %d logs ended, and there are %d and %v", aside, ended, len(w.store.Logs()), w.store.Offline())
		}
	}
}

// TestDirectoryWithBlanks: a directory that somebody has put there is no topic's if a topic cannot have its name. The checkpoints could not tell of it.
func TestDirectoryWithBlanks(t *testing.T) {
	w := newWorld(t, 1)
	w.boot()
	w.disk.Kill()
	for _, dir := range []string{"copy of t-0", "t\t-1", " -2"} {
		if err := w.disk.Mkdir(dir); err != nil {
			t.Fatal(err)
		}
		if err := checkpoint.Write(w.disk, dir, checkpoint.PartitionFile, checkpoint.EncodePartition(record.TopicID{7})); err != nil {
			t.Fatal(err)
		}
	}
	w.boot()
	w.clock.Advance(time.Minute)
	w.store.Tick()
	w.settle()
	if len(w.store.Strays()) != 3 || len(w.store.Logs()) > 0 {
		t.Errorf("left alone: %q; open: %d", w.store.Strays(), len(w.store.Logs()))
	}
}

// TestCopyOfALog: somebody copies a partition's directory and leaves the copy beside it. It is not gone on with in its place, nor is what was appended since forgotten.
func TestCopyOfALog(t *testing.T) {
	w := settledWorld(t, config.Sync)
	m := w.models[0]
	w.add(m)
	w.settle()
	w.stop()
	dir, copied := m.log.Dir(), "copy-"+m.log.Dir()
	entries, err := w.disk.ReadDir(dir)
	if err == nil {
		err = w.disk.Mkdir(copied)
	}
	for _, e := range entries {
		p, failed := checkpoint.Read(w.disk, dir, e.Name)
		err = errors.Join(err, failed, checkpoint.Write(w.disk, copied, e.Name, p))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.disk.Rename(copied, "later"); err != nil {
		t.Fatal(err)
	}
	w.boot()
	w.verify(false)
	w.add(m)
	w.settle()
	w.stop()
	if err := w.disk.Rename("later", copied); err != nil {
		t.Fatal(err)
	}
	w.boot()
	if l := w.store.Log(m.id); l != nil || len(w.store.Offline()) != 2 {
		t.Errorf("open is %v, offline are %v", l, w.store.Offline())
	}
	w.disk.Kill()
	if err := w.disk.Rename(copied, "away"); err != nil {
		t.Fatal(err)
	}
	w.boot()
	w.verify(false)
}
