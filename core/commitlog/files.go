package commitlog

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/record"
)

// writeFile replaces a small file as a whole: whoever opens it finds the old content or the new. It is not synced; a power cut may
// leave anything in it.
func writeFile(d env.Disk, dir, name string, content []byte) error {
	temp := join(dir, name+tempSuffix)
	f, err := d.Open(temp, env.Create)
	if err != nil {
		return err
	}
	if err = f.Truncate(0); err == nil && len(content) > 0 {
		err = f.WriteAt(0, content)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return d.Rename(temp, join(dir, name))
}

// removeFile removes a file that may be there.
func removeFile(d env.Disk, path string) error {
	if err := d.Remove(path); err != nil && !errors.Is(err, env.ErrNotExist) {
		return err
	}
	return nil
}

// readFile reads a small file.
func readFile(d env.Disk, path string) ([]byte, error) {
	f, err := d.Open(path, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read-only
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	p := make([]byte, size)
	return p, readFull(f, p, 0)
}

// readFull reads all of p.
func readFull(f env.File, p []byte, at int64) error {
	if len(p) == 0 {
		return nil
	}
	n, err := f.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	return fmt.Errorf("read %d bytes at %d, got %d: %w", len(p), at, n, err)
}

// unfinished is what truncation-checkpoint says: up to an offset all was synced, nothing from it on counts as flushed, and perhaps that the log is being
// emptied.
type unfinished struct {
	to         record.Offset
	generation uint64        // of the truncation
	emptying   bool          // not all files may be gone yet
	at         record.Offset // where the empty log starts
}

// writeTruncation makes it durable.
func writeTruncation(d env.Disk, dir string, u unfinished) error {
	line := fmt.Sprintf("%d %d 0 0", u.to, u.generation)
	if u.emptying {
		line = fmt.Sprintf("%d %d 1 %d", u.to, u.generation, u.at)
	}
	return checkpoint.Write(d, dir, truncationFile, checkpoint.EncodeLines([]string{line}))
}

// removeMark removes it for good. It must not come back: what has been flushed since would count for less than it is, and damage there for a torn
// end (L7).
func removeMark(d env.Disk, dir string) error {
	if err := removeFile(d, join(dir, truncationFile)); err != nil {
		return fmt.Errorf("remove the mark of a truncation: %w", err)
	}
	if err := d.SyncDir(dir); err != nil {
		return fmt.Errorf("remove the mark of a truncation of %s: %w", dir, err)
	}
	return nil
}

// readTruncation reads what writeTruncation wrote; ok is false if there is nothing.
func readTruncation(d env.Disk, dir string) (u unfinished, ok bool, err error) {
	_, err = readRows(d, dir, truncationFile, 4, func(row []int64) {
		u, ok = unfinished{record.Offset(row[0]), uint64(row[1]), row[2] == 1, record.Offset(row[3])}, true
	})
	return u, ok, err
}

// logStart is what log-start says. It counts unless truncation-checkpoint has a later generation.
type logStart struct {
	offset     record.Offset
	generation uint64
}

// writeStart makes it durable.
func writeStart(d env.Disk, dir string, s logStart) error {
	return checkpoint.Write(d, dir, startFile, checkpoint.EncodeLines([]string{fmt.Sprintf("%d %d", s.offset, s.generation)}))
}

// readStart reads what writeStart wrote; ok is false if there is nothing.
func readStart(d env.Disk, dir string) (s logStart, ok bool, err error) {
	_, err = readRows(d, dir, startFile, 2, func(row []int64) {
		s, ok = logStart{record.Offset(row[0]), uint64(row[1])}, true
	})
	return s, ok, err
}

// receipt says when the last batch of a segment came.
type receipt struct {
	base record.Offset
	wall env.Millis
}

func writeReceipts(d env.Disk, dir string, all []receipt) error {
	lines := make([]string, 0, len(all))
	for _, r := range all {
		lines = append(lines, strconv.FormatInt(int64(r.base), 10)+" "+strconv.FormatInt(int64(r.wall), 10))
	}
	return writeFile(d, dir, receiptsFile, checkpoint.EncodeLines(lines))
}

// readReceipts reads what writeReceipts wrote; nil if Lignum has never written one here. A file that cannot be read counts as one
// without entries: segments are then kept for too long rather than too short.
func readReceipts(d env.Disk, dir string) (map[record.Offset]env.Millis, error) {
	all := map[record.Offset]env.Millis{}
	there, err := readRows(d, dir, receiptsFile, 2, func(row []int64) { all[record.Offset(row[0])] = env.Millis(row[1]) })
	switch {
	case errors.Is(err, checkpoint.ErrCorrupt), errors.Is(err, env.ErrUnreadable):
		return map[record.Offset]env.Millis{}, nil
	case err != nil || !there:
		return nil, err
	}
	return all, nil
}

// readRows reads a checkpoint of rows of so many numbers, if there is such a file.
func readRows(d env.Disk, dir, name string, columns int, visit func(row []int64)) (there bool, err error) {
	text, err := checkpoint.Read(d, dir, name)
	if errors.Is(err, env.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = checkpoint.ParseLines(text, func(fields []string) error {
		if len(fields) != columns {
			return fmt.Errorf("%d fields, want %d", len(fields), columns)
		}
		row := make([]int64, columns)
		for i, f := range fields {
			if row[i], err = checkpoint.Number(f, math.MaxInt64); err != nil {
				return err
			}
		}
		visit(row)
		return nil
	})
	if err != nil {
		return true, fmt.Errorf("%s: %w", join(dir, name), err)
	}
	return true, nil
}
