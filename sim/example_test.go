package sim_test

import (
	"errors"
	"fmt"

	"lignum/core/env"
	"lignum/sim"
)

// save replaces the file x by another, safely.
func save(d env.Disk, content string) error {
	f, err := d.Open("x.tmp", env.Create)
	if err != nil {
		return err
	}
	err = errors.Join(f.Truncate(0), f.WriteAt(0, []byte(content)), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return errors.Join(d.Rename("x.tmp", "x"), d.SyncDir("."))
}

func load(d env.Disk) string {
	f, err := d.Open("x", env.ReadOnly)
	if err != nil {
		return "absent"
	}
	defer func() { _ = f.Close() }()
	p := make([]byte, 3)
	n, _ := f.ReadAt(p, 0)
	return string(p[:n])
}

// A crash in every call, with every way in which the power cut can end.
func ExampleWalk() {
	seen := map[string]int{}
	finished := false
	for n := uint64(1); !finished; n++ {
		for w := (&sim.Walk{}); w.Next(); {
			d := sim.NewDisk(sim.DiskOptions{NoWriteback: true, SectorSize: 4096})
			_ = save(d, "old")
			d.CrashAt(n)
			finished = d.Attempt(func() { _ = save(d, "new") })
			d.PowerBy(w)
			seen[load(d)]++
			if finished {
				break // all is durable: there is nothing to choose
			}
		}
	}
	fmt.Println(len(seen), seen["old"] > 0, seen["new"] > 0)
	// Output: 2 true true
}

// One call after another fails.
func ExampleDisk_Inject() {
	outcomes := map[string]int{}
	for n := uint64(1); n <= 8; n++ {
		d := sim.NewDisk(sim.DiskOptions{Seed: n})
		_ = save(d, "old")
		from := d.Calls()
		d.Inject(func(op sim.Op) error {
			if op.Number == from+n {
				return sim.ErrIO
			}
			return nil
		})
		err := save(d, "new")
		d.Inject(nil)
		outcomes[fmt.Sprint(load(d), " failed ", errors.Is(err, sim.ErrIO))]++
	}
	fmt.Println(outcomes)
	// Output: map[new failed false:1 new failed true:1 old failed true:6]
}
