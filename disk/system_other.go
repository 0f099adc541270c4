//go:build !unix || solaris || aix

package disk

import (
	"errors"
	"os"
	"syscall"
)

func syncData(f *os.File) error { return f.Sync() }

// syncDir only checks: these systems make names durable by themselves, or not at all.
func syncDir(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	return err
}

// takeLock cannot lock here; the operator must not start two brokers on one directory.
func takeLock(*os.File) error { return nil }

func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) }
