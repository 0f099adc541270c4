//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package transport

// mapMemory has nothing to offer here: buffers are on the heap.
func mapMemory(int) []byte { return nil }

func unmapMemory([]byte) {}
