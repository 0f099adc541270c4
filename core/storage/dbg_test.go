package storage

import (
	"fmt"
	"lignum/core/commitlog/checkpoint"
)

func (w *world) dump(dir string) {
	es, _ := w.disk.ReadDir(dir)
	for _, e := range es {
		fmt.Println("   ", dir, e.Name, e.Size)
	}
	for _, n := range []string{checkpoint.RecoveryPointFile, checkpoint.LogStartFile} {
		p, err := checkpoint.Read(w.disk, ".", n)
		fmt.Printf("%s: %q %v\n", n, p, err)
	}
	fmt.Printf("%+v\n", w.store.startup)
	for _, l := range w.store.order {
		fmt.Println(l.dir, l.StartOffset(), l.EndOffset(), l.RecoveryPoint(), l.DurableEnd(), l.joined)
	}
}
