package epochs

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/record"
	"lignum/sim"
)

func TestEndOffset(t *testing.T) {
	c := New([]Entry{{2, 10}, {4, 30}, {7, 50}})
	for _, x := range []struct {
		ask    record.Epoch
		epoch  record.Epoch
		offset record.Offset
	}{
		{-1, -1, -1}, {0, 0, 10}, {1, 1, 10}, {2, 2, 30}, {3, 2, 30}, {4, 4, 50}, {6, 4, 50}, {7, 7, 90}, {8, -1, -1},
	} {
		if epoch, offset := c.EndOffset(x.ask, 90); epoch != x.epoch || offset != x.offset {
			t.Errorf("EndOffset(%d) = %d, %d; want %d, %d", x.ask, epoch, offset, x.epoch, x.offset)
		}
	}
	var empty Cache
	for _, ask := range []record.Epoch{-1, 0, 5} {
		if epoch, offset := empty.EndOffset(ask, 90); epoch != -1 || offset != -1 {
			t.Errorf("empty: EndOffset(%d) = %d, %d", ask, epoch, offset)
		}
	}
	for at, want := range map[record.Offset]record.Epoch{0: -1, 9: -1, 10: 2, 29: 2, 30: 4, 49: 4, 50: 7, 1000: 7} {
		if got := c.EpochAt(at); got != want {
			t.Errorf("EpochAt(%d) = %d, want %d", at, got, want)
		}
	}
}

func TestChanges(t *testing.T) {
	start := []Entry{{2, 10}, {4, 30}, {7, 50}}
	for _, c := range []struct {
		name    string
		do      func(c *Cache) bool
		changed bool
		want    []Entry
	}{
		{"assign the next", func(c *Cache) bool { return c.Assign(8, 60) }, true, []Entry{{2, 10}, {4, 30}, {7, 50}, {8, 60}}},
		{"assign the latest again, later", func(c *Cache) bool { return c.Assign(7, 55) }, false, start},
		{"assign the latest again, earlier", func(c *Cache) bool { return c.Assign(7, 40) }, true, []Entry{{2, 10}, {4, 30}, {7, 40}}},
		{"assign where the latest begins", func(c *Cache) bool { return c.Assign(9, 50) }, true, []Entry{{2, 10}, {4, 30}, {9, 50}}},
		{"assign a lower one", func(c *Cache) bool { return c.Assign(5, 60) }, true, []Entry{{2, 10}, {4, 30}, {5, 60}}},
		{"assign far back", func(c *Cache) bool { return c.Assign(9, 0) }, true, []Entry{{9, 0}}},
		{"truncate the end behind all", func(c *Cache) bool { return c.TruncateFromEnd(51) }, false, start},
		{"truncate the end at the last", func(c *Cache) bool { return c.TruncateFromEnd(50) }, true, []Entry{{2, 10}, {4, 30}}},
		{"truncate the end in the middle", func(c *Cache) bool { return c.TruncateFromEnd(31) }, true, []Entry{{2, 10}, {4, 30}}},
		{"truncate the end to nothing", func(c *Cache) bool { return c.TruncateFromEnd(0) }, true, []Entry{}},
		{"truncate the end nowhere", func(c *Cache) bool { return c.TruncateFromEnd(-1) }, false, start},
		{"truncate the start before all", func(c *Cache) bool { return c.TruncateFromStart(9) }, false, start},
		{"truncate the start where it is", func(c *Cache) bool { return c.TruncateFromStart(10) }, false, start},
		{"truncate the start in the first", func(c *Cache) bool { return c.TruncateFromStart(20) }, true, []Entry{{2, 20}, {4, 30}, {7, 50}}},
		{"truncate the start at the second", func(c *Cache) bool { return c.TruncateFromStart(30) }, true, []Entry{{4, 30}, {7, 50}}},
		{"truncate the start behind all", func(c *Cache) bool { return c.TruncateFromStart(99) }, true, []Entry{{7, 99}}},
		{"clear", func(c *Cache) bool { c.Clear(); return true }, true, []Entry{}},
	} {
		cache := New(start)
		if changed := c.do(cache); changed != c.changed {
			t.Errorf("%s: changed %v", c.name, changed)
		}
		if diff := cmp.Diff(c.want, cache.Entries()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if start[2] != (Entry{7, 50}) {
		t.Error("the cache writes into what it was given")
	}
}

// The cache answers as a scan of the epochs of all records does.
func TestCacheEqualsScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Cache
		var log []record.Epoch // epoch of each record, from offset start on
		start, epoch := record.Offset(0), record.Epoch(0)
		end := func() record.Offset { return start + record.Offset(len(log)) }
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				c.Assign(epoch, end())
				for range rapid.IntRange(1, 4).Draw(t, "n") {
					log = append(log, epoch)
				}
			},
			"elect": func(t *rapid.T) { epoch += record.Epoch(rapid.Int32Range(1, 3).Draw(t, "by")) },
			"truncate": func(t *rapid.T) {
				keep := rapid.IntRange(0, len(log)).Draw(t, "keep")
				log = log[:keep]
				c.TruncateFromEnd(end())
			},
			"delete": func(t *rapid.T) {
				n := rapid.IntRange(0, len(log)).Draw(t, "n")
				if n == len(log) {
					t.Skip()
				}
				log, start = log[n:], start+record.Offset(n)
				c.TruncateFromStart(start)
			},
			"": func(t *rapid.T) {
				for i, want := range log {
					if got := c.EpochAt(start + record.Offset(i)); got != want {
						t.Fatalf("EpochAt(%d) = %d, want %d", int(start)+i, got, want)
					}
				}
				for ask := range epoch + 2 {
					wantEpoch, wantEnd := scanEnd(log, start, ask)
					if gotEpoch, gotEnd := c.EndOffset(ask, end()); gotEpoch != wantEpoch || gotEnd != wantEnd {
						t.Fatalf("EndOffset(%d) = %d, %d; want %d, %d in %v from %d", ask, gotEpoch, gotEnd, wantEpoch, wantEnd, log, start)
					}
				}
				again, err := Parse(Encode(c.Entries()))
				if err != nil || !slices.Equal(again, c.Entries()) {
					t.Fatalf("%v came back as %v, %v", c.Entries(), again, err)
				}
			},
		})
	})
}

