package quorum

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"

	"lignum/core/env"
)

// A checkpoint file holds, integers big-endian:
//
//	magic    "LGQC"
//	version  uint8    1
//	index    uint64   of the last entry in the image: the log end behind it
//	term     uint64   of that entry
//	members           of the quorum, see members.appendTo
//	length   uint64   of the image
//	image
//	crc      uint32   CRC-32C of everything before
//
// Version 0 has, instead of the members, how many voters there are (uint32), and their ids (uint64 each).
const (
	checkpointMagic   = "LGQC"
	checkpointVersion = 1
	checkpointSuffix  = ".checkpoint"
)

// checkpoint is the image as of an entry, with the members of the quorum then.
type checkpoint struct {
	index, term uint64
	members     members
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
	p := make([]byte, 0, 64+64*len(c.members.list)+len(c.image))
	p = append(append(p, checkpointMagic...), checkpointVersion)
	p = binary.BigEndian.AppendUint64(p, c.index)
	p = binary.BigEndian.AppendUint64(p, c.term)
	p = c.members.appendTo(p)
	p = binary.BigEndian.AppendUint64(p, uint64(len(c.image)))
	p = append(p, c.image...)
	return binary.BigEndian.AppendUint32(p, crc32.Checksum(p, castagnoli))
}

func decodeCheckpoint(p []byte) (*checkpoint, error) {
	if len(p) < len(checkpointMagic)+4 || string(p[:len(checkpointMagic)]) != checkpointMagic {
		return nil, fmt.Errorf("%w: no checkpoint", ErrCorrupt)
	}
	body := p[:len(p)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(p[len(p)-4:]) {
		return nil, fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	d := &decoder{p: body[len(checkpointMagic):]}
	version := d.uint8()
	c := &checkpoint{index: d.uint64(), term: d.uint64()}
	switch version {
	case 0:
		for range d.uint32() {
			if d.err != nil {
				break
			}
			c.members.list = append(c.members.list, member{id: d.uint64()})
		}
	case checkpointVersion:
		c.members.read(d)
	default:
		return nil, fmt.Errorf("%w: version %d", ErrCorrupt, version)
	}
	length := d.uint64()
	c.image = d.take(length)
	if err := d.end(); err != nil {
		return nil, err
	}
	if len(c.members.ids(false)) == 0 || c.index == 0 || c.index > math.MaxInt64 || !fits(c.term) {
		return nil, fmt.Errorf("%w: %d voters, index %d, term %d", ErrCorrupt, len(c.members.ids(false)), c.index, c.term)
	}
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
