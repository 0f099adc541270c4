// Package inspect looks at what a broker has written: the files of its partitions, in Apache Kafka's formats. It is the white box beside the
// clients' view: every batch has its checksum, the next offset and no smaller epoch (L3, F8), and every index entry is sound (L5).
package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"lignum/core/env"
	"lignum/core/record"
)

// Check takes each check that was made: the invariant's name, whether it held, and what to say if it did not.
type Check func(name string, holds bool, format string, args ...any) bool

// segment is one file of batches, with what is needed to judge its indexes.
type segment struct {
	dir   string
	base  record.Offset
	at    map[int64]record.Batch // headers by position
	first map[int64]record.Offset
}

// Disk looks at all partitions on a disk.
func Disk(d env.Disk, check Check) error {
	entries, err := d.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Dir || e.Name == "journal" || strings.HasSuffix(e.Name, "-delete") {
			continue
		}
		if err := partition(d, e.Name, check); err != nil {
			return err
		}
	}
	return nil
}

// partition looks at one directory.
func partition(d env.Disk, dir string, check Check) error {
	entries, err := d.ReadDir(dir)
	if err != nil {
		return err
	}
	next, epoch := record.NoOffset, record.NoEpoch
	for _, e := range entries {
		name, isLog := strings.CutSuffix(e.Name, ".log")
		base, err := strconv.ParseInt(name, 10, 64)
		if !isLog || err != nil {
			continue
		}
		s := segment{dir: dir, base: record.Offset(base), at: map[int64]record.Batch{}, first: map[int64]record.Offset{}}
		content, err := read(d, dir+"/"+e.Name)
		if err != nil {
			return err
		}
		check("L3", next == record.NoOffset || s.base == next, "%s: segment %d begins, but the one before ends at %d", dir, s.base, next)
		next, epoch = s.batches(content, epoch, check)
		if err := s.indexes(d, name, check); err != nil {
			return err
		}
	}
	return nil
}

// batches goes over a segment and returns where it ends, and in which epoch.
func (s *segment) batches(content []byte, epoch record.Epoch, check Check) (record.Offset, record.Epoch) {
	next := s.base
	for rest := content; len(rest) > 0; {
		position := int64(len(content) - len(rest))
		b, after, err := record.Next(rest)
		if !check("F8", err == nil, "%s/%d: position %d, offset %d: %v", s.dir, s.base, position, next, err) {
			return next, epoch
		}
		err = b.CheckCRC()
		check("F8", err == nil, "%s/%d: position %d, offset %d: %v", s.dir, s.base, position, next, err)
		check("L3", b.BaseOffset() == next && b.LeaderEpoch() >= epoch, "%s/%d: position %d: a batch at offset %d in epoch %d, behind offset %d in epoch %d", s.dir,
			s.base, position, b.BaseOffset(), b.LeaderEpoch(), next, epoch)
		s.at[position], s.first[position] = b[:record.HeaderSize], next
		next, epoch, rest = b.NextOffset(), b.LeaderEpoch(), after
	}
	return next, epoch
}

// indexes holds the segment's indexes against its batches (L5). Entries of zeroes behind the first are room that was not used.
func (s *segment) indexes(d env.Disk, name string, check Check) error {
	content, err := read(d, s.dir+"/"+name+".index")
	if err != nil && !errors.Is(err, env.ErrNotExist) {
		return err
	}
	for i := 0; i+8 <= len(content); i += 8 {
		offset := s.base + record.Offset(binary.BigEndian.Uint32(content[i:]))
		position := int64(binary.BigEndian.Uint32(content[i+4:]))
		b, ok := s.at[position]
		check("L5", ok && s.first[position] <= offset && offset <= b.LastOffset(), "%s/%d: index entry %d says that offset %d is at position %d", s.dir, s.base, i/8,
			offset, position)
	}
	content, err = read(d, s.dir+"/"+name+".timeindex")
	if err != nil && !errors.Is(err, env.ErrNotExist) {
		return err
	}
	last := int64(-1 << 63)
	for i := 0; i+12 <= len(content); i += 12 {
		at := int64(binary.BigEndian.Uint64(content[i:]))
		check("L5", at >= last, "%s/%d: time index entry %d says %d behind %d", s.dir, s.base, i/12, at, last)
		last = at
	}
	return nil
}

// read reads a whole file.
func read(d env.Disk, path string) ([]byte, error) {
	f, err := d.Open(path, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	p := make([]byte, size)
	n, err := f.ReadAt(p, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return p[:n], nil
}
