// Package linearizability judges what clients saw: whether there is one order of all operations, each at an instant between its
// call and its return, that a simple sequential thing could have gone through. It knows nothing of the broker.
package linearizability

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"lignum/linearizability/history"
)

// Verdict is what the checker found.
type Verdict uint8

// The verdicts.
const (
	// Linearizable: there is such an order.
	Linearizable Verdict = iota + 1
	// Violated: there is none.
	Violated
	// Undecided: the checker ran out of time.
	Undecided
)

// String is the verdict in one word.
func (v Verdict) String() string {
	switch v {
	case Linearizable:
		return "linearizable"
	case Violated:
		return "violated"
	case Undecided:
		return "undecided"
	}
	return "?"
}

// end is the state of one partition as a sequential thing: how long it is, and the chain over all that is in it. Its size does not
// depend on the history's.
type end struct {
	offset int64
	chain  uint64
}

// step is one operation on the sequential partition.
func (e end) step(op *history.Op) (end, bool) {
	if op.Offset != e.offset {
		return e, false
	}
	if op.Kind == history.Append {
		return end{e.offset + op.Count, history.Chain(e.chain, op.Content)}, true
	}
	return e, !op.Whole || op.Content == e.chain
}

var partitionModel = porcupine.Model{
	Step: func(state, input, _ any) (bool, any) {
		next, ok := state.(end).step(input.(*history.Op))
		if !ok {
			return false, state
		}
		return true, next
	},
	Equal: func(a, b any) bool { return a.(end) == b.(end) },
	Hash:  func(state any) uint64 { e := state.(end); return history.Chain(e.chain, uint64(e.offset)) },
	DescribeOperation: func(input, _ any) string {
		op := input.(*history.Op)
		if op.Kind == history.Append {
			return fmt.Sprintf("append %d at %d", op.Count, op.Offset)
		}
		return fmt.Sprintf("read up to %d", op.Offset)
	},
	DescribeState: func(state any) string { return fmt.Sprintf("end %d", state.(end).offset) },
}

// patience bounds the search; a history that was recorded rightly needs a small part of it.
const patience = 20 * time.Second

// patiently gives a judge a second time as much when the first was not enough: the process may have stood still meanwhile.
func patiently(judge func(deadline time.Time) Verdict) Verdict {
	v := judge(time.Now().Add(patience))
	if v == Undecided {
		v = judge(time.Now().Add(patience))
	}
	return v
}

// JudgePartition looks for an order of the appends to a partition and of the sights of its end. The partition was empty at first, and each
// append took at least one offset.
//
// An append whose outcome its client does not know, but whose records were seen, is an operation that returned Forever; one whose
// records never came into sight is none.
func JudgePartition(log history.Log) Verdict {
	return patiently(func(deadline time.Time) Verdict { return judgePieces(log.Ops, enough, deadline) })
}

// judgePieces judges a history piece by piece.
func judgePieces(ops []history.Op, size int, deadline time.Time) Verdict {
	tight := tighten(ops)
	for start := (end{}); len(tight) > 0; {
		piece, next, ok := cut(tight, size, start)
		if !ok {
			return Violated
		}
		if v := judge(piece, start, time.Until(deadline)); v != Linearizable {
			return v
		}
		tight, start = tight[len(piece):], next
	}
	return Linearizable
}

// enough is how many operations make a piece. The checker remembers for each step which operations came before it, so what it needs for one history
// grows with the square of its length.
const enough = 200

// cut takes the first operations, up to one at which the end must have moved on, and finds out where it is then. All of what follows comes after them in
// any order, which tighten has seen to, so each piece can be judged by itself. It is false if the appends leave a gap or overlap.
func cut(tight []history.Op, size int, at end) (piece []history.Op, next end, ok bool) {
	for i := range tight {
		op := &tight[i]
		if i >= size && op.Offset != tight[i-1].Offset {
			return tight[:i], at, true
		}
		if op.Call > op.Return {
			return nil, at, false
		}
		if op.Kind == history.Append {
			if at, ok = at.step(op); !ok || op.Count < 1 {
				return nil, at, false
			}
		}
	}
	return tight, at, true
}

// judge has a piece of a history checked.
func judge(piece []history.Op, start end, within time.Duration) Verdict {
	if within <= 0 {
		return Undecided
	}
	ops := make([]porcupine.Operation, len(piece))
	for i := range piece {
		op := &piece[i]
		ops[i] = porcupine.Operation{ClientId: op.Client, Input: op, Call: op.Call, Return: op.Return}
	}
	model := partitionModel
	model.Init = func() any { return start }
	switch porcupine.CheckOperationsTimeout(model, ops, within) {
	case porcupine.Ok:
		return Linearizable
	case porcupine.Illegal:
		return Violated
	}
	return Undecided
}

// tighten narrows the operations' intervals as far as any order allows: the end never goes back, so an operation at a lower offset
// comes before one at a higher, and the reads at an offset before the append there. It saves the checker nearly all its search.
func tighten(ops []history.Op) []history.Op {
	out := slices.Clone(ops)
	slices.SortStableFunc(out, func(a, b history.Op) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(b.Kind, a.Kind), cmp.Compare(a.Call, b.Call))
	})
	call, ret := int64(-1<<63), history.Forever
	for i, at := 0, 0; i < len(out); i = at {
		next := call
		for ; at < len(out) && level(&out[at]) == level(&out[i]); at++ {
			next = max(next, out[at].Call)
			out[at].Call = max(out[at].Call, call)
		}
		call = next
	}
	for i, at := len(out)-1, len(out)-1; i >= 0; i = at {
		next := ret
		for ; at >= 0 && level(&out[at]) == level(&out[i]); at-- {
			next = min(next, out[at].Return)
			out[at].Return = min(out[at].Return, ret)
		}
		ret = next
	}
	return out
}

// level is what operations have in common that no rule orders.
func level(op *history.Op) [2]int64 { return [2]int64{op.Offset, int64(op.Kind)} }
