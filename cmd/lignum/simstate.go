package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"lignum/scenarios"
)

// tally is what came of the seeds of a run so far. It is kept in a file, so that a run that was interrupted goes on.
type tally struct {
	// What was run: results under anything else do not add up.
	Code     string
	Scenario string
	Length   time.Duration
	Twice    bool

	From, Next uint64 // the seeds in [From, Next) are in
	Parts      int    // processes that have run some of them
	Spent      time.Duration
	Failed     int      // seeds with a violation
	Reports    []string // a line for each of the first of those
	Empty      int      // seeds that have shown nothing
	Why        string   // what the first of those lacked
	Sum        scenarios.Summary

	pending map[uint64]scenarios.Result // seeds behind Next that were done before it
}

// mostReports bounds the file.
const mostReports = 100

// add takes in the result of a seed. It counts when all seeds before it are in.
func (t *tally) add(r scenarios.Result) {
	if t.pending == nil {
		t.pending = map[uint64]scenarios.Result{}
	}
	t.pending[r.Seed] = r
	for r, ok := t.pending[t.Next]; ok; r, ok = t.pending[t.Next] {
		delete(t.pending, t.Next)
		t.Next++
		t.count(&r)
	}
}

func (t *tally) count(r *scenarios.Result) {
	t.Sum.Add(*r)
	t.Sum.Failed, t.Sum.Empty = nil, nil // as counts, they do not grow
	if line := r.Report(); line != "" {
		t.Failed++
		if len(t.Reports) < mostReports {
			t.Reports = append(t.Reports, line)
		}
		return
	}
	if why := r.Vacuous(); why != "" {
		if t.Empty == 0 {
			t.Why = fmt.Sprintf("seed %d: %s", r.Seed, why)
		}
		t.Empty++
	}
}

// same says whether the results of both add up.
func (t *tally) same(o *tally) bool {
	return t.Code == o.Code && t.Scenario == o.Scenario && t.Length == o.Length && t.Twice == o.Twice
}

// resume goes on with what a file says, if that is of the same run. It returns what there is to be told.
func (t *tally) resume(path string) (news string, err error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("state: %w", err)
	}
	var kept tally
	if err := json.Unmarshal(content, &kept); err != nil {
		return "", fmt.Errorf("state: %s is none; remove it to begin anew: %w", path, err)
	}
	switch {
	case kept.Code != t.Code:
		return fmt.Sprintf("%s is of other code (%s, this is %s): beginning anew", path, kept.Code, t.Code), nil
	case !kept.same(t):
		return fmt.Sprintf("%s is of another run (scenario %s, length %v, twice %v): beginning anew", path, kept.Scenario, kept.Length, kept.Twice), nil
	}
	*t = kept
	return fmt.Sprintf("%s: going on at seed %d, behind %d seeds in %v", path, t.Next, t.Sum.Seeds, t.Spent.Round(time.Second)), nil
}

// save replaces the file at once: whoever reads it finds the old state or the new one.
func (t *tally) save(path string) error {
	content, err := json.MarshalIndent(t, "", "\t")
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := replaceFile(path, content); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

func replaceFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// codeID names the code that runs: its version, and a hash of the program, in which everything is that decides what a seed tells.
func codeID() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	return versionText() + " " + hex.EncodeToString(sum[:6]), nil
}
