//go:build !linux

package disk

import "os"

// writeVectored writes the slices one by one, where Go has no system call for more.
func writeVectored(f *os.File, off int64, p [][]byte) error {
	for _, b := range p {
		if len(b) == 0 {
			continue
		}
		n, err := f.WriteAt(b, off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}
