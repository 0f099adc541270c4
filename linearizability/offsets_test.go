package linearizability

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lignum/linearizability/history"
)

func commit(call, ret int64, value uint64) history.Offset {
	return history.Offset{Kind: history.Commit, Call: call, Return: ret, Value: value}
}

func fetch(call, ret int64, value uint64) history.Offset {
	return history.Offset{Kind: history.Fetch, Call: call, Return: ret, Value: value}
}

func TestJudgeOffsets(t *testing.T) {
	const unknown = history.Forever
	for _, c := range []struct {
		name string
		ops  []history.Offset
		want Verdict
	}{
		{"nothing", nil, Linearizable},
		{"nothing was committed", []history.Offset{fetch(0, 1, 0)}, Linearizable},
		{"the latest commit", []history.Offset{commit(0, 1, 7), commit(2, 3, 8), fetch(4, 5, 8)}, Linearizable},
		{"an older one", []history.Offset{commit(0, 1, 7), commit(2, 3, 8), fetch(4, 5, 7)}, Violated},
		{"a lost one", []history.Offset{commit(0, 1, 7), fetch(2, 3, 0)}, Violated},
		{"one that was never made", []history.Offset{fetch(2, 3, 7)}, Violated},
		{"one from the future", []history.Offset{fetch(0, 1, 7), commit(2, 3, 7)}, Violated},
		{"a concurrent one", []history.Offset{commit(0, 1, 7), commit(2, 9, 8), fetch(3, 4, 7), fetch(5, 6, 8)}, Linearizable},
		{"back from a concurrent one", []history.Offset{commit(0, 1, 7), commit(2, 9, 8), fetch(3, 4, 8), fetch(5, 6, 7)}, Violated},
		{"an unknown one, late", []history.Offset{commit(0, unknown, 7), commit(1, 2, 8), fetch(3, 4, 8), fetch(5, 6, 7)}, Linearizable},
		{"an unknown one, never", []history.Offset{commit(0, unknown, 7), commit(1, 2, 8), fetch(3, 4, 8)}, Linearizable},
		{"an unknown one, twice", []history.Offset{commit(0, unknown, 7), fetch(1, 2, 7), commit(3, 4, 8), fetch(5, 6, 7)}, Violated},
		{"taken away", []history.Offset{commit(0, 1, 7), commit(2, 3, 0), fetch(4, 5, 0)}, Linearizable},
		{"back from the dead", []history.Offset{commit(0, 1, 7), commit(2, 3, 0), fetch(4, 5, 7)}, Violated},
		{"perhaps taken away", []history.Offset{commit(0, 1, 7), commit(2, unknown, 0), fetch(3, 4, 7), fetch(5, 6, 0)}, Linearizable},
		{"taken away, and committed again", []history.Offset{commit(0, 1, 7), commit(2, unknown, 0), fetch(3, 4, 0), fetch(5, 6, 7)}, Violated},
		{"one commit in two tries", []history.Offset{commit(0, 1, 7), commit(2, 3, 7)}, Violated},
	} {
		if got := JudgeOffsets(c.ops); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// inOrder is a second opinion: it tries all orders.
func inOrder(rest []history.Offset, state uint64) bool {
	done := true
	for i, op := range rest {
		if op.Return == history.Forever {
			continue
		}
		done = false
		_ = i
	}
	if done {
		return true
	}
	for i, op := range rest {
		if slices.ContainsFunc(rest, func(other history.Offset) bool { return other.Return < op.Call }) ||
			op.Kind == history.Fetch && op.Value != state {
			continue
		}
		next := state
		if op.Kind == history.Commit {
			next = op.Value
		}
		if inOrder(slices.Delete(slices.Clone(rest), i, i+1), next) {
			return true
		}
	}
	return false
}

func TestJudgeOffsetsLikeAllOrders(t *testing.T) {
	verdicts := map[Verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		var ops []history.Offset
		values := []uint64{0}
		at := map[int]int64{}
		for range rapid.IntRange(1, 7).Draw(t, "operations") {
			client := rapid.IntRange(0, 2).Draw(t, "client")
			op := history.Offset{Client: client, Kind: history.Fetch, Call: at[client] + rapid.Int64Range(1, 4).Draw(t, "pause")}
			op.Return = op.Call + rapid.Int64Range(0, 6).Draw(t, "length")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1:
				op.Kind, op.Value = history.Commit, uint64(len(values))
				values = append(values, op.Value)
			case 2:
				op.Kind = history.Commit
			default:
				op.Value = rapid.SampledFrom(values).Draw(t, "value")
			}
			at[client] = op.Return
			if op.Kind == history.Commit && rapid.IntRange(0, 2).Draw(t, "unknown") == 0 {
				op.Return = history.Forever
			}
			ops = append(ops, op)
		}
		want := Violated
		if inOrder(ops, 0) {
			want = Linearizable
		}
		verdicts[want]++
		if got := JudgeOffsets(ops); got != want {
			t.Fatalf("%s, want %s: %+v", got, want, ops)
		}
		if got := judgeOffsets(ops, false, time.Now().Add(patience)); got != want {
			t.Fatalf("as a whole: %s, want %s: %+v", got, want, ops)
		}
	})
	if verdicts[Violated] == 0 || verdicts[Linearizable] == 0 {
		t.Errorf("only %v", verdicts)
	}
}

// busy is a history of clients that commit and fetch all the time: each operation takes effect at an instant of its own.
func busy(clients, operations int, unknown int) []history.Offset {
	r := rand.New(rand.NewPCG(1, 2))
	var ops []history.Offset
	free := make([]int64, clients)
	state, next := uint64(0), uint64(1)
	for at := int64(100); len(ops) < operations; at += 10 {
		c := r.IntN(clients)
		op := history.Offset{Client: c, Kind: history.Fetch, Call: max(free[c], at-r.Int64N(90)), Return: at + r.Int64N(90), Value: state}
		if free[c] > at {
			continue
		}
		if r.IntN(2) == 0 {
			op.Kind, op.Value, state = history.Commit, next, next
			next++
		}
		free[c] = op.Return + 1
		if op.Kind == history.Commit && unknown > 0 && r.IntN(unknown) == 0 {
			op.Return = history.Forever
		}
		ops = append(ops, op)
	}
	return ops
}

func TestJudgeOffsetsIsFast(t *testing.T) {
	for _, clients := range []int{1, 4, 8} {
		ops := busy(clients, 10_000, 20)
		began := time.Now()
		if v := JudgeOffsets(ops); v != Linearizable {
			t.Errorf("%d clients: %s", clients, v)
		}
		good := time.Since(began)
		ops[9_990] = fetch(ops[9_990].Call, ops[9_990].Return, ops[20].Value)
		began = time.Now()
		if v := JudgeOffsets(ops); v != Violated {
			t.Errorf("%d clients, one old value: %s", clients, v)
		}
		t.Logf("%d clients: 10,000 operations in %v, violated in %v", clients, good, time.Since(began))
		if good > 10*time.Second {
			t.Errorf("%d clients: %v", clients, good)
		}
	}
}
