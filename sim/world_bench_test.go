package sim_test

import (
	"testing"
	"time"

	"lignum/core/env"
	"lignum/sim"
)

// BenchmarkWorld is the world with a small node and crashes: what is measured is the world.
func BenchmarkWorld(b *testing.B) {
	b.ReportAllocs()
	steps := uint64(0)
	virtual := time.Duration(0)
	for seed := uint64(0); b.Loop(); seed++ {
		s := newStory(seed, ledgerOptions{})
		s.crashes(true)
		s.run(5 * time.Second)
		steps += s.world.Steps()
		virtual += 5 * time.Second
		s.world.Close()
	}
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(virtual.Seconds()/b.Elapsed().Seconds(), "virtual-s/s")
}

// mill is a node that is never idle and allocates nothing: a timer, a file that it writes to, and a peer that talks to it.
type mill struct {
	sim.Ports
	deadline env.Instant
	file     env.File
	data     [][]byte
	busy     bool
	run      func() func()
	done     func()
	ticks    int
	chunks   int
}

func newMill(p sim.Ports) *mill {
	m := &mill{Ports: p, data: [][]byte{make([]byte, 100)}}
	m.done = func() { m.busy = false }
	m.run = func() func() {
		if m.file == nil {
			m.file, _ = p.Disk.Open("x", env.Create)
		}
		if m.file.WriteAt(500, m.data...) != nil || m.file.Sync() != nil {
			panic("a disk without faults failed")
		}
		return m.done
	}
	return m
}

func (m *mill) Connected(env.ConnID, env.ConnInfo)     {}
func (m *mill) Received(_ env.ConnID, req env.Request) { m.chunks++; req.Release() }
func (m *mill) Disconnected(env.ConnID)                {}
func (m *mill) Tick()                                  { m.ticks++; m.deadline = m.Clock.Now().Add(time.Millisecond) }
func (m *mill) Deadline() env.Instant                  { return m.deadline }
func (m *mill) EndDrain() {
	if !m.busy {
		m.busy = true
		m.Jobs.Start(1, m.run)
	}
}

// An event costs no allocation: not a timer, not a round of the loop, not a job or its calls, not bytes on their way.
func TestEventsDoNotAllocate(t *testing.T) {
	w := sim.NewWorld(sim.Options{Seed: 1, Network: sim.NetworkOptions{SplitRate: 200_000}})
	defer w.Close()
	var m *mill
	h := w.AddHost(sim.HostOptions{Decode: decode, MaxFrame: 1 << 30, Boot: func(p sim.Ports) env.Node {
		m = newMill(p)
		return m
	}})
	h.Start()
	c := w.Dial(h, "PLAINTEXT", &reader{over: true})
	chunk := make([]byte, 100)
	var talk func()
	talk = func() {
		c.SendRaw(chunk)
		w.After(time.Millisecond, talk)
	}
	w.Run(env.Instant(100 * time.Millisecond))
	c.SendRaw([]byte{0x3f, 0, 0, 0}) // a frame that does not end
	talk()
	w.Run(env.Instant(40 * time.Second)) // everything has grown to its size
	before, ticks := w.Steps(), m.ticks
	allocations := testing.AllocsPerRun(1, func() { w.Run(w.Now().Add(time.Second)) })
	events := (w.Steps() - before) / 2
	if m.ticks == ticks || events < 4000 || allocations > float64(events)/200 {
		t.Errorf("%v allocations in %d events, %d ticks", allocations, events, m.ticks-ticks)
	}
	t.Logf("%v allocations in %d events", allocations, events)
}
