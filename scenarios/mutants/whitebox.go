package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// seededTest is a test of a package that runs seeds: it takes -from and -seeds, and fails with "seed n: ... (invariant)".
type seededTest struct{ pkg, name string }

// testOf is the test that finds a mutant, if the first line of its patch names one: "# test: ./core/quorum BadDays". Such a mutant lives
// below what a scenario of the whole broker shows.
func (r *runner) testOf(id string) (t seededTest, ok bool) { return r.named(id, "# test: ") }

// named is the test that the first line of a patch names behind a word.
func (r *runner) named(id, word string) (t seededTest, ok bool) {
	patch, err := os.ReadFile(filepath.Join(r.root, "scenarios", "mutants", id+".patch"))
	if err != nil {
		return t, false
	}
	first, _, _ := strings.Cut(string(patch), "\n")
	names, ok := strings.CutPrefix(first, word)
	if fields := strings.Fields(names); ok && len(fields) == 2 {
		return seededTest{fields[0], fields[1]}, true
	}
	return t, false
}

// buildTest builds the tests of the mutant's package, as they are in the tree.
func (r *runner) buildTest(id, scratch string, t seededTest) (binary string, err error) {
	tree, binary := filepath.Join(scratch, "tree"), filepath.Join(scratch, "test")
	if err = r.mutate(id, tree); err == nil {
		err = copyTests(filepath.Join(r.root, t.pkg), filepath.Join(tree, t.pkg))
	}
	if err == nil {
		err = command(tree, "go", "test", "-c", "-o", binary, t.pkg)
	}
	return binary, err
}

// tryTest is try for a mutant that a test finds.
func (r *runner) tryTest(id, scratch string, t seededTest) (o outcome) {
	o.id, o.white = id, true
	var binary string
	if binary, o.trouble = r.buildTest(id, scratch, t); o.trouble != nil {
		return o
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.budget)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run", t.name, "-from", strconv.FormatUint(r.from, 10), "-seeds", "1000000000")
	out, _ := cmd.Output()
	o.took = spent(cmd)
	o.readTest(out, r.from)
	return o
}

// copyTests copies the tests of one package.
func copyTests(from, to string) error {
	names, err := filepath.Glob(filepath.Join(from, "*_test.go"))
	if err != nil {
		return err
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), content, 0o644); err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
	}
	return nil
}

var (
	testLine      = regexp.MustCompile(`(?m)\bseed (\d+): (.*)$`)
	anyInvariant  = regexp.MustCompile(`(?m)_test\.go:\d+: .*\(([A-Z]+\d+)\)\s*$`)
	invariantName = regexp.MustCompile(`\(([A-Z]+\d+)\)\s*$`)
)

// readTest takes what a test printed.
func (o *outcome) readTest(out []byte, from uint64) {
	m := testLine.FindSubmatch(out)
	if m == nil {
		if name := anyInvariant.FindSubmatch(out); name != nil && failLine.Match(out) { // the test's machine says it, which does not know the seed
			o.found, o.seeds, o.invariant = true, 1, string(name[1])
		}
		return
	}
	seed, _ := strconv.ParseUint(string(m[1]), 10, 64)
	o.found, o.seeds, o.replay, o.invariant = true, int(seed-from)+1, "seed "+string(m[1]), "violation"
	if name := invariantName.FindSubmatch(m[2]); name != nil {
		o.invariant = string(name[1])
	}
}
