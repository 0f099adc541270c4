package disk

import (
	"golang.org/x/sys/windows"

	"lignum/core/env"
)

func usage(path string) (env.Usage, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return env.Usage{}, err
	}
	var free, total uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, &total, nil); err != nil {
		return env.Usage{}, err
	}
	return env.Usage{TotalBytes: int64(total), FreeBytes: int64(free)}, nil
}
