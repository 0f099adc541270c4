package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"

	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/env"
)

// A checkpoint file holds, integers big-endian:
//
//	magic    "LGQC"
//	version  uint8    0
//	index    uint64   of the last entry in the image: the log end behind it
//	term     uint64   of that entry
//	voters   uint32   how many, then their ids uint64
//	length   uint64   of the image
//	image
//	crc      uint32   CRC-32C of everything before
const (
	checkpointMagic   = "LGQC"
	checkpointVersion = 0
	checkpointSuffix  = ".checkpoint"
	checkpointHead    = len(checkpointMagic) + 1 + 8 + 8 + 4
)

// checkpoint is the image as of an entry, with the members of the quorum then.
type checkpoint struct {
	index, term uint64
	voters      []uint64
	image       []byte
}

func (c *checkpoint) name() string {
	return fmt.Sprintf("%020d-%010d%s", c.index, c.term, checkpointSuffix)
}

// parseCheckpointName takes the index from a name; ok is false for other files.
func parseCheckpointName(name string) (index uint64, ok bool) {
	rest, ok := strings.CutSuffix(name, checkpointSuffix)
	if !ok || len(rest) != 31 || rest[20] != '-' {
		return 0, false
	}
	index, err := strconv.ParseUint(rest[:20], 10, 63)
	return index, err == nil
}

func (c *checkpoint) encode() []byte {
	p := make([]byte, 0, checkpointHead+8*len(c.voters)+8+len(c.image)+4)
	p = append(append(p, checkpointMagic...), checkpointVersion)
	p = binary.BigEndian.AppendUint64(p, c.index)
	p = binary.BigEndian.AppendUint64(p, c.term)
	p = binary.BigEndian.AppendUint32(p, uint32(len(c.voters)))
	for _, id := range c.voters {
		p = binary.BigEndian.AppendUint64(p, id)
	}
	p = binary.BigEndian.AppendUint64(p, uint64(len(c.image)))
	p = append(p, c.image...)
	return binary.BigEndian.AppendUint32(p, crc32.Checksum(p, castagnoli))
}

func decodeCheckpoint(p []byte) (*checkpoint, error) {
	if len(p) < checkpointHead+8+4 || string(p[:len(checkpointMagic)]) != checkpointMagic {
		return nil, fmt.Errorf("%w: no checkpoint", ErrCorrupt)
	}
	body := p[:len(p)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(p[len(p)-4:]) {
		return nil, fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	if v := body[len(checkpointMagic)]; v != checkpointVersion {
		return nil, fmt.Errorf("%w: version %d", ErrCorrupt, v)
	}
	c := &checkpoint{index: binary.BigEndian.Uint64(body[5:]), term: binary.BigEndian.Uint64(body[13:])}
	n := binary.BigEndian.Uint32(body[21:])
	rest := body[checkpointHead:]
	if uint64(n)*8+8 > uint64(len(rest)) || n == 0 || c.index == 0 || c.index > math.MaxInt64 {
		return nil, fmt.Errorf("%w: %d voters, index %d", ErrCorrupt, n, c.index)
	}
	for range n {
		c.voters = append(c.voters, binary.BigEndian.Uint64(rest))
		rest = rest[8:]
	}
	if length := binary.BigEndian.Uint64(rest); length != uint64(len(rest)-8) {
		return nil, fmt.Errorf("%w: image of %d bytes in %d", ErrCorrupt, length, len(rest)-8)
	}
	c.image = rest[8:]
	return c, nil
}

// writeCheckpoint makes a checkpoint durable and removes those before it. Jobs only.
func writeCheckpoint(d env.Disk, dir string, c *checkpoint) error {
	if err := replaceFile(d, dir, c.name(), c.encode()); err != nil {
		return err
	}
	names, err := d.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	for _, n := range names {
		if index, ok := parseCheckpointName(n.Name); ok && index < c.index {
			if err := d.Remove(dir + "/" + n.Name); err != nil && !errors.Is(err, env.ErrNotExist) {
				return fmt.Errorf("remove old checkpoint: %w", err)
			}
		}
	}
	return nil // a removal that a power cut undoes leaves an older checkpoint beside the newer one
}

// readCheckpoint returns the newest checkpoint, nil if there is none. A newest one that cannot be read is an error: the log may start
// behind the older ones. Jobs only.
func readCheckpoint(d env.Disk, dir string) (*checkpoint, error) {
	names, err := d.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	newest := ""
	for _, n := range names {
		if _, ok := parseCheckpointName(n.Name); ok {
			newest = n.Name // names are in order
		}
	}
	if newest == "" {
		return nil, nil
	}
	p, err := readFile(d, dir+"/"+newest)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", newest, err)
	}
	c, err := decodeCheckpoint(p)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", newest, err)
	}
	if c.name() != newest {
		return nil, fmt.Errorf("%w: %s holds %s", ErrCorrupt, newest, c.name())
	}
	return c, nil
}

// confOf is raft's form of a set of voters.
func confOf(voters []uint64) *raftpb.ConfState { return &raftpb.ConfState{Voters: sorted(voters)} }
