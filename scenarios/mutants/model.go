package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// modelOf is the model or the scripted test that finds a mutant, if the first line of its patch names one: "# model: ./core/partition TestName". Like a seeded
// test it lives below what a scenario shows; its cases are drawn by package rapid.
func (r *runner) modelOf(id string) (t seededTest, ok bool) { return r.named(id, "# model: ") }

// tryModel is try for a mutant that a model finds.
func (r *runner) tryModel(id, scratch string, t seededTest) (o outcome) {
	o.id, o.white = id, true
	var binary string
	if binary, o.trouble = r.buildTest(id, scratch, t); o.trouble != nil {
		return o
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.budget)
	defer cancel()
	args := []string{"-test.run", "^" + t.name + "$", "-test.failfast"}
	if drawn(filepath.Join(r.root, t.pkg)) {
		args = append(args, "-rapid.checks=100000", "-rapid.shrinktime=1ms", "-rapid.nofailfile", "-rapid.seed="+strconv.FormatUint(max(r.from, 1), 10))
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = filepath.Join(r.root, t.pkg) // where its testdata is
	out, _ := cmd.Output()
	o.took = spent(cmd)
	o.readModel(out)
	return o
}

// drawn says whether the tests of a package know the flags of package rapid.
func drawn(dir string) bool {
	names, _ := filepath.Glob(filepath.Join(dir, "*_test.go")) // the pattern is a good one
	return slices.ContainsFunc(names, func(name string) bool {
		content, _ := os.ReadFile(name)
		return bytes.Contains(content, []byte(`"pgregory.net/rapid"`))
	})
}

var (
	modelLine = regexp.MustCompile(`(?m)\[rapid\] (?:failed|panic) after (\d+) tests: (?:([A-Z]+\d+)\b)?`)
	failLine  = regexp.MustCompile(`(?m)^--- FAIL: `)
)

// readModel takes what a model printed. A scripted test has one case.
func (o *outcome) readModel(out []byte) {
	if !failLine.Match(out) {
		return
	}
	o.found, o.seeds, o.invariant = true, 1, "test"
	if m := modelLine.FindSubmatch(out); m != nil {
		n, _ := strconv.Atoi(string(m[1]))
		o.seeds, o.invariant = n+1, "violation"
		if len(m[2]) > 0 {
			o.invariant = string(m[2])
		}
	}
}
