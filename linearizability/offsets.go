package linearizability

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"lignum/linearizability/history"
)

// offsetModel is a register: its state is the value, and a fetch sees it.
var offsetModel = porcupine.Model{
	Step: func(state, input, _ any) (bool, any) {
		op := input.(*history.Offset)
		if op.Kind == history.Commit {
			return true, op.Value
		}
		return op.Value == state.(uint64), state
	},
	Equal: func(a, b any) bool { return a.(uint64) == b.(uint64) },
	Hash:  func(state any) uint64 { return history.Chain(0, state.(uint64)) },
	DescribeOperation: func(input, _ any) string {
		op := input.(*history.Offset)
		return fmt.Sprintf("%s %d", op.Kind, op.Value)
	},
	DescribeState: func(state any) string { return fmt.Sprintf("value %d", state.(uint64)) },
}

// JudgeOffsets looks for an order of the commits and fetches of one group's offset of one partition. There was none at first.
//
// A commit whose outcome its client does not know returned Forever; one that was refused is no operation.
func JudgeOffsets(ops []history.Offset) Verdict {
	return patiently(func(deadline time.Time) Verdict { return judgeOffsets(ops, true, deadline) })
}

// judgeOffsets judges a history in pieces, or as a whole.
func judgeOffsets(ops []history.Offset, pieces bool, deadline time.Time) Verdict {
	tight, ok := tightenOffsets(ops)
	if !ok {
		return Violated
	}
	parts := []reign{{ops: tight}}
	if pieces {
		if parts, ok = reigns(tight); !ok {
			return Violated
		}
	}
	start := history.NoValue
	for _, part := range parts {
		for rest := part.ops; len(rest) > 0; {
			n := len(rest)
			if pieces {
				n = cutOffsets(rest)
			}
			if v := judgeOffsetPiece(rest[:n], start, time.Until(deadline)); v != Linearizable {
				return v
			}
			start, rest = rest[n-1].Value, rest[n:]
		}
		start = part.value
	}
	return Linearizable
}

// reign is the operations up to a time at which it is certain what the value is.
type reign struct {
	ops         []history.Offset
	value       uint64
	first, last int64 // the value stands at least from the first return to the last call of its operations
}

// reigns cuts a history where one value must have stood for a while. What else there is comes before that or after it, and its interval is narrowed
// accordingly. It is false if that leaves no room.
func reigns(ops []history.Offset) ([]reign, bool) {
	known := map[uint64]*reign{}
	var list []*reign
	for i := range ops {
		op := &ops[i]
		r := known[op.Value]
		if r == nil {
			r = &reign{value: op.Value, first: op.Return, last: op.Call}
			known[op.Value] = r
			if op.Value != history.NoValue {
				list = append(list, r)
			}
		}
		r.first, r.last = min(r.first, op.Return), max(r.last, op.Call)
	}
	list = slices.DeleteFunc(list, func(r *reign) bool { return r.first >= r.last })
	slices.SortFunc(list, func(a, b *reign) int { return cmp.Compare(a.first, b.first) })
	for i := 1; i < len(list); i++ {
		if list[i].first < list[i-1].last {
			return nil, false
		}
	}
	spanned := make([]int, len(list)) // how many operations begin before a reign and end behind it
	for i := range ops {
		op := &ops[i]
		from, _ := slices.BinarySearchFunc(list, op.Call, func(r *reign, at int64) int { return cmp.Compare(r.last, at+1) }) // the first that ends behind its call
		if from < len(list) && list[from].first < op.Call && list[from].value != op.Value {
			op.Call = list[from].last
			from++
		}
		to, _ := slices.BinarySearchFunc(list, op.Return, func(r *reign, at int64) int { return cmp.Compare(r.first, at) }) // behind the last that begins before its return
		if to > 0 && list[to-1].last > op.Return && list[to-1].value != op.Value {
			to--
			op.Return = list[to].first
		}
		if op.Call > op.Return {
			return nil, false
		}
		for k := from; k < to; k++ {
			if list[k].value != op.Value {
				spanned[k]++
			}
		}
	}
	return split(ops, list, spanned), true
}

// split deals the operations out to the reigns that nothing spans, and to a last one behind them.
func split(ops []history.Offset, list []*reign, spanned []int) []reign {
	var out []reign
	index := map[uint64]int{}
	for k, r := range list {
		if spanned[k] == 0 {
			index[r.value] = len(out)
			out = append(out, *r)
		}
	}
	out = append(out, reign{})
	for _, op := range ops {
		at, ok := index[op.Value]
		if !ok {
			at, _ = slices.BinarySearchFunc(out[:len(out)-1], op.Call+1, func(r reign, call int64) int { return cmp.Compare(r.last, call) })
		}
		out[at].ops = append(out[at].ops, op)
	}
	for k := range out {
		slices.SortStableFunc(out[k].ops, func(a, b history.Offset) int { return cmp.Compare(a.Call, b.Call) })
	}
	return out
}

// cutOffsets is how many operations, in the order of their calls, make a piece: it ends with one that no other overlaps, for that
// one tells the state behind it.
func cutOffsets(ops []history.Offset) int {
	last := int64(-1 << 63)
	for i := range ops {
		op := &ops[i]
		if i > 0 && last < op.Call && i+1 < len(ops) && op.Return < ops[i+1].Call {
			return i + 1
		}
		last = max(last, op.Return)
	}
	return len(ops)
}

func judgeOffsetPiece(piece []history.Offset, start uint64, within time.Duration) Verdict {
	if within <= 0 {
		return Undecided
	}
	ops := make([]porcupine.Operation, len(piece))
	for i := range piece {
		op := &piece[i]
		ops[i] = porcupine.Operation{ClientId: op.Client, Input: op, Call: op.Call, Return: op.Return}
	}
	model := offsetModel
	model.Init = func() any { return start }
	switch porcupine.CheckOperationsTimeout(model, ops, within) {
	case porcupine.Ok:
		return Linearizable
	case porcupine.Illegal:
		return Violated
	}
	return Undecided
}

// sights is what is known of one value.
type sights struct {
	commits, fetches int
	call             int64 // of the commit
	firstSeen        int64 // the first return of a fetch
}

// tightenOffsets drops what cannot matter and narrows the rest as far as any order allows, sorted by the calls: a commit comes before the
// fetches of its value, and one that may never have been, and was not seen, was not. It is false if there cannot be an order.
func tightenOffsets(ops []history.Offset) ([]history.Offset, bool) {
	known := map[uint64]*sights{}
	for i := range ops {
		op := &ops[i]
		s := known[op.Value]
		if s == nil {
			s = &sights{firstSeen: history.Forever}
			known[op.Value] = s
		}
		if op.Kind == history.Fetch {
			s.fetches++
			s.firstSeen = min(s.firstSeen, op.Return)
			continue
		}
		s.commits++
		s.call = op.Call
	}
	out := make([]history.Offset, 0, len(ops))
	for _, op := range ops {
		s := known[op.Value]
		switch {
		case op.Kind == history.Commit && op.Return == history.Forever && s.fetches == 0:
			continue
		case op.Value == history.NoValue:
		case s.commits != 1 || op.Kind == history.Fetch && op.Return < s.call:
			return nil, false
		case op.Kind == history.Commit:
			op.Return = min(op.Return, s.firstSeen)
		default:
			op.Call = max(op.Call, s.call)
		}
		out = append(out, op)
	}
	slices.SortStableFunc(out, func(a, b history.Offset) int { return cmp.Compare(a.Call, b.Call) })
	return out, true
}
