// Package history is what clients did and saw: plain values, written down by simulated clients and judged afterwards. It knows
// nothing of the broker.
package history

// Forever is the return of an operation whose client never learned, or never could learn, that it was over.
const Forever = int64(1<<63 - 1)

// Kind is what an operation did.
type Kind uint8

// The kinds of operations on a partition.
const (
	// Append put a batch at the end.
	Append Kind = iota + 1
	// Read saw where the end was, and perhaps everything before it.
	Read
)

// String is the kind's name.
func (k Kind) String() string {
	switch k {
	case Append:
		return "append"
	case Read:
		return "read"
	}
	return "?"
}

// Op is one operation on one partition. It took effect, as one step, at some instant in [Call, Return].
type Op struct {
	Client int
	Kind   Kind
	Call   int64 // nanoseconds
	Return int64 // Forever if the client was not told
	// Offset is where an append put its first record, or the end that a read saw.
	Offset int64
	// Count is how many offsets an append took.
	Count int64
	// Content identifies an append's records; or it is the Chain over everything before the end that a read saw, and counts only
	// if Whole.
	Content uint64
	// Whole says that the reader has seen every record from the first one to the end.
	Whole bool
}

// Chain takes the next batch's content into the hash over all of a log: the start is 0.
func Chain(chain, content uint64) uint64 {
	x := (chain ^ content) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31 ^ chain<<1
}

// Log is the history of one partition.
type Log struct {
	Name string
	Ops  []Op
}
