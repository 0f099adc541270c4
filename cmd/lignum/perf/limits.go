package perf

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// limit names one measurement of the machine.
type limit struct {
	what        string // "sink" or "sendfile"
	size        int    // bytes of the large side of an exchange
	connections int
}

// limits are the megabytes per second that the machine can do.
type limits map[limit]float64

// share is a throughput as a part of the limit, for a cell of a table.
func (l limits) share(k limit, got float64) string {
	if l[k] == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", got/l[k])
}

// diskFileBytes is the size of the files that the disk is measured with.
const diskFileBytes = 128 * mib

// fetchSizes are the sizes of answers: those of requests, and 1 MiB, which consumers ask for.
func (o Options) fetchSizes() []int {
	for _, n := range o.Sizes {
		if n == mib {
			return o.Sizes
		}
	}
	return append(append([]int(nil), o.Sizes...), mib)
}

// measureDisk times writes into the page cache, and fdatasync on a file whose blocks are written already, which is
// what a journal of recycled files does.
func (b *bench) measureDisk(ctx context.Context, dir string) error {
	name := filepath.Join(dir, "limit")
	defer os.Remove(name)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	b.out.head("Disk, alone", "what", "bytes", "times/s", "MB/s", "p50 us", "p99 us")
	for _, n := range b.Sizes {
		// Each size begins with an empty file, as a new segment does.
		if err := f.Truncate(0); err != nil {
			return err
		}
		err := b.timeDisk(ctx, "page-cache write, growing file", n, func(off int64, p []byte) error {
			_, err := f.WriteAt(p, off)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := zeroFill(f); err != nil {
		return err
	}
	for _, n := range append([]int{4 * kib}, b.Sizes...) {
		if n%512 != 0 {
			continue
		}
		err := b.timeDisk(ctx, "write and fdatasync, zero-written file", n, func(off int64, p []byte) error {
			if _, err := f.WriteAt(p, off); err != nil {
				return err
			}
			return syncData(f)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func zeroFill(f *os.File) error {
	zeroes := make([]byte, mib)
	for off := int64(0); off < diskFileBytes; off += mib {
		if _, err := f.WriteAt(zeroes, off); err != nil {
			return err
		}
	}
	return f.Sync()
}

// timeDisk does one operation after another, from the front of the file to its end, until the time or the file is used up.
func (b *bench) timeDisk(ctx context.Context, what string, n int, operate func(off int64, p []byte) error) error {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 7)
	}
	var r outcome
	began := time.Now()
	last := began
	for off := int64(0); off+int64(n) <= diskFileBytes && last.Sub(began) < b.CellTime; off += int64(n) {
		if err := operate(off, p); err != nil {
			return err
		}
		now := time.Now()
		r.latency.add(now.Sub(last))
		last = now
		r.requests++
		r.sent += int64(n)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	r.elapsed = last.Sub(began)
	b.out.row(what, size(n), number(r.perSecond()), number(r.sentMBps()), micros(r.latency.quantile(.5)), micros(r.latency.quantile(.99)))
	return nil
}

// measureLoopback exchanges frames with sinks in this process: large requests with small answers, as in produce, and small
// requests with large answers out of a cached file, as in fetch.
func (b *bench) measureLoopback(ctx context.Context, dir string) error {
	file, err := cachedFile(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	sink, err := serve(func(c net.Conn) { answerSmall(c, 64) })
	if err != nil {
		return err
	}
	defer sink.close()
	b.out.head("Loopback TCP, alone", "what", "bytes", "connections", "times/s", "MB/s", "p50 us", "p99 us")
	if err := b.exchange(ctx, "round trip, one at a time", 1, 64, 1, sink, true); err != nil {
		return err
	}
	for _, n := range b.Sizes {
		for _, conns := range b.Connections {
			if err := b.exchange(ctx, "sink", b.InFlight, n, conns, sink, true); err != nil {
				return err
			}
		}
	}
	for _, n := range b.fetchSizes() {
		source, err := serve(func(c net.Conn) { answerFile(c, file, n) })
		if err != nil {
			return err
		}
		for _, conns := range b.Connections {
			if err := b.exchange(ctx, "sendfile", b.InFlight, n, conns, source, false); err != nil {
				source.close()
				return err
			}
		}
		source.close()
	}
	return nil
}

// exchange measures one pattern against a sink and notes it as a limit. The large side is the request or the answer.
func (b *bench) exchange(ctx context.Context, what string, inFlight, n, conns int, sink *server, largeRequest bool) error {
	frame := frameOf(64)
	if largeRequest {
		frame = frameOf(n)
	}
	l := b.load(n, conns)
	l.inFlight = inFlight
	for range conns {
		l.streams = append(l.streams, stream{
			address: sink.address(),
			next:    func(int64) []byte { return frame },
			judge:   func([]byte, int) error { return nil },
		})
	}
	r, err := l.run(ctx)
	if err != nil {
		return err
	}
	mbps := r.answerMBps()
	if largeRequest {
		mbps = r.sentMBps()
	}
	b.limits[limit{what, n, conns}] = mbps
	b.out.row(what, size(n), strconv.Itoa(conns), number(r.perSecond()), number(mbps),
		micros(r.latency.quantile(.5)), micros(r.latency.quantile(.99)))
	return nil
}

// load is an empty load that stays within the bounds of one measurement with n bytes in each exchange.
func (b *bench) load(n, conns int) load {
	return load{
		inFlight: b.InFlight,
		time:     b.CellTime,
		requests: max(b.CellBytes/int64(n)/int64(conns), 2*int64(b.InFlight)),
	}
}
