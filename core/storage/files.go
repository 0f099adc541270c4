package storage

import (
	"fmt"
	"slices"

	"lignum/core/commitlog"
	"lignum/core/env"
)

// A log that is written to has one file open for long, and for that every log counts. What is left of the process's limit is for connections,
// for segments that are complete and not yet synced, for those that are read, and for everything that is open for a moment only.
const (
	filesOfLogs   = 5 // of filesParts
	filesParts    = 8
	filesRolled   = 32 // one in so many may belong to segments that wait for their last sync
	filesCold     = 32 // and one in so many to segments that are read
	mostColdFiles = 512
)

// fileBudget is how the store shares the process's limit of open files.
type fileBudget struct {
	limit  int // of the process; 0: none
	cold   *commitlog.ColdFiles
	rolls  int    // segments that were completed since their logs were asked to sync
	rolled []*Log // of these logs
}

func newFileBudget(limit int) fileBudget {
	cold := mostColdFiles
	if limit > 0 {
		cold = min(cold, limit/filesCold)
	}
	return fileBudget{limit: limit, cold: commitlog.NewColdFiles(cold)}
}

// room is an error if one more log than n is too many.
func (b *fileBudget) room(n int) error {
	if b.limit == 0 || n < b.limit/filesParts*filesOfLogs {
		return nil
	}
	need := (n + 1 + filesOfLogs - 1) / filesOfLogs * filesParts
	return fmt.Errorf("%w: the limit of %d is enough for the logs of %d partitions, and with this one there are %d; raise it to at least %d (ulimit -n, LimitNOFILE)",
		env.ErrTooManyFiles, b.limit, b.limit/filesParts*filesOfLogs, n+1, need)
}

// boundRolled has segments synced, and so closed, when many are complete and still open.
func (s *Store) boundRolled(l *Log) {
	b := &s.files
	n := l.TakeRolled()
	if n == 0 || b.limit == 0 {
		return
	}
	b.rolls += n
	if !slices.Contains(b.rolled, l) {
		b.rolled = append(b.rolled, l)
	}
	if b.rolls <= b.limit/filesRolled {
		return
	}
	for _, l := range b.rolled {
		s.want(l)
	}
	clear(b.rolled)
	b.rolls, b.rolled = 0, b.rolled[:0]
}
