package quorum

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"lignum/core/env"
	"lignum/core/record"
)

// The state file is text:
//
//	version=1
//	member=2      this node's id in raft, 0 if it is no member of the quorum
//	term=7
//	vote=3        member that got the vote of this term, 0 if none
//	commit=41     index that was known to be committed; more may be
//	voters=2,3,4  members when the quorum began, - if that is not known here
//	noted=2:00112233445566778899aabbccddeeff,...  directories that nodes were first heard of with, by node id; - if none
//	crc=0123abcd  CRC-32C of everything before
//
// Version 0 was written by a single broker. It has no member, which is the only voter, and no noted; vote and voters are node ids.
const (
	stateName    = "quorum-state"
	stateVersion = 1
)

// savedState is what the state file says. Its zero value is that there is none.
type savedState struct {
	self               uint64 // this node as raft has it, 0 for no member
	term, vote, commit uint64 // vote is raft's id, 0 for none
	voters             []uint64
	noted              []note // by node id, one for each
}

// note is with which directory a node was first heard of.
type note struct {
	node      record.NodeID
	directory Directory
}

// known returns the directory that is known for a node.
func (s *savedState) known(node record.NodeID) (Directory, bool) {
	for _, n := range s.noted {
		if n.node == node {
			return n.directory, true
		}
	}
	return Directory{}, false
}

// note takes a directory down.
func (s *savedState) note(node record.NodeID, directory Directory) {
	s.noted = append(slices.Clone(s.noted), note{node, directory})
	slices.SortFunc(s.noted, func(a, b note) int { return int(a.node) - int(b.node) })
}

// castagnoli is the table of CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *savedState) encode() []byte {
	voters, noted := make([]string, len(s.voters)), make([]string, len(s.noted))
	for i, id := range s.voters {
		voters[i] = strconv.FormatUint(id, 10)
	}
	for i, n := range s.noted {
		noted[i] = fmt.Sprintf("%d:%x", n.node, n.directory[:])
	}
	return sealed(fmt.Sprintf("version=%d\nmember=%d\nterm=%d\nvote=%d\ncommit=%d\nvoters=%s\nnoted=%s\n",
		stateVersion, s.self, s.term, s.vote, s.commit, listed(voters), listed(noted)))
}

// encodeFirst encodes version 0.
func (s *savedState) encodeFirst() []byte {
	return sealed(fmt.Sprintf("version=0\nterm=%d\nvote=%d\ncommit=%d\nvoters=%d\n",
		s.term, int64(s.vote)-1, s.commit, int64(s.self)-1))
}

func sealed(text string) []byte {
	return fmt.Appendf([]byte(text), "crc=%08x\n", crc32.Checksum([]byte(text), castagnoli))
}

func listed(items []string) string {
	if len(items) == 0 {
		return "-"
	}
	return strings.Join(items, ",")
}

// decodeState reads what encode has written, in both versions, and nothing else.
func decodeState(p []byte) (savedState, error) {
	var s savedState
	var again []byte
	if strings.HasPrefix(string(p), "version=0\n") {
		var vote, voter int64
		if _, err := fmt.Sscanf(string(p), "version=0\nterm=%d\nvote=%d\ncommit=%d\nvoters=%d\n", &s.term, &vote, &s.commit, &voter); err != nil {
			return savedState{}, fmt.Errorf("%w: %s: %v", ErrCorrupt, stateName, err)
		}
		if vote < -1 || vote > math.MaxInt32 || voter < 0 || voter > math.MaxInt32 {
			return savedState{}, fmt.Errorf("%w: %s: vote=%d, voters=%d", ErrCorrupt, stateName, vote, voter)
		}
		s.self, s.vote = uint64(voter+1), uint64(vote+1)
		s.voters = []uint64{s.self}
		again = s.encodeFirst()
	} else {
		var version int64
		var voters, noted string
		_, err := fmt.Sscanf(string(p), "version=%d\nmember=%d\nterm=%d\nvote=%d\ncommit=%d\nvoters=%s\nnoted=%s\n",
			&version, &s.self, &s.term, &s.vote, &s.commit, &voters, &noted)
		if err == nil {
			err = s.readLists(voters, noted)
		}
		if err != nil {
			return savedState{}, fmt.Errorf("%w: %s: %v", ErrCorrupt, stateName, err)
		}
		again = s.encode()
	}
	if string(again) != string(p) {
		return savedState{}, fmt.Errorf("%w: %s has another version, or was changed", ErrCorrupt, stateName)
	}
	return s, nil
}

func (s *savedState) readLists(voters, noted string) error {
	if voters != "-" {
		for id := range strings.SplitSeq(voters, ",") {
			n, err := strconv.ParseUint(id, 10, 64)
			if err != nil || uint32(n) == 0 {
				return fmt.Errorf("voters=%s", voters)
			}
			s.voters = append(s.voters, n)
		}
	}
	if noted == "-" {
		return nil
	}
	for item := range strings.SplitSeq(noted, ",") {
		node, directory, _ := strings.Cut(item, ":")
		id, err := strconv.ParseInt(node, 10, 32)
		raw, hexErr := hex.DecodeString(directory)
		if err != nil || hexErr != nil || id < 0 || len(raw) != len(Directory{}) {
			return fmt.Errorf("noted=%s", noted)
		}
		s.noted = append(s.noted, note{record.NodeID(id), Directory(raw)})
	}
	return nil
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
