//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package transport

import "syscall"

// mapMemory takes n bytes of zeroes from the system, outside the heap: the collector need not know of memory whose references are
// counted anyway, and does not let the heap grow in proportion to it. A page takes up memory once it is written to. It returns nil if the
// system refuses.
func mapMemory(n int) []byte {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil
	}
	return b
}

// unmapMemory gives it back. Whoever touches it afterwards crashes.
func unmapMemory(b []byte) {
	if err := syscall.Munmap(b); err != nil {
		panic("transport: memory cannot be given back: " + err.Error())
	}
}