func scanEnd(log []record.Epoch, start record.Offset, ask record.Epoch) (record.Epoch, record.Offset) {
	if len(log) == 0 || ask > log[len(log)-1] {
		return -1, -1
	}
	found := ask
	for i, e := range log {
		if e > ask {
			return found, start + record.Offset(i)
		}
		found = e
	}
	return found, start + record.Offset(len(log))
}

func TestFile(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{})
	if err := d.Mkdir("t-0"); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(d, "t-0"); err != nil || got != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
	want := []Entry{{0, 0}, {3, 100}}
	if strings.TrimRight(string(Encode(want)), " \t\n") != "0\n2\n0 0\n3 100" {
		t.Errorf("encoded as %q", Encode(want))
	}
	if err := Replace(d, "t-0", want); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(d, "t-0"); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"0\n1\n5\n", "0\n1\n-1 5\n", "0\n1\n1 -5\n", "0\n2\n1 5\n1 6\n", "0\n2\n1 5\n2 5\n", "0\n2\n2 5\n1 6\n", "0\n1\n1 5", "1\n0\n"} {
		if err := checkpoint.Write(d, "t-0", File, []byte(bad)); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(d, "t-0"); !errors.Is(err, checkpoint.ErrCorrupt) || got != nil {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("0\n2\n1 5\n3 9\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		all, err := Parse(p)
		if err != nil {
			return
		}
		if again, err := Parse(Encode(New(all).Entries())); err != nil || !cmp.Equal(all, again) {
			t.Fatalf("%v came back as %v, %v", all, again, err)
		}
	})
}
