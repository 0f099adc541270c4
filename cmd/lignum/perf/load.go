package perf

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// load is a fixed pattern of requests over some connections. Frames on both sides begin with their length in four
// bytes, as Kafka's do; the sinks that stand for the machine's limits speak the same.
type load struct {
	streams  []stream
	inFlight int
	// Each stream ends after so many requests or so much time, whichever comes first.
	requests int64
	time     time.Duration
	// every is the time from one request of a stream to the next; without it the next is sent as soon as one more may be under way. A request
	// that could not be sent when it was due counts from when it was due.
	every time.Duration
	// starting, if set, is called when all is warm and the measurement begins.
	starting func()
}

// stream is what one connection does.
type stream struct {
	address string
	// next returns the n-th frame to send, valid until the next call.
	next func(n int64) []byte
	// judge looks at the first bytes of an answer's body, of n bytes in all.
	judge func(head []byte, n int) error
}

// spacing is the time between two requests of one stream if all streams together send so many in a second; 0 for no bound.
func (l load) spacing(rate, streams int) time.Duration {
	if rate == 0 {
		return 0
	}
	return time.Second * time.Duration(streams) / time.Duration(rate)
}

// headBytes is how much of an answer is kept for the judge.
const headBytes = 256

// outcome is what a load came to.
type outcome struct {
	requests      int64
	sent, answers int64 // bytes
	elapsed       time.Duration
	latency       latencies
}

func (r outcome) perSecond() float64  { return float64(r.requests) / r.elapsed.Seconds() }
func (r outcome) sentMBps() float64   { return float64(r.sent) / 1e6 / r.elapsed.Seconds() }
func (r outcome) answerMBps() float64 { return float64(r.answers) / 1e6 / r.elapsed.Seconds() }

// run opens every connection, warms each up with a window of requests, and then starts all of them at once.
func (l load) run(ctx context.Context) (outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	runs := make([]*streamRun, len(l.streams))
	var dialer net.Dialer
	for i, s := range l.streams {
		conn, err := dialer.DialContext(ctx, "tcp", s.address)
		if err != nil {
			return outcome{}, err
		}
		defer conn.Close()
		runs[i] = &streamRun{stream: s, conn: conn, in: bufio.NewReaderSize(conn, 256*kib)}
		context.AfterFunc(ctx, func() { conn.Close() })
	}
	each := func(work func(*streamRun) error) error {
		errs := make([]error, len(runs))
		var wg sync.WaitGroup
		for i, r := range runs {
			wg.Go(func() {
				if errs[i] = work(r); errs[i] != nil {
					cancel()
				}
			})
		}
		wg.Wait()
		return firstCause(errs)
	}
	window := min(int64(l.inFlight), l.requests)
	if err := each(func(r *streamRun) error { return r.exchange(window, l.inFlight, time.Time{}, 0) }); err != nil {
		return outcome{}, err
	}
	for _, r := range runs {
		r.outcome = outcome{}
	}
	if l.starting != nil {
		l.starting()
	}
	began := time.Now()
	if err := each(func(r *streamRun) error { return r.exchange(l.requests, l.inFlight, began.Add(l.time), l.every) }); err != nil {
		return outcome{}, err
	}
	total := outcome{elapsed: time.Since(began)}
	for _, r := range runs {
		total.requests += r.requests
		total.sent += r.sent
		total.answers += r.answers
		total.latency.merge(&r.latency)
	}
	return total, context.Cause(ctx)
}

// firstCause prefers an error that is not the echo of another stream's failure.
func firstCause(errs []error) error {
	var echo error
	for _, err := range errs {
		if errors.Is(err, net.ErrClosed) {
			echo = err
		} else if err != nil {
			return err
		}
	}
	return echo
}

// streamRun is a stream under way. Its writer owns number and sent, its reader the other counts, until both have ended.
type streamRun struct {
	stream
	conn   net.Conn
	in     *bufio.Reader
	number int64 // requests sent since the connection was opened
	outcome
}

// exchange sends up to n requests, none after the deadline unless it is zero, and reads every answer.
func (r *streamRun) exchange(n int64, inFlight int, deadline time.Time, every time.Duration) error {
	began := make(chan time.Time, inFlight-1) // the reader holds one more
	gone := make(chan struct{})
	read := make(chan error, 1)
	go func() {
		defer close(gone)
		err := r.readAnswers(began)
		if err != nil {
			r.conn.Close() // a writer may be stuck in it
		}
		read <- err
	}()
	err := r.send(n, deadline, every, began, gone)
	close(began)
	if e := <-read; e != nil {
		return e
	}
	return err
}

func (r *streamRun) send(n int64, deadline time.Time, every time.Duration, began chan<- time.Time, gone <-chan struct{}) error {
	first := time.Now()
	for i := range n {
		now := time.Now()
		if every > 0 {
			due := first.Add(time.Duration(i) * every)
			time.Sleep(due.Sub(now))
			now = due
		}
		if !deadline.IsZero() && now.After(deadline) {
			return nil
		}
		select {
		case began <- now:
		case <-gone:
			return nil
		}
		frame := r.next(r.number)
		r.number++
		if _, err := r.conn.Write(frame); err != nil {
			return err
		}
		r.sent += int64(len(frame))
	}
	return nil
}

// readAnswers reads one answer for each request that was begun.
func (r *streamRun) readAnswers(began <-chan time.Time) error {
	var head [headBytes]byte
	for at := range began {
		if _, err := io.ReadFull(r.in, head[:4]); err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		n := int(int32(binary.BigEndian.Uint32(head[:4])))
		if n < 0 {
			return fmt.Errorf("an answer of %d bytes", n)
		}
		kept := head[:min(n, headBytes)]
		if _, err := io.ReadFull(r.in, kept); err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		if _, err := r.in.Discard(n - len(kept)); err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		r.latency.add(time.Since(at))
		if err := r.judge(kept, n); err != nil {
			return err
		}
		r.requests++
		r.answers += int64(n) + 4
	}
	return nil
}
