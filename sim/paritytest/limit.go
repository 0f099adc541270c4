package paritytest

import (
	"fmt"
	"testing"

	"lignum/core/env"
)

// RunLimited checks a disk of a process that may have no more files open than the limit says.
func RunLimited(t *testing.T, d env.Disk, limit int) {
	b := &bench{t: t, disk: d}
	if u, err := d.Usage("."); err != nil || u.OpenFiles != limit {
		t.Fatalf("usage %+v, %v; want %d open files", u, err, limit)
	}
	b.put("there", "content")
	first := b.open("first", env.CreateNew)
	files := []env.File{first}
	var err error
	for n := 0; err == nil && n < limit; n++ {
		var f env.File
		if f, err = d.Open(fmt.Sprint("file", n), env.CreateNew); err == nil {
			files = append(files, f)
		}
	}
	b.want(err, env.ErrTooManyFiles)
	b.fails("there", env.ReadOnly, env.ErrTooManyFiles)
	b.want(first.WriteAt(0, []byte("still works")), nil)
	b.want(first.Sync(), nil)
	b.want(d.Rename("there", "here"), nil)
	for _, f := range files[1:] {
		b.close(f)
	}
	b.get("here", "content")
	b.get("first", "still works")
	b.close(first)
}
