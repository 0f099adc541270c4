package sim_test

import (
	"strings"
	"testing"

	"lignum/core/invariant"
	"lignum/sim"
)

// violation returns the message that f violates an invariant with.
func violation(t *testing.T, f func()) (message string) {
	t.Helper()
	defer func() {
		v, ok := recover().(invariant.Violation)
		if !ok {
			t.Error("no violation")
		}
		message = v.Message
	}()
	f()
	return ""
}

func TestMemoryCounts(t *testing.T) {
	m := sim.NewMemory()
	b := m.Get(100)
	if len(b.Bytes()) != 100 || cap(b.Bytes()) != 100 {
		t.Errorf("buffer of %d, capacity %d", len(b.Bytes()), cap(b.Bytes()))
	}
	b.Retain()
	b.Release()
	if n, bytes := m.Held(); n != 1 || bytes != 100 || len(m.Leaks()) != 1 {
		t.Errorf("held %d, %d bytes", n, bytes)
	}
	b.Release()
	if n, _ := m.Held(); n != 0 || m.Leaks() != nil || m.Peak() != 100 {
		t.Errorf("held %d, leaks %v, peak %d", n, m.Leaks(), m.Peak())
	}
}

func TestMemoryFindsMisuse(t *testing.T) {
	m := sim.NewMemory()
	b := m.Get(10)
	p := b.Bytes()
	copy(p, "0123456789")
	b.Release()
	if p[0] != 0xdb || p[9] != 0xdb {
		t.Error("a released buffer still shows its content")
	}
	for what, f := range map[string]func(){"release": b.Release, "retain": b.Retain, "use": func() { b.Bytes() }} {
		if got := violation(t, f); !strings.Contains(got, what) {
			t.Errorf("%s after release: %q", what, got)
		}
	}
	m.Check()
	p[3] = 'x'
	if got := violation(t, m.Check); !strings.Contains(got, "written at 3") {
		t.Errorf("late write: %q", got)
	}
}

func TestMemoryFindsLateWriteOnReuse(t *testing.T) {
	m := sim.NewMemory()
	b := m.Get(5000)
	p := b.Bytes()
	b.Release()
	p[4999] = 0
	got := violation(t, func() {
		for range 100 {
			m.Get(5000).Release()
		}
	})
	if !strings.Contains(got, "written at 4999") {
		t.Errorf("late write: %q", got)
	}
}

func TestMemoryNamesOrigins(t *testing.T) {
	m := sim.NewMemory()
	m.RecordOrigins()
	m.Get(1)
	if leaks := m.Leaks(); len(leaks) != 1 || !strings.Contains(leaks[0], "TestMemoryNamesOrigins") {
		t.Errorf("leaks %q", leaks)
	}
}
