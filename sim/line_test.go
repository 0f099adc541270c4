package sim_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"lignum/sim"
)

// The story of a seed: a line for each event and each call on a disk, and the telling changes nothing.
func TestTheStory(t *testing.T) {
	silent := newStory(3, ledgerOptions{})
	defer silent.world.Close()
	silent.crashes(true)
	silent.run(time.Second)

	s := newStory(3, ledgerOptions{})
	defer s.world.Close()
	var lines []string
	var out bytes.Buffer
	var err error
	write := sim.JSONLines(&out, &err)
	s.world.Tell(func(l sim.Line) {
		lines = append(lines, l.String())
		write(l)
	})
	s.crashes(true)
	s.run(time.Second)
	if s.world.Trace() != silent.world.Trace() {
		t.Error("telling changes the story")
	}
	story := strings.Join(lines, "\n")
	for _, want := range []string{
		"world: the scenario acts", "host-1: the loop comes round for 1 inputs", "host-1: a job of lane 0 begins", "host-1: open ledger",
		"host-1: the job of lane 1 goes on with sync ledger", "write ledger: 8 bytes at", "host-1 connection 1: a client at 10.1.0.1:1025 reaches listener PLAINTEXT",
		"connection 1: 13 bytes arrive at the host", "bytes arrive at the client", "the client is told that it is over",
	} {
		if !strings.Contains(story, want) {
			t.Errorf("no line says %q", want)
		}
	}
	if uint64(len(lines)) < s.world.Steps() || err != nil {
		t.Errorf("%d lines of %d events, %v", len(lines), s.world.Steps(), err)
	}
	for dec := json.NewDecoder(&out); len(lines) > 0; lines = lines[1:] {
		var l sim.Line
		if err := dec.Decode(&l); err != nil || l.String() != lines[0] {
			t.Fatalf("%v: %s, want %s", err, l, lines[0])
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestJSONLinesKeepTheirError(t *testing.T) {
	var err error
	f := sim.JSONLines(brokenWriter{}, &err)
	f(sim.Line{})
	f(sim.Line{})
	if err == nil || err.Error() != "no room" {
		t.Error(err)
	}
}
