package commitlog_test

import (
	"math/bits"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/disk"
	"lignum/sim"
)

// heap is an env.Memory that keeps what is released, by size.
type heap struct {
	free [32][]*piece
}

type piece struct {
	heap  *heap
	p     []byte
	n     int
	refs  int
	class int
}

func (h *heap) Get(n int) env.Buffer {
	class := bits.Len(uint(n - 1))
	if k := len(h.free[class]); k > 0 {
		b := h.free[class][k-1]
		h.free[class] = h.free[class][:k-1]
		b.refs, b.n = 1, n
		return b
	}
	return &piece{heap: h, p: make([]byte, 1<<class), n: n, refs: 1, class: class}
}

func (b *piece) Bytes() []byte { return b.p[:b.n] }
func (b *piece) Retain()       { b.refs++ }
func (b *piece) Release() {
	if b.refs--; b.refs == 0 {
		b.heap.free[b.class] = append(b.heap.free[b.class], b)
	}
}

// onDisk makes a log on the machine's own disk.
func onDisk(b *testing.B, s commitlog.Settings) (*commitlog.Log, *disk.Disk) {
	b.Helper()
	d, err := disk.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	found, err := commitlog.Create(d, dir, partition, 0, 0)
	if err != nil {
		b.Fatal(err)
	}
	return commitlog.New(found, s, &heap{}, sim.NewRand(1), 0, 0), d
}

func drain(b *testing.B, l *commitlog.Log) {
	w := l.TakeWrites()
	if w == nil {
		return
	}
	w.Run()
	if err := l.Wrote(w); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAppend appends batches of 1 KiB, ten in each drain, and writes them.
func BenchmarkAppend(b *testing.B) {
	s := commitlog.DefaultSettings()
	s.RetentionBytes = 64 << 20
	s.SegmentBytes = 64 << 20
	l, _ := onDisk(b, s)
	batch := batchOf(1024-68, 1)
	b.SetBytes(int64(batch.Size()))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := l.Append(batch, commitlog.AppendInfo{Now: env.Instant(i) * 1000}); err != nil {
			b.Fatal(err)
		}
		if i%10 == 9 {
			drain(b, l)
		}
		if i%1000 == 0 {
			l.ReleaseMemory(l.Memory() - 4<<20)
		}
	}
	b.StopTimer()
	drain(b, l)
}

func filled(b *testing.B, size int, total int64) (*commitlog.Log, *disk.Disk) {
	l, d := onDisk(b, commitlog.DefaultSettings())
	batch := batchOf(size-68, 1)
	for n := int64(0); n < total; n += int64(batch.Size()) {
		if _, err := l.Append(batch, commitlog.AppendInfo{Now: env.Instant(n)}); err != nil {
			b.Fatal(err)
		}
		drain(b, l)
	}
	return l, d
}

// BenchmarkReadHot reads 64 KiB from memory, at places all over the tail.
func BenchmarkReadHot(b *testing.B) {
	l, _ := filled(b, 1024, 8<<20)
	end := l.EndOffset()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		from := record.Offset(i*7919) % end
		r, job, err := l.Read(commitlog.ReadRequest{From: from, UpTo: end, MaxBytes: 64 << 10, AtLeastOne: true})
		if err != nil || job != nil {
			b.Fatal(err, job)
		}
		r.Release()
	}
}

// BenchmarkReadCold finds a place in a file of 200 MB; the bytes themselves would go by sendfile.
func BenchmarkReadCold(b *testing.B) {
	l, _ := filled(b, 1024, 200<<20)
	l.ReleaseMemory(1 << 40)
	end := l.EndOffset()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		from := record.Offset(i*7919) % end
		r, job, err := l.Read(commitlog.ReadRequest{From: from, UpTo: end, MaxBytes: 1 << 20, AtLeastOne: true})
		if job != nil {
			job.Run()
			r, _, err = l.Finish(job)
		}
		if err != nil || r.Length == 0 {
			b.Fatal(err, r.Length)
		}
		r.File.Close()
	}
}

// BenchmarkReadThrough goes through a file of 200 MB from its start, 1 MiB at a time.
func BenchmarkReadThrough(b *testing.B) {
	l, _ := filled(b, 1024, 200<<20)
	l.ReleaseMemory(1 << 40)
	end, from := l.EndOffset(), record.Offset(0)
	size := int64(batchOf(1024-68, 1).Size())
	b.ReportAllocs()
	for b.Loop() {
		r, job, err := l.Read(commitlog.ReadRequest{From: from, UpTo: end, MaxBytes: 1 << 20, AtLeastOne: true})
		if err != nil || job != nil && from < end-2048 {
			b.Fatal(err, from)
		}
		if from += record.Offset(r.Length / size); job != nil {
			job.Run()
			if r, _, err = l.Finish(job); err != nil {
				b.Fatal(err)
			}
			from = 0
		}
		r.File.Close()
	}
}

// BenchmarkRecovery opens a log of 100 MB after an unclean stop.
func BenchmarkRecovery(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"1KiB", 1024}, {"16KiB", 16 << 10}} {
		b.Run(c.name, func(b *testing.B) {
			_, d := filled(b, c.size, 100<<20)
			b.SetBytes(100 << 20)
			b.ReportAllocs()
			var took time.Duration
			for b.Loop() {
				start := time.Now()
				r, err := commitlog.Open(d, dir, partition, commitlog.DefaultSettings(), commitlog.OpenOptions{})
				if err != nil || r.CutBytes > 0 {
					b.Fatal(err)
				}
				took = time.Since(start)
				r.Close()
			}
			b.ReportMetric(float64(took.Milliseconds()), "ms/open")
		})
	}
}

// BenchmarkOpenClean opens the same log after a clean stop.
func BenchmarkOpenClean(b *testing.B) {
	l, d := filled(b, 1024, 100<<20)
	s := l.TakeSync()
	s.Run()
	if err := l.Synced(s); err != nil {
		b.Fatal(err)
	}
	c := l.TakeClose()
	c.Run()
	if err := l.Closed(c); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := commitlog.Open(d, dir, partition, commitlog.DefaultSettings(), commitlog.OpenOptions{Clean: true})
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}
