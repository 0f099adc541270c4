package sim_test

import (
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
