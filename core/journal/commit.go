package journal

import (
	"fmt"
	"hash/crc32"

	"lignum/core/env"
)

// Commit is one group on its way to the disk: a job. It belongs to the lane from Run until it is given back.
type Commit struct {
	// First and Last are the sequences that it makes durable, both included.
	First, Last uint64

	busy    bool
	disk    env.Disk
	dir     string
	creates bool // the file has yet to be made
	handle  env.File
	at      int64
	header  groupHeader
	entries []Entry
	heads   []byte // group header and all entry headers
	pieces  [][]byte
	err     error
}

// Run writes the group and syncs the file.
func (c *Commit) Run() {
	if c.creates {
		if c.handle, c.err = create(c.disk, c.dir, fileHeader{c.header.identity, c.header.first}); c.err != nil {
			return
		}
	}
	c.encode()
	if err := c.handle.WriteAt(c.at, c.pieces...); err != nil {
		c.err = fmt.Errorf("write %s at %d: %w", name(c.dir, c.header.generation), c.at, err)
		return
	}
	if err := c.handle.Sync(); err != nil {
		c.err = fmt.Errorf("sync %s: %w", name(c.dir, c.header.generation), err)
	}
	clear(c.pieces)
}

// encode lays out the headers between the pieces of data, without touching those.
func (c *Commit) encode() {
	need := groupHeaderBytes + len(c.entries)*entryHeaderBytes + block
	if cap(c.heads) < need {
		c.heads = make([]byte, need)
	}
	heads := c.heads[:need]
	rest := heads[groupHeaderBytes:]
	c.pieces = append(c.pieces[:0], heads[:groupHeaderBytes])
	crc := uint32(0)
	for i := range c.entries {
		e := &c.entries[i]
		e.encodeHeader(rest)
		c.pieces = append(c.pieces, rest[:entryHeaderBytes])
		crc = crc32.Update(crc, castagnoli, rest[:entryHeaderBytes])
		rest = rest[entryHeaderBytes:]
		for _, p := range e.Data {
			c.pieces = append(c.pieces, p)
			crc = crc32.Update(crc, castagnoli, p)
		}
	}
	c.header.crc = crc
	c.header.encode(heads)
	padding := rest[:c.header.padded()-c.header.bytes]
	clear(padding)
	if len(padding) > 0 {
		c.pieces = append(c.pieces, padding)
	}
}

// name is the path of a generation's file.
func name(dir string, generation uint64) string {
	return fmt.Sprintf("%s/%020d%s", dir, generation, liveSuffix)
}

// create makes the first block of a file that grows, and its name, durable (J4).
func create(d env.Disk, dir string, h fileHeader) (env.File, error) {
	path := name(dir, h.generation)
	making := path + newSuffix
	f, err := d.Open(making, env.Create)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", making, err)
	}
	if err := publish(d, dir, f, making, h); err != nil {
		_ = f.Close() // the error that counts is the first
		return nil, err
	}
	return f, nil
}

// publish gives a file its header and, once that is durable, its name in the ring.
func publish(d env.Disk, dir string, f env.File, from string, h fileHeader) error {
	path := name(dir, h.generation)
	if err := f.WriteAt(0, h.encode()); err != nil {
		return fmt.Errorf("write header of %s: %w", path, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync header of %s: %w", path, err)
	}
	if err := d.Rename(from, path); err != nil {
		return fmt.Errorf("rename %s to %s: %w", from, path, err)
	}
	if err := d.SyncDir(dir); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
