package history

// Offset is one operation on a committed offset: of one group, topic and partition. It took effect, as one step, at some instant in
// [Call, Return].
type Offset struct {
	Client int
	Kind   OffsetKind
	Call   int64 // nanoseconds
	Return int64 // Forever if the client was not told
	// Value names what was committed or fetched. No two commits have the same, except for NoValue.
	Value uint64
}

// OffsetKind is what an operation on a committed offset did.
type OffsetKind uint8

// The kinds of operations on a committed offset.
const (
	// Commit set it; with NoValue it took it away.
	Commit OffsetKind = iota + 1
	// Fetch saw it.
	Fetch
)

// String is the kind's name.
func (k OffsetKind) String() string {
	switch k {
	case Commit:
		return "commit"
	case Fetch:
		return "fetch"
	}
	return "?"
}

// NoValue is the value of an offset that nobody has committed, or that is gone.
const NoValue = uint64(0)
