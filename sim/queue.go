package sim

import (
	"fmt"

	"lignum/core/env"
)

// EventKind is what an event is about.
type EventKind uint8

// The kinds of events.
const (
	EventCall    EventKind = iota + 1 // a function of the scenario
	EventDrain                        // a node's loop takes its mailbox up
	EventTimer                        // a node's deadline has come
	EventJob                          // a job begins, or goes on behind one of its I/O calls
	EventConnect                      // a connection is set up
	EventUp                           // bytes arrive at a node
	EventDown                         // bytes arrive at a client
	EventEncode                       // a node's edge encodes frames
	EventFlush                        // a node's edge hands bytes to the kernel
	EventEnd                          // an end of a connection learns that it is over
)

var eventNames = [...]string{"", "call", "drain", "timer", "job", "connect", "up", "down", "encode", "flush", "end"}

// String is the kind's name.
func (k EventKind) String() string { return eventNames[k] }

// Event is one step of the world. It is a plain value: what belongs to it lies in the world's tables.
type Event struct {
	At   env.Instant
	seq  uint64
	A, B uint64 // what the kind makes of them
	Host uint32 // 1 and up; 0 if no host is concerned
	Kind EventKind
}

// String describes the event in one line.
func (e Event) String() string {
	return fmt.Sprintf("%d.%09d host %d %s %d %d", e.At/1e9, e.At%1e9, e.Host, e.Kind, e.A, e.B)
}

func (e *Event) before(o *Event) bool {
	return e.At < o.At || e.At == o.At && e.seq < o.seq
}

// queue is a heap of events with four children to a node.
type queue struct {
	heap []Event
}

func (q *queue) push(e Event) {
	q.heap = append(q.heap, e)
	h, i := q.heap, len(q.heap)-1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
}

func (q *queue) pop() Event {
	h := q.heap
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	q.heap = h
	if len(h) == 0 {
		return top
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= len(h) {
			break
		}
		for c := least + 1; c < min(4*i+5, len(h)); c++ {
			if h[c].before(&h[least]) {
				least = c
			}
		}
		if !h[least].before(&last) {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = last
	return top
}
