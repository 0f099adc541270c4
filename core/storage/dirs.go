package storage

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lignum/core/record"
)

// Names in the data directory.
const (
	rootDir      = "."
	journalDir   = "journal"
	deleteSuffix = "-delete"
	straySuffix  = "-stray"
)

// dirName is the directory of a partition.
func dirName(topic string, index int32) string { return fmt.Sprintf("%s-%d", topic, index) }

// maxName is how long a name may be on the file systems in use. That of a topic may take all of it but for a partition's number.
const maxName = 255

// awayName is where a partition's directory goes when it is deleted or set aside: no topic's name, and never the same twice. Of a long name only the
// beginning is kept.
func awayName(dir string, id record.TopicID, suffix string) string {
	end := fmt.Sprintf(".%x%s", id[:], suffix)
	return dir[:min(len(dir), maxName-len(end))] + end
}

// parseDir takes a topic and an index from a directory's name. No topic has blanks in its name, and no line of a checkpoint could tell of it.
func parseDir(name string) (topic string, index int32, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || i+1 == len(name) || name[i+1] == '+' || !slices.Equal(strings.Fields(name), []string{name}) {
		return "", 0, false
	}
	n, err := strconv.ParseInt(name[i+1:], 10, 32)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != name[i+1:] {
		return "", 0, false
	}
	return name[:i], int32(n), true
}

// Offline is a partition whose directory cannot be used.
type Offline struct {
	ID    record.Partition // zero if not even that could be read
	Topic string
	Dir   string
	Err   error // names the file and the position
	named bool  // it does not say whose it is: only its name does
}

// Usage reports the size of the volume and what is free on it. The sizes of the logs are their own (Log.Size).
func (s *Store) Usage(done func(total, free int64, err error)) {
	if s.failure != nil {
		done(0, 0, s.failure)
		return
	}
	disk := s.Disk
	s.Jobs.Start(laneFiles, func() func() {
		u, err := disk.Usage(rootDir)
		if err != nil {
			err = fmt.Errorf("usage of the data directory: %w", err)
		}
		return func() { done(u.TotalBytes, u.FreeBytes, err) }
	})
}
