package sim_test

import (
	"fmt"
	"testing"

	"lignum/core/env"
	"lignum/sim"
)

// The disk against a dumb model of bytes, with power cuts after a sync.
func TestDiskAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		r := sim.NewRand(seed)
		d := sim.NewDisk(sim.DiskOptions{Seed: seed, SectorSize: []int64{512, 4096}[seed%2]})
		f := open(t, d, "x", env.CreateNew)
		must(t, d.SyncDir("."))
		var model []byte
		for step := range 60 {
			switch r.Below(8) {
			case 0, 1, 2, 3:
				off, p := r.Below(20000), fill(byte(step+1), int(r.Below(9000)+1))
				must(t, f.WriteAt(off, p[:len(p)/2], p[len(p)/2:]))
				if grow := int(off) + len(p) - len(model); grow > 0 {
					model = append(model, make([]byte, grow)...)
				}
				copy(model[off:], p)
			case 4, 5:
				size := r.Below(25000)
				must(t, f.Truncate(size))
				model = append(model[:min(int64(len(model)), size)], make([]byte, max(0, size-int64(len(model))))...)
			case 6:
				must(t, f.Sync())
			case 7:
				if r.Below(4) == 0 {
					must(t, f.Sync())
					d.Power()
					f = open(t, d, "x", env.ReadWrite)
				}
			}
			if got := content(t, d, "x"); got != string(model) {
				t.Fatalf("seed %d step %d: content differs from the model", seed, step)
			}
		}
	}
}

func TestLoseAllWithoutWritebackIsTheSyncedState(t *testing.T) {
	for seed := range uint64(200) {
		r := sim.NewRand(seed)
		d := sim.NewDisk(sim.DiskOptions{Seed: seed, NoWriteback: true, SectorSize: []int64{512, 4096}[seed%2]})
		f := open(t, d, "x", env.CreateNew)
		must(t, d.SyncDir("."))
		synced := ""
		for step := range 40 {
			switch r.Below(6) {
			case 0, 1, 2:
				must(t, f.WriteAt(r.Below(20000), fill(byte(step+1), int(r.Below(9000)))))
			case 3, 4:
				must(t, f.Truncate(r.Below(25000)))
			case 5:
				must(t, f.Sync())
				synced = content(t, d, "x")
			}
		}
		d.PowerBy(sim.LoseAll())
		if got := content(t, d, "x"); got != synced {
			t.Fatalf("seed %d: not the synced state (%d bytes, want %d)", seed, len(got), len(synced))
		}
	}
}

func TestNamesAgainstModel(t *testing.T) {
	for seed := range uint64(300) {
		r := sim.NewRand(seed)
		d := sim.NewDisk(sim.DiskOptions{Seed: seed})
		ever := map[string]bool{"absent": true}
		for step := range 30 {
			a, b := fmt.Sprint("n", r.Below(4)), fmt.Sprint("n", r.Below(4))
			switch r.Below(5) {
			case 0, 1:
				if f, err := d.Open(a, env.CreateNew); err == nil {
					must(t, f.WriteAt(0, []byte(fmt.Sprint(step))), f.Sync(), f.Close())
					ever[fmt.Sprint(step)] = true
				}
			case 2:
				_ = d.Remove(a)
			case 3:
				_ = d.Rename(a, b)
			case 4:
				must(t, d.SyncDir("."))
				before, _ := d.ReadDir(".")
				d.Power()
				after, _ := d.ReadDir(".")
				if fmt.Sprint(before) != fmt.Sprint(after) {
					t.Fatalf("seed %d: %v became %v though synced", seed, before, after)
				}
			}
		}
		d.Power()
		for i := range 4 {
			if got := content(t, d, fmt.Sprint("n", i)); !ever[got] {
				t.Fatalf("seed %d: a file holds %q that nobody wrote", seed, got)
			}
		}
	}
}
