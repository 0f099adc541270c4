package paritytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"lignum/core/env"
)

// Compare makes the same random calls on two empty disks and holds every answer of one against the other's.
func Compare(t *testing.T, a, b env.Disk, seed uint64, calls int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	open := map[string][2]env.File{}
	var story []string
	for range calls {
		c := randomCall(r)
		story = append(story, c.String())
		x, y := c.do(a, open, 0), c.do(b, open, 1)
		if x != y {
			t.Fatalf("seed %d, call %d, the last of %q:\none side:   %.200s\nother side: %.200s",
				seed, len(story), story[max(0, len(story)-8):], x, y)
		}
		if pair := open[c.from]; c.kind == callClose && pair[0] != nil {
			delete(open, c.from)
		}
	}
	for _, pair := range open {
		if err := errors.Join(pair[0].Close(), pair[1].Close()); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	callOpen = iota
	callClose
	callWrite
	callRead
	callTruncate
	callSync
	callMkdir
	callRemove
	callRename
	callList
	callSyncDir
	callKinds
)

// call is one random call; open files are known by the path that they were opened with.
type call struct {
	kind     int
	from, to string
	mode     env.Mode
	off      int64
	data     []byte
}

func randomCall(r *rand.Rand) call {
	paths := []string{"a", "b", "c", "d", "d/a", "d/b", "e", "e/a", "d/e", "d/e/a", "a/x", "."}
	c := call{
		kind: r.IntN(callKinds), from: paths[r.IntN(len(paths))], to: paths[r.IntN(len(paths))],
		mode: env.Mode(r.IntN(4)), off: int64(r.IntN(10000)),
	}
	if r.IntN(3) == 0 {
		c.off = int64(r.IntN(4)) - 1
	}
	c.data = bytes.Repeat([]byte{byte('a' + r.IntN(26))}, r.IntN(6000))
	return c
}

func (c call) String() string {
	return fmt.Sprintf("%d %s %s mode %d off %d len %d", c.kind, c.from, c.to, c.mode, c.off, len(c.data))
}

// do makes the call on one side and puts its outcome in words.
func (c call) do(d env.Disk, open map[string][2]env.File, side int) string {
	pair := open[c.from]
	f := pair[side]
	switch c.kind {
	case callMkdir:
		return outcome(d.Mkdir(c.from))
	case callRemove:
		return outcome(d.Remove(c.from))
	case callRename:
		return outcome(d.Rename(c.from, c.to))
	case callSyncDir:
		return outcome(d.SyncDir(c.from))
	case callList:
		entries, err := d.ReadDir(c.from)
		return fmt.Sprint(entries, outcome(err))
	case callOpen:
		if f != nil {
			return "open already"
		}
		f, err := d.Open(c.from, c.mode)
		if err == nil {
			pair[side] = f
			open[c.from] = pair
		}
		return outcome(err)
	}
	if f == nil {
		return "not open"
	}
	return c.onFile(f)
}

func (c call) onFile(f env.File) string {
	switch c.kind {
	case callClose:
		return outcome(f.Close())
	case callWrite:
		cut := len(c.data) / 3
		return outcome(f.WriteAt(c.off, c.data[:cut], c.data[cut:]))
	case callTruncate:
		return outcome(f.Truncate(c.off))
	case callSync:
		return outcome(f.Sync())
	}
	n, err := f.ReadAt(c.data, c.off)
	size, errSize := f.Size()
	return fmt.Sprint(n, outcome(err), size, outcome(errSize), string(c.data[:n]))
}

// outcome is the identity of an error as env knows it.
func outcome(err error) string {
	for _, known := range []error{env.ErrNotExist, env.ErrExist, env.ErrNoSpace, io.EOF} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err != nil {
		return "another error"
	}
	return "done"
}
