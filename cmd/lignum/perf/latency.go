package perf

import (
	"math/bits"
	"time"
)

// latencies counts durations in buckets: each power of two nanoseconds is cut into 32 equal parts, so that a quantile
// is right to 3 %. It is owned by one goroutine; results are merged afterwards.
type latencies struct {
	n       int64
	buckets [(64 - latencyBits + 1) << latencyBits]int64
}

const latencyBits = 5

func (l *latencies) add(d time.Duration) {
	v := uint64(max(d, 0))
	i := int(v)
	if shift := bits.Len64(v) - 1 - latencyBits; shift > 0 {
		i = shift<<latencyBits + int(v>>shift)
	}
	l.buckets[i]++
	l.n++
}

func (l *latencies) merge(other *latencies) {
	for i, n := range other.buckets {
		l.buckets[i] += n
	}
	l.n += other.n
}

// quantile is the upper end of the bucket that holds the q-th part of all durations, 0 <= q <= 1.
func (l *latencies) quantile(q float64) time.Duration {
	rank := int64(q * float64(l.n-1))
	for i, n := range l.buckets {
		if rank -= n; rank < 0 {
			return bucketEnd(i)
		}
	}
	return 0
}

func bucketEnd(i int) time.Duration {
	if i < 2<<latencyBits {
		return time.Duration(i)
	}
	shift := i>>latencyBits - 1
	return time.Duration(uint64(i-shift<<latencyBits+1)<<shift - 1)
}
