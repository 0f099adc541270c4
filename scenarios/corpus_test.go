package scenarios

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestCorpus runs the seeds that once broke a promise. A change of the code may have changed their stories since; those that are
// still told must end well. With -short, for the race detector, it is one of each scenario.
func TestCorpus(t *testing.T) {
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			seeds := corpus(t, "corpus/"+s.Name+".txt")
			if testing.Short() && len(seeds) > 1 {
				seeds = seeds[:1]
			}
			for _, o := range seeds {
				r := s.Run(o)
				if line := r.Report(); line != "" {
					t.Error(line)
				}
			}
		})
	}
}

// corpus reads the seeds of a file: one a line, with its length if that is not the scenario's own, and a comment behind it.
func corpus(t *testing.T, path string) (seeds []Options) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		var o Options
		var err error
		if o.Seed, err = strconv.ParseUint(fields[0], 10, 64); err == nil && len(fields) > 1 {
			o.Length, err = time.ParseDuration(fields[1])
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		seeds = append(seeds, o)
	}
	if len(seeds) == 0 {
		t.Fatalf("%s has no seeds", path)
	}
	return seeds
}
