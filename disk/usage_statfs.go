//go:build darwin || freebsd

package disk

import (
	"golang.org/x/sys/unix"

	"lignum/core/env"
)

func usage(path string) (env.Usage, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return env.Usage{}, err
	}
	size := int64(s.Bsize)
	return env.Usage{TotalBytes: int64(s.Blocks) * size, FreeBytes: int64(s.Bavail) * size}, nil
}
