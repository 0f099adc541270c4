package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// runner applies, builds and runs mutants.
type runner struct {
	root     string // of the tree
	scenario string
	from     uint64
	jobs     int
	budget   time.Duration // for the seeds of one mutant
}

// outcome is what became of one mutant.
type outcome struct {
	id        string
	found     bool
	seeds     int
	took      time.Duration // of the processor
	invariant string
	white     bool // found by looking inside, or by the broker itself; else by what clients saw
	replay    string
	trouble   error // it could not be tried
}

func main() {
	var r runner
	flag.StringVar(&r.root, "root", ".", "root of the tree")
	flag.StringVar(&r.scenario, "scenario", "single", "which scenario, for mutants that do not name one")
	flag.Uint64Var(&r.from, "from", 1, "the first seed")
	flag.IntVar(&r.jobs, "jobs", 2, "how many seeds run at a time")
	flag.DurationVar(&r.budget, "budget", 2*time.Minute, "time for the seeds of one mutant")
	flag.Parse()
	if err := r.run(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// run tries the mutants with the given ids, or all, and prints the table.
func (r *runner) run(ids []string) error {
	if len(ids) == 0 {
		var err error
		if ids, err = patches(filepath.Join(r.root, "scenarios", "mutants")); err != nil {
			return err
		}
	}
	fmt.Printf("%-6s %-6s %6s %8s  %-14s %-5s %s\n", "mutant", "found", "seeds", "cpu s", "invariant", "box", "first seed")
	missed := 0
	var times []float64
	for _, id := range ids {
		o := r.try(id)
		verdict, box := "yes", "black"
		if o.white {
			box = "white"
		}
		switch {
		case o.trouble != nil:
			fmt.Printf("%-6s not tried: %v\n", id, o.trouble)
			missed++
			continue
		case !o.found:
			verdict, box = "NO", ""
			missed++
		default:
			times = append(times, o.took.Seconds())
		}
		fmt.Printf("%-6s %-6s %6d %8.1f  %-14s %-5s %s\n", o.id, verdict, o.seeds, o.took.Seconds(), o.invariant, box, o.replay)
	}
	slices.Sort(times)
	if n := len(times); n > 0 {
		fmt.Printf("%d of %d found; seconds of processor: median %.1f, 95%% within %.1f\n", n, len(ids), times[n/2], times[(n*95+99)/100-1])
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d mutants were not found", missed, len(ids))
	}
	return nil
}

// patches lists the mutants of a directory.
func patches(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(filepath.Base(name), ".patch")
	}
	slices.Sort(names)
	return names, nil
}

// try puts one mutant into a copy of the tree and runs seeds until one finds it.
func (r *runner) try(id string) (o outcome) {
	o.id = id
	scratch, err := os.MkdirTemp("", "mutant-"+id+"-")
	if err != nil {
		o.trouble = err
		return o
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	if t, ok := r.testOf(id); ok {
		return r.tryTest(id, scratch, t)
	}
	if t, ok := r.modelOf(id); ok {
		return r.tryModel(id, scratch, t)
	}
	binary := filepath.Join(scratch, "lignum")
	if o.trouble = r.build(id, scratch, binary); o.trouble != nil {
		return o
	}
	scenario, err := r.scenarioOf(id)
	if err != nil {
		o.trouble = err
		return o
	}
	cmd := exec.Command(binary, "sim", "run", "--scenario", scenario, "--fail-fast", "--seeds", "1000000000",
		"--within", r.budget.String(), "--from", strconv.FormatUint(r.from, 10), "--jobs", strconv.Itoa(r.jobs))
	out, err := cmd.Output()
	o.took = spent(cmd)
	o.read(out)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		o.trouble = err
	}
	return o
}

// spent is what a command has taken of the processor: on a machine that does other things too, time on the wall says little.
func spent(cmd *exec.Cmd) time.Duration {
	if cmd.ProcessState == nil {
		return 0
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// scenarioOf is the scenario that a mutant lives in, if the first line of its patch names one: "# scenario: rot".
func (r *runner) scenarioOf(id string) (string, error) {
	patch, err := os.ReadFile(filepath.Join(r.root, "scenarios", "mutants", id+".patch"))
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(patch), "\n")
	if name, ok := strings.CutPrefix(first, "# scenario: "); ok {
		return strings.TrimSpace(name), nil
	}
	return r.scenario, nil
}

// build makes the binary of a mutant.
func (r *runner) build(id, scratch, binary string) error {
	tree := filepath.Join(scratch, "tree")
	if err := r.mutate(id, tree); err != nil {
		return err
	}
	return command(tree, "go", "build", "-trimpath", "-o", binary, "./cmd/lignum")
}

// mutate copies the tree and applies the patch.
func (r *runner) mutate(id, tree string) error {
	if err := copyTree(r.root, tree); err != nil {
		return err
	}
	patch, err := filepath.Abs(filepath.Join(r.root, "scenarios", "mutants", id+".patch"))
	if err != nil {
		return err
	}
	if err := command(tree, "git", "apply", patch); err != nil {
		return fmt.Errorf("the patch does not apply: %w", err)
	}
	return nil
}

func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// copyTree copies the Go sources that the binary is built from.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); rel != "." && (base[0] == '.' || base == "bin" || base == "testdata" || rel == filepath.Join("scenarios", "clients")) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".mod" && ext != ".sum" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), content, 0o644)
	})
}

var (
	foundLine = regexp.MustCompile(`^seed (\d+) at [0-9.]+s (\S*) (\S+): (?:n\d+: )?(white box: )?`)
	seedsLine = regexp.MustCompile(`^seeds +(\d+) `)
)

// read takes what a run printed.
func (o *outcome) read(out []byte) {
	for line := range strings.Lines(string(out)) {
		if m := seedsLine.FindStringSubmatch(line); m != nil {
			o.seeds, _ = strconv.Atoi(m[1])
		}
		m := foundLine.FindStringSubmatch(line)
		if m == nil || o.found {
			continue
		}
		// With a host's name it is the broker's own assertion.
		o.found, o.invariant, o.replay, o.white = true, m[3], "seed "+m[1], m[2] != "" || m[4] != ""
	}
}
