package journal

import (
	"fmt"
	"testing"

	"lignum/disk"
	"lignum/sim"
)

// BenchmarkCommit measures one group commit on a real disk: on files that were zeroed and recycled, and on one that grows.
func BenchmarkCommit(b *testing.B) {
	for _, ring := range []bool{true, false} {
		for _, shape := range []struct{ entries, bytes int }{{1, 1 << 10}, {50, 1 << 10}, {64, 16 << 10}} {
			name := fmt.Sprintf("recycled=%v/%dx%d", ring, shape.entries, shape.bytes)
			b.Run(name, func(b *testing.B) { benchmarkCommit(b, ring, shape.entries, shape.bytes) })
		}
	}
}

func benchmarkCommit(b *testing.B, ring bool, entries, bytes int) {
	d, err := disk.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	o := Options{FileBytes: 8 << 20, StepBytes: 8 << 20}
	if !ring {
		o.FileBytes = 1 << 40
	}
	r, err := Open(d, dir, o, Opening{Salt: 1})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := readAll(r); err != nil {
		b.Fatal(err)
	}
	j := New(r, sim.NewRand(1))
	data := make([]byte, bytes)
	commit := func() {
		for i := range entries {
			j.Add(Entry{Kind: Append, Log: partition(uint64(i)), Data: [][]byte{data}})
		}
		for c := j.TakeCommit(); c != nil; c = j.TakeCommit() {
			c.Run()
			if err := j.Committed(c); err != nil {
				b.Fatal(err)
			}
		}
	}
	maintain := func() {
		for j.Pressing() {
			for _, c := range j.Oldest() {
				j.Safe(c.Log, c.Seq)
			}
		}
		for p := j.TakePrepare(); ring && p != nil; p = j.TakePrepare() {
			p.Run()
			if err := j.Prepared(p); err != nil {
				b.Fatal(err)
			}
		}
	}
	for i := 0; ring && i < 2*j.o.Files; i++ { // until the files in use are recycled ones
		commit()
		j.room(o.FileBytes)
		maintain()
	}
	b.SetBytes(int64(entries * bytes))
	b.ReportAllocs()
	for b.Loop() {
		commit()
		b.StopTimer()
		maintain()
		b.StartTimer()
	}
	if err := j.Close()(); err != nil {
		b.Fatal(err)
	}
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
}
