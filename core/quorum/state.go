package quorum

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"

	"lignum/core/env"
)

// The state file is text:
//
//	version=0
//	term=7
//	vote=2        node that got the vote of this term, -1 if none
//	commit=41     index that was known to be committed; more may be
//	voters=1,2,3  members of the quorum when it began
//	crc=0123abcd  CRC-32C of everything before
const (
	stateName    = "quorum-state"
	stateVersion = 0
)

// savedState is what the state file says. Its zero value is that there is none.
type savedState struct {
	term, vote, commit uint64 // vote is raft's id, 0 for none
	voters             []uint64
}

// castagnoli is the table of CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s savedState) encode() []byte {
	voters := make([]string, len(s.voters))
	for i, id := range s.voters {
		voters[i] = strconv.FormatInt(int64(id)-1, 10)
	}
	text := fmt.Sprintf("version=%d\nterm=%d\nvote=%d\ncommit=%d\nvoters=%s\n",
		stateVersion, s.term, int64(s.vote)-1, s.commit, strings.Join(voters, ","))
	return fmt.Appendf([]byte(text), "crc=%08x\n", crc32.Checksum([]byte(text), castagnoli))
}

// decodeState reads what encode has written, and nothing else.
func decodeState(p []byte) (savedState, error) {
	var s savedState
	var version, vote int64
	var voters string
	_, err := fmt.Sscanf(string(p), "version=%d\nterm=%d\nvote=%d\ncommit=%d\nvoters=%s\n", &version, &s.term, &vote, &s.commit, &voters)
	if err != nil {
		return savedState{}, fmt.Errorf("%w: %s: %v", ErrCorrupt, stateName, err)
	}
	s.vote = uint64(vote + 1)
	for id := range strings.SplitSeq(voters, ",") {
		n, err := strconv.ParseInt(id, 10, 32)
		if err != nil || n < 0 {
			return savedState{}, fmt.Errorf("%w: %s: voters=%s", ErrCorrupt, stateName, voters)
		}
		s.voters = append(s.voters, uint64(n)+1)
	}
	if version != stateVersion || string(s.encode()) != string(p) {
		return savedState{}, fmt.Errorf("%w: %s has version %d, or was changed", ErrCorrupt, stateName, version)
	}
	return s, nil
}

// replaceFile makes content what the file holds, durably: old or new after a crash, never a mixture. Jobs only.
func replaceFile(d env.Disk, dir, name string, content []byte) error {
	path := dir + "/" + name
	f, err := d.Open(path+".tmp", env.Create)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = f.Truncate(0)
	if err == nil {
		err = f.WriteAt(0, content)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := d.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := d.SyncDir(dir); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// readFile returns what a file holds. Jobs only.
func readFile(d env.Disk, path string) ([]byte, error) {
	f, err := d.Open(path, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	p := make([]byte, size)
	return p, readFull(f, p, 0)
}

func readFull(f env.File, p []byte, at int64) error {
	for len(p) > 0 {
		n, err := f.ReadAt(p, at)
		if err != nil && (n < len(p) || !errors.Is(err, io.EOF)) {
			return err
		}
		p, at = p[n:], at+int64(n)
	}
	return nil
}

// sorted returns the ids in order.
func sorted(ids []uint64) []uint64 {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return ids
}
