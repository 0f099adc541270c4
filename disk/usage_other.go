//go:build !linux && !darwin && !freebsd && !windows

package disk

import (
	"os"

	"lignum/core/env"
)

// usage knows nothing here, and says that there is room.
func usage(path string) (env.Usage, error) {
	if _, err := os.Stat(path); err != nil {
		return env.Usage{}, err
	}
	return env.Usage{TotalBytes: 1 << 50, FreeBytes: 1 << 50}, nil
}
