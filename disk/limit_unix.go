//go:build unix

package disk

import (
	"errors"
	"math"
	"syscall"
)

func tooMany(err error) bool { return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) }

// openFiles is the soft limit, which the Go runtime has raised to the hard one; 0 if it is not known or none.
func openFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || uint64(l.Cur) > math.MaxInt32 {
		return 0
	}
	return int(l.Cur)
}
