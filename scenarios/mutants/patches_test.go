package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPatches: a mutant must fit the tree as it is, and be a program. One that is none finds nothing, and only whoever runs it would see.
func TestPatches(t *testing.T) {
	c := newCompiler(t)
	ids, err := patches(".")
	if err != nil || len(ids) == 0 {
		t.Fatalf("%d patches, %v", len(ids), err)
	}
	for _, id := range ids {
		t.Run(id, func(t *testing.T) {
			if err := c.check(id, t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
}

// compiler checks the types of packages; those that they import it knows from what the go command has built.
type compiler struct {
	files   *token.FileSet
	imports types.Importer
}

func newCompiler(t *testing.T) *compiler {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{if .Export}}{{.ImportPath}} {{.Export}}{{end}}", "./...")
	list.Dir, list.Stderr = "../..", os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("list what there is to import: %v", err)
	}
	built := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if path, file, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			built[path] = file
		}
	}
	c := &compiler{files: token.NewFileSet()}
	c.imports = importer.ForCompiler(c.files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(built[path]) })
	return c
}

var patchedFile = regexp.MustCompile(`(?m)^\+\+\+ b/(.*)$`)

// check applies a patch to copies of the files that it changes, and checks the package that they are of. Those of several packages are built.
func (c *compiler) check(id, scratch string) error {
	patch, err := os.ReadFile(id + ".patch")
	if err != nil {
		return err
	}
	packages, overlay := map[string]bool{}, map[string]string{}
	for _, m := range patchedFile.FindAllSubmatch(patch, -1) {
		name := string(m[1])
		from, to := filepath.Join("../..", name), filepath.Join(scratch, name)
		content, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		packages["./"+filepath.Dir(name)], overlay[name] = true, to
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, content, 0o644); err != nil {
			return err
		}
	}
	apply := exec.Command("git", "apply", "-")
	apply.Dir, apply.Stdin = scratch, bytes.NewReader(patch)
	if out, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("apply: %w: %s", err, out)
	}
	dirs := slices.Collect(maps.Keys(packages))
	if len(dirs) == 1 {
		return c.checkPackage(dirs[0], scratch)
	}
	replace, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return err
	}
	file := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(file, replace, 0o644); err != nil {
		return err
	}
	return command("../..", "go", append([]string{"build", "-overlay", file}, dirs...)...)
}

// checkPackage checks the package of a directory, with the files of scratch in the place of its own.
func (c *compiler) checkPackage(dir, scratch string) error {
	found, err := build.ImportDir(filepath.Join("../..", dir), 0)
	if err != nil {
		return err
	}
	var parsed []*ast.File
	for _, name := range found.GoFiles {
		path := filepath.Join(scratch, dir, name)
		if _, err := os.Stat(path); err != nil {
			path = filepath.Join("../..", dir, name)
		}
		file, err := parser.ParseFile(c.files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		parsed = append(parsed, file)
	}
	_, err = (&types.Config{Importer: c.imports}).Check(found.Name, c.files, parsed, nil)
	return err
}
