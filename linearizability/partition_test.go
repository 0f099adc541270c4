package linearizability

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lignum/linearizability/history"
)

func app(call, ret, offset, count int64, content uint64) history.Op {
	return history.Op{Kind: history.Append, Call: call, Return: ret, Offset: offset, Count: count, Content: content}
}

func read(call, ret, offset int64, contents ...uint64) history.Op {
	op := history.Op{Kind: history.Read, Call: call, Return: ret, Offset: offset}
	for _, c := range contents {
		op.Whole = true
		op.Content = history.Chain(op.Content, c)
	}
	return op
}

func TestJudgePartition(t *testing.T) {
	const ever = history.Forever
	for _, c := range []struct {
		name string
		ops  []history.Op
		want Verdict
	}{
		{"nothing", nil, Linearizable},
		{"one after another", []history.Op{app(0, 1, 0, 3, 7), read(2, 3, 3, 7), app(4, 5, 3, 1, 8), read(6, 7, 4, 7, 8)}, Linearizable},
		{"side by side", []history.Op{app(0, 10, 2, 2, 8), app(0, 10, 0, 2, 7), read(0, 10, 2, 7), read(0, 10, 4, 7, 8)}, Linearizable},
		{"an answer is lost, the record is not", []history.Op{app(0, ever, 0, 1, 7), read(1, 2, 0), read(8, 9, 1, 7)}, Linearizable},
		{"acknowledged and not there", []history.Op{app(0, 1, 0, 1, 7), read(2, 3, 0)}, Violated},
		{"the end goes back", []history.Op{app(0, ever, 0, 1, 7), read(1, 2, 1), read(3, 4, 0)}, Violated},
		{"the end goes back, but who can tell", []history.Op{app(0, ever, 0, 1, 7), read(1, 4, 1), read(2, 3, 0)}, Linearizable},
		{"an offset twice", []history.Op{app(0, 1, 0, 1, 7), app(2, 3, 0, 1, 8)}, Violated},
		{"a hole", []history.Op{app(0, 1, 0, 1, 7), app(2, 3, 2, 1, 8)}, Violated},
		{"other records than were appended", []history.Op{app(0, 1, 0, 1, 7), read(2, 3, 1, 8)}, Violated},
		{"seen before it was sent", []history.Op{read(0, 1, 1), app(2, 3, 0, 1, 7)}, Violated},
		{"in the wrong order", []history.Op{app(0, 1, 1, 1, 7), app(2, 3, 0, 1, 8)}, Violated},
	} {
		if got := JudgePartition(history.Log{Name: c.name, Ops: c.ops}); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// random is a history of a partition that behaves: clients overlap, answers come late or never.
func random(draw func(n int64) int64, n int) []history.Op {
	var ops []history.Op
	var at end
	now := int64(0)
	for i := range n {
		now += draw(20)
		early, late := now-draw(100), now+draw(100)
		op := history.Op{Client: i % 10, Call: early, Return: late, Offset: at.offset}
		if draw(2) == 0 {
			op.Kind, op.Count, op.Content = history.Append, 1+draw(5), uint64(i+1)
			if draw(10) == 0 {
				op.Return = history.Forever
			}
			at, _ = at.step(&op)
		} else {
			op.Kind, op.Content, op.Whole = history.Read, at.chain, draw(2) == 0
		}
		ops = append(ops, op)
	}
	return ops
}

func TestJudgePartitionRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := random(func(n int64) int64 { return rapid.Int64Range(0, n-1).Draw(t, "n") }, rapid.IntRange(0, 60).Draw(t, "ops"))
		if v := JudgePartition(history.Log{Ops: ops}); v != Linearizable {
			t.Fatalf("%s: %+v", v, ops)
		}
	})
}

// TestPieces: a history is judged piece by piece as it is in one go, whether it is right or wrong.
func TestPieces(t *testing.T) {
	verdicts := map[Verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(n int64) int64 { return rapid.Int64Range(0, n-1).Draw(t, "n") }
		ops := random(draw, int(draw(25)))
		for range draw(3) {
			if len(ops) == 0 {
				break
			}
			op := &ops[draw(int64(len(ops)))]
			switch draw(4) {
			case 0:
				op.Offset += draw(5) - 2
			case 1:
				op.Call += draw(200)
				op.Return = max(op.Return, op.Call)
			case 2:
				op.Return = max(op.Call, min(op.Return, 1<<40)-draw(200))
			case 3:
				op.Content++
			}
		}
		want := judge(slices.Clone(ops), end{}, patience)
		if v := judgePieces(ops, 1+int(draw(6)), time.Now().Add(patience)); v != want {
			t.Fatalf("%s, in one go %s: %+v", v, want, ops)
		}
		verdicts[want]++
	})
	if verdicts[Linearizable] == 0 || verdicts[Violated] == 0 {
		t.Errorf("one-sided: %v", verdicts)
	}
}

// TestJudgePartitionFast: every seed is judged, so ten thousand operations may not take long.
func TestJudgePartitionFast(t *testing.T) {
	x := uint64(1)
	draw := func(n int64) int64 {
		x = history.Chain(x, 5)
		return int64(x % uint64(n))
	}
	ops := random(draw, 10_000)
	began := time.Now()
	if v := JudgePartition(history.Log{Ops: ops}); v != Linearizable {
		t.Fatal(v)
	}
	took := time.Since(began)
	t.Logf("10,000 operations took %s", took)
	if took > 5*time.Second {
		t.Errorf("10,000 operations took %s", took)
	}
	last := len(ops) - 1
	for ops[last].Kind != history.Read {
		last--
	}
	ops[last].Offset++
	if v := JudgePartition(history.Log{Ops: ops}); v == Linearizable {
		t.Error("a wrong end was not found")
	}
}

// TestPatiently: what takes too long is judged once more, in case the process stood still, and no more than that.
func TestPatiently(t *testing.T) {
	for want, slow := range map[Verdict]int{Linearizable: 1, Undecided: 2} {
		calls := 0
		got := patiently(func(deadline time.Time) Verdict {
			if calls++; calls <= slow || time.Until(deadline) <= 0 {
				return Undecided
			}
			return Linearizable
		})
		if got != want || calls != 2 {
			t.Errorf("%d times too slow: %v after %d calls, want %v", slow, got, calls, want)
		}
	}
}
