package scenarios

import (
	"testing"

	"lignum/core/record"
	"lignum/core/storage"
)

// TestProgressOfCopies: each replica is measured by itself, for another one may begin anew meanwhile; that counts once.
func TestProgressOfCopies(t *testing.T) {
	k := copying{replicas: map[replica]*copied{}}
	a, b := replica{1, record.Partition{}}, replica{2, record.Partition{}}
	first, second, third := &storage.Log{}, &storage.Log{}, &storage.Log{}
	for i, s := range []struct {
		of   replica
		log  *storage.Log
		left int64
		want bool
	}{
		{a, first, 100, true},
		{b, first, 50, true},
		{a, first, 100, false},
		{a, first, 99, true},
		{b, first, 0, true},
		{b, nil, 60, false},   // it is damaged,
		{b, second, 60, true}, // and made anew
		{a, first, 98, true},
		{b, second, 60, false},
		{b, second, 59, true},
		{b, nil, 60, false}, // again
		{b, third, 60, false},
		{b, third, 59, false},
		{b, third, 58, true},
	} {
		if got := k.note(s.of, s.log, s.left); got != s.want {
			t.Errorf("step %d: %v, want %v", i, got, s.want)
		}
	}
}
