package scenarios

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
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
			for _, seed := range seeds {
				r := s.Run(Options{Seed: seed})
				if line := r.Report(); line != "" {
					t.Error(line)
				}
			}
		})
	}
}

// corpus reads the seeds of a file: one a line, with a comment behind it.
func corpus(t *testing.T, path string) (seeds []uint64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		seeds = append(seeds, seed)
	}
	if len(seeds) == 0 {
		t.Fatalf("%s has no seeds", path)
	}
	return seeds
}
