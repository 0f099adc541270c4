// Package checkpoint reads and writes Kafka's small files: the offset checkpoints of a log directory, its meta.properties
// and clean shutdown marker, and a partition's partition.metadata.
//
// Encoders and parsers are pure. What is not exactly such a file is an error and never half read: each of them
// is written as a whole, so that half of one is a broken disk. Reading and writing blocks: jobs only.
package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
)

// Names of the files of a log directory.
const (
	RecoveryPointFile = "recovery-point-offset-checkpoint"
	LogStartFile      = "log-start-offset-checkpoint"
	HighWatermarkFile = "replication-offset-checkpoint"
	MetaFile          = "meta.properties"
	CleanShutdownFile = ".kafka_cleanshutdown"
)

// PartitionFile is the file of a partition's directory that names its topic.
const PartitionFile = "partition.metadata"

// ErrCorrupt: the content is not what its name says. It is wrapped with what was found.
var ErrCorrupt = errors.New("file is corrupt")

const (
	tempSuffix  = ".tmp"
	maxFileSize = 256 << 20 // of any file here; a million partitions take a quarter of it
	textVersion = "0"
)

// Write replaces a file as a whole and durably: after a crash at any point it has the old content or the new, and once
// Write has returned, the new.
func Write(d env.Disk, dir, name string, content []byte) error {
	if err := Replace(d, dir, name, content); err != nil {
		return err
	}
	return syncDir(d, dir, Join(dir, name))
}

// Replace is Write without its last step: after a crash the file has the old content or the new, until a sync of the directory makes it the
// new for good. Who replaces several files of a directory syncs that once.
func Replace(d env.Disk, dir, name string, content []byte) error {
	path := Join(dir, name)
	if err := writeTemp(d, path+tempSuffix, content); err != nil {
		return fmt.Errorf("write %s: %w", path+tempSuffix, err)
	}
	if err := d.Rename(path+tempSuffix, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func writeTemp(d env.Disk, path string, content []byte) (err error) {
	f, err := d.Open(path, env.Create)
	if err != nil {
		return err
	}
	defer func() {
		if closing := f.Close(); err == nil {
			err = closing
		}
	}()
	// A crash may have left one.
	if err := f.Truncate(0); err != nil {
		return err
	}
	if len(content) > 0 {
		if err := f.WriteAt(0, content); err != nil {
			return err
		}
	}
	return f.Sync()
}

// Read returns the content of a file; env.ErrNotExist if there is none.
func Read(d env.Disk, dir, name string) ([]byte, error) {
	path := Join(dir, name)
	f, err := d.Open(path, env.ReadOnly)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if size > maxFileSize {
		return nil, fmt.Errorf("read %s: %w: %d bytes", path, ErrCorrupt, size)
	}
	p := make([]byte, size)
	if n, err := f.ReadAt(p, 0); n < len(p) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return p, nil
}

// Remove removes a file durably. That it is not there is no error.
func Remove(d env.Disk, dir, name string) error {
	path := Join(dir, name)
	if err := d.Remove(path); err != nil && !errors.Is(err, env.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return syncDir(d, dir, path)
}

func syncDir(d env.Disk, dir, path string) error {
	if dir == "" {
		dir = "."
	}
	if err := d.SyncDir(dir); err != nil {
		return fmt.Errorf("sync directory of %s: %w", path, err)
	}
	return nil
}

// Join puts a name behind a directory; "" and "." are the root.
func Join(dir, name string) string {
	if dir == "" || dir == "." {
		return name
	}
	return strings.TrimSuffix(dir, "/") + "/" + name
}

// EncodeLines makes a checkpoint file: its version (0), the number of lines, the lines. No line may have an end of
// line in it. Behind the last line is a seal.
func EncodeLines(lines []string) []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n%d\n", textVersion, len(lines))
	for _, l := range lines {
		if strings.ContainsAny(l, "\r\n") {
			invariant.Violated("checkpoint line %q", l)
		}
		out.WriteString(l)
		out.WriteByte('\n')
	}
	if len(lines) == 0 {
		return []byte(out.String()) // Kafka reads the number of lines to the end of its line
	}
	return []byte(sealLines(out.String()))
}

// ParseLines reads a checkpoint file and hands each line to parse, as its fields. An empty file has no lines: Kafka makes
// its files so.
func ParseLines(p []byte, parse func(fields []string) error) error {
	if len(p) == 0 {
		return nil
	}
	if p[len(p)-1] != '\n' {
		return fmt.Errorf("%w: the last line is cut", ErrCorrupt)
	}
	text := string(p[:len(p)-1])
	if err := checkLines(text); err != nil {
		return err
	}
	lines := strings.Split(text, "\n")
	if version := strings.TrimSpace(lines[0]); version != textVersion {
		return fmt.Errorf("%w: version %.40q, want %s", ErrCorrupt, version, textVersion)
	}
	if len(lines) < 2 {
		return fmt.Errorf("%w: no number of lines", ErrCorrupt)
	}
	want, err := strconv.Atoi(strings.TrimSpace(lines[1]))
	lines = lines[2:]
	if err != nil || want != len(lines) {
		return fmt.Errorf("%w: %d lines", ErrCorrupt, len(lines))
	}
	for i, l := range lines {
		if err := parse(strings.Fields(l)); err != nil {
			return fmt.Errorf("%w: line %d, %.100q: %w", ErrCorrupt, i+3, l, err)
		}
	}
	return nil
}

// Number reads a decimal number from 0 up to max.
func Number(s string, max int64) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > max {
		return 0, fmt.Errorf("%d is out of range", n)
	}
	return n, nil
}

// PartitionOffset is a line of an offset checkpoint.
type PartitionOffset struct {
	Topic     string // its name, without spaces
	Partition int32
	Offset    record.Offset
}

// EncodeOffsets makes an offset checkpoint: lines of topic, partition and offset.
func EncodeOffsets(offsets []PartitionOffset) []byte {
	lines := make([]string, 0, len(offsets))
	for _, o := range offsets {
		if len(strings.Fields(o.Topic)) != 1 || o.Partition < 0 || o.Offset < 0 {
			invariant.Violated("checkpoint of %q-%d at %d", o.Topic, o.Partition, o.Offset)
		}
		lines = append(lines, o.Topic+" "+strconv.Itoa(int(o.Partition))+" "+strconv.FormatInt(int64(o.Offset), 10))
	}
	return EncodeLines(lines)
}

type topicPartition struct {
	topic     string
	partition int32
}

// ParseOffsets reads an offset checkpoint, in the order of its lines.
func ParseOffsets(p []byte) ([]PartitionOffset, error) {
	var all []PartitionOffset
	seen := make(map[topicPartition]bool)
	err := ParseLines(p, func(fields []string) error {
		if len(fields) != 3 {
			return fmt.Errorf("%d fields, want 3", len(fields))
		}
		partition, err := Number(fields[1], 1<<31-1)
		if err != nil {
			return err
		}
		offset, err := Number(fields[2], 1<<63-1)
		if err != nil {
			return err
		}
		key := topicPartition{fields[0], int32(partition)}
		if seen[key] {
			return errors.New("the partition is in it twice")
		}
		seen[key] = true
		all = append(all, PartitionOffset{Topic: fields[0], Partition: int32(partition), Offset: record.Offset(offset)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
