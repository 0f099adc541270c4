// Package planted breaks the house's rules on purpose: a comment names the rule that must find its line.
package planted

import (
	"iter"
	"sync" // want import
)

type mailbox struct {
	in  chan int // want channel
	mux sync.Mutex
}

func (m *mailbox) start(work func()) {
	go work()   // want goroutine
	go func() { // want goroutine
		m.in <- 1 // want channel
	}()
}

func (m *mailbox) wait() int {
	select { // want channel
	case v := <-m.in: // want channel
		return v
	default:
	}
	for v := range m.in { // want channel
		return v
	}
	close(m.in)   // want channel
	return <-m.in // want channel
}

func pulled(s iter.Seq[int]) int {
	next, stop := iter.Pull(s) // want goroutine
	defer stop()
	v, _ := next()
	return v
}

func init() { // want init
	_ = pulled
}
