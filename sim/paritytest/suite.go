// Package paritytest is the suite of file and connection semantics that both sides of the seams env.Disk and env.Network pass: the
// real ones and the simulated ones. Each case states one thing that core may rely on.
//
// What a kernel cannot be made to show in a test is not here: package sim tests its own model of it. The model rests, for the loss
// of what was not synced, on POSIX and on what the manual pages of fsync and rename leave open; for a failed sync that drops
// dirty pages, on what Linux documents of errors in writing back; for writes that never arrive or arrive elsewhere and
// for sectors that go bad, on published studies of disks. Short transfers are hidden by the port: a ReadAt or WriteAt goes on
// where the kernel stopped, as package os does it, so that all that is left to see is what happens between the parts.
// Of connections, cuts and half-open ends rest on what TCP does when nothing gets through: it sends again, and ends after a time.
package paritytest

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"lignum/core/env"
)

// Run runs every case on a disk of its own, which open returns empty.
func Run(t *testing.T, open func(t *testing.T) env.Disk) {
	seen := map[string]bool{}
	for _, group := range [][]testCase{openCases, nameCases, renameCases, dataCases, sizeCases, countCases} {
		for _, c := range group {
			if seen[c.name] {
				t.Errorf("two cases are called %q", c.name)
			}
			seen[c.name] = true
			t.Run(c.name, func(t *testing.T) { c.run(&bench{t: t, disk: open(t)}) })
		}
	}
	t.Logf("%d cases", len(seen))
}

type testCase struct {
	name string
	run  func(b *bench)
}

// bench is one case at work.
type bench struct {
	t    *testing.T
	disk env.Disk
}

var errAny = errors.New("any error")

// want checks the identity of an error: nil, errAny, or one to find with errors.Is.
func (b *bench) want(got, want error) {
	b.t.Helper()
	switch {
	case want == nil && got != nil:
		b.t.Errorf("error %v, want none", got)
	case want == errAny && got == nil:
		b.t.Error("no error, want one")
	case want == errAny:
		for _, known := range []error{env.ErrExist, env.ErrNotExist, env.ErrNoSpace, env.ErrTooManyFiles, io.EOF} {
			if errors.Is(got, known) {
				b.t.Errorf("error %v, want one that is none of env's", got)
			}
		}
	case !errors.Is(got, want):
		b.t.Errorf("error %v, want %v", got, want)
	}
}

// mentions checks that an error says what was done to which path.
func (b *bench) mentions(err error, words ...string) {
	b.t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			b.t.Errorf("error %q does not mention %q", err, w)
		}
	}
}

// open opens a file that must open.
func (b *bench) open(path string, mode env.Mode) env.File {
	b.t.Helper()
	f, err := b.disk.Open(path, mode)
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

func (b *bench) fails(path string, mode env.Mode, want error) {
	b.t.Helper()
	f, err := b.disk.Open(path, mode)
	if b.want(err, want); err == nil {
		b.close(f)
	}
}

func (b *bench) close(f env.File) {
	b.t.Helper()
	b.want(f.Close(), nil)
}

func (b *bench) mkdir(path string) {
	b.t.Helper()
	b.want(b.disk.Mkdir(path), nil)
}

// put makes a file with a content.
func (b *bench) put(path, content string) {
	b.t.Helper()
	f := b.open(path, env.Create)
	b.want(f.Truncate(0), nil)
	b.want(f.WriteAt(0, []byte(content)), nil)
	b.close(f)
}

// get checks the whole content of a file by its path.
func (b *bench) get(path, content string) {
	b.t.Helper()
	f := b.open(path, env.ReadOnly)
	b.holds(f, content)
	b.close(f)
}

// holds checks the whole content of an open file.
func (b *bench) holds(f env.File, want string) {
	b.t.Helper()
	size, err := f.Size()
	b.want(err, nil)
	if size != int64(len(want)) {
		b.t.Errorf("size %d, want %d", size, len(want))
	}
	p := make([]byte, len(want))
	n, err := f.ReadAt(p, 0)
	if err != nil && err != io.EOF {
		b.t.Fatal(err)
	}
	if string(p[:n]) != want {
		b.t.Errorf("content %.80q, want %.80q", p[:n], want)
	}
}

// list checks a directory; entries are written "name:size", directories "name/".
func (b *bench) list(path string, want ...string) {
	b.t.Helper()
	entries, err := b.disk.ReadDir(path)
	b.want(err, nil)
	var got []string
	for _, e := range entries {
		if e.Dir {
			got = append(got, e.Name+"/")
			if e.Size != 0 {
				b.t.Errorf("directory %s has size %d", e.Name, e.Size)
			}
			continue
		}
		got = append(got, fmt.Sprintf("%s:%d", e.Name, e.Size))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		b.t.Errorf("%s lists %q, want %q", path, got, want)
	}
}

// violates checks that f stops the program as a wrong one: with a panic that somebody meant.
func (b *bench) violates(f func()) {
	b.t.Helper()
	defer func() {
		b.t.Helper()
		switch r := recover().(type) {
		case nil:
			b.t.Error("no violation")
		case runtime.Error:
			b.t.Errorf("an accident: %v", r)
		}
	}()
	f()
}

func zeroes(n int) string { return strings.Repeat("\x00", n) }

// pattern is text in which every position differs from its neighbours.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte('a' + (i*7+i/251)%26)
	}
	return p
}
