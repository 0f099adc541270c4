//go:build unix && !linux && !solaris && !aix

package disk

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// syncData uses the runtime's Sync, which on Apple's systems flushes the drive's cache too.
func syncData(f *os.File) error { return f.Sync() }

func syncDir(path string) error {
	d, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func takeLock(f *os.File) error {
	defer runtime.KeepAlive(f)
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return fmt.Errorf("%w (%s is locked)", ErrInUse, lockName)
	}
	return err
}

func noSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
