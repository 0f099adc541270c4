package perf

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestBatchIsWhole(t *testing.T) {
	for _, n := range []int{256, 300, 1000, kib, 2*kib - 1, 2 * kib, 16 * kib, 100_001, 256 * kib, mib} {
		encoded, records := batch(n)
		if len(encoded) != n {
			t.Fatalf("batch(%d) has %d bytes", n, len(encoded))
		}
		b := kmsg.NewRecordBatch()
		if err := b.ReadFrom(encoded); err != nil {
			t.Fatalf("batch(%d): %v", n, err)
		}
		if want := int32(crc32.Checksum(encoded[21:], crc32.MakeTable(crc32.Castagnoli))); b.CRC != want {
			t.Errorf("batch(%d): CRC %x, want %x", n, b.CRC, want)
		}
		if int(b.NumRecords) != records || int(b.LastOffsetDelta) != records-1 || int(b.Length) != n-12 {
			t.Errorf("batch(%d): %d records, last %d, length %d", n, b.NumRecords, b.LastOffsetDelta, b.Length)
		}
		rest := b.Records
		for i := range records {
			r := kmsg.NewRecord()
			if err := r.ReadFrom(rest); err != nil {
				t.Fatalf("batch(%d), record %d: %v", n, i, err)
			}
			if int(r.OffsetDelta) != i {
				t.Errorf("batch(%d), record %d has offset %d", n, i, r.OffsetDelta)
			}
			rest = rest[r.Length+2:]
		}
		if len(rest) != 0 {
			t.Errorf("batch(%d): %d bytes behind the last record", n, len(rest))
		}
	}
}

func TestQuantiles(t *testing.T) {
	var a, b latencies
	for i := 1; i <= 10_000; i++ {
		l := &a
		if i%3 == 0 {
			l = &b
		}
		l.add(time.Duration(i) * time.Microsecond)
	}
	a.add(-1)
	a.add(1<<63 - 1)
	a.merge(&b)
	for q, want := range map[float64]time.Duration{.5: 5 * time.Millisecond, .99: 9900 * time.Microsecond} {
		if got := a.quantile(q); got < want*99/100 || got > want*104/100 {
			t.Errorf("quantile(%v) = %v, want about %v", q, got, want)
		}
	}
	if got := a.quantile(1); got != 1<<63-1 {
		t.Errorf("quantile(1) = %v", got)
	}
	if got := new(latencies).quantile(.5); got != 0 {
		t.Errorf("quantile of nothing = %v", got)
	}
}

func TestBucketsAreContiguous(t *testing.T) {
	for i, want := 0, time.Duration(0); i < 500; i++ {
		if want < bucketEnd(i) {
			want = bucketEnd(i)
		} else if i > 0 {
			t.Fatalf("bucket %d ends at %v, not behind the one before", i, bucketEnd(i))
		}
		var l latencies
		l.add(bucketEnd(i))
		if l.buckets[i] != 1 {
			t.Fatalf("%v is not in bucket %d", bucketEnd(i), i)
		}
	}
}

func TestRunAgainstABroker(t *testing.T) {
	b := newToyBroker(t)
	var report bytes.Buffer
	o := Options{
		Brokers: []string{b.address()}, Dir: t.TempDir(), Connections: []int{1, 3}, Sizes: []int{kib},
		CellTime: 20 * time.Millisecond, CellBytes: mib,
	}
	if err := Run(t.Context(), &report, o); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## Disk, alone", "## Loopback TCP, alone", "## Produce", "| all | 1 KiB | 3 |", "## Fetch", "| 1 MiB | 1 |"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("no %q in the report:\n%s", want, report.String())
		}
	}
	if created, removed := b.counts(); created == 0 || created != removed {
		t.Errorf("%d topics created, %d removed", created, removed)
	}
}

// TestRate: a load that is spaced sends what is due and no more.
func TestRate(t *testing.T) {
	b := newToyBroker(t)
	var report bytes.Buffer
	o := Options{
		Brokers: []string{b.address()}, Dir: t.TempDir(), Connections: []int{2}, Sizes: []int{kib}, Acks: []int16{-1},
		CellTime: 100 * time.Millisecond, Rate: 200, ProduceOnly: true,
	}
	if err := Run(t.Context(), &report, o); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(report.String(), "## Disk") || strings.Contains(report.String(), "## Fetch") || !strings.Contains(report.String(), "| all | 1 KiB | 2 |") {
		t.Errorf("not produce alone:\n%s", report.String())
	}
	if got := (load{}).spacing(200, 2); got != 10*time.Millisecond {
		t.Errorf("one of two streams that send 200 a second waits %v", got)
	}
}

func TestRunReportsRefusals(t *testing.T) {
	b := newToyBroker(t)
	b.refuse = 10 // MESSAGE_TOO_LARGE
	o := Options{Brokers: []string{b.address()}, Dir: t.TempDir(), Connections: []int{2}, Sizes: []int{kib}, CellTime: time.Millisecond}
	err := Run(t.Context(), new(bytes.Buffer), o)
	if err == nil || !strings.Contains(err.Error(), "produce: MESSAGE_TOO_LARGE") {
		t.Errorf("got %v", err)
	}
}

// TestLeadersHearLast: the leaders of a fresh topic may not know yet that they are. That is not measured, and ends nothing.
func TestLeadersHearLast(t *testing.T) {
	b := newToyBroker(t)
	b.hesitant = 5
	o := Options{Brokers: []string{b.address()}, Dir: t.TempDir(), Connections: []int{2}, Sizes: []int{kib}, CellTime: time.Millisecond, ProduceOnly: true}
	if err := Run(t.Context(), new(bytes.Buffer), o); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hesitant > 0 {
		t.Errorf("%d produces are still to be refused", b.hesitant)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := Options{Dir: t.TempDir(), Connections: []int{1}, Sizes: []int{kib}, LimitsOnly: true}
	if err := Run(ctx, new(bytes.Buffer), o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOptionsReportEveryFault(t *testing.T) {
	o := Options{Connections: []int{0}, Sizes: []int{10}, Acks: []int16{0}, InFlight: -1}
	err := Run(t.Context(), new(bytes.Buffer), o)
	for _, want := range []string{"0 connections", "10 bytes", "acks 0", "-1 requests"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}
