package journal

import (
	"testing"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/sim"
)

// FuzzDecodeEntries: whatever the bytes are, entries are whole and lie within them, and encode to what they were.
func FuzzDecodeEntries(f *testing.F) {
	c := Commit{entries: []Entry{
		{Kind: Append, Log: record.Partition{Topic: record.TopicID{7}, Index: 3}, Offset: 44, Epoch: 2, Data: [][]byte{[]byte("ab"), []byte("cd")}},
		{Kind: Truncate, Log: record.Partition{Index: 1}, Offset: 9, Epoch: -1},
	}}
	c.header.bytes = groupHeaderBytes + 2*entryHeaderBytes + 4
	c.encode()
	var flat []byte
	for _, p := range c.pieces {
		flat = append(flat, p...)
	}
	f.Add(flat[groupHeaderBytes:c.header.bytes], uint32(2))
	f.Add([]byte{}, uint32(0))
	f.Fuzz(func(t *testing.T, p []byte, count uint32) {
		entries, err := decodeEntries(p, count, nil)
		if err != nil {
			return
		}
		size := 0
		for i := range entries {
			size += entryHeaderBytes + int(entries[i].dataBytes())
		}
		if size != len(p) || len(entries) != int(count) {
			t.Fatalf("%d entries of %d bytes from %d bytes and count %d", len(entries), size, len(p), count)
		}
	})
}

// FuzzFile: a file with any content behind its header is read to an end or refused, never more.
func FuzzFile(f *testing.F) {
	w := newWorld(f, 1, tiny)
	w.open()
	w.add(10)
	w.add(300)
	for w.commit() {
	}
	file := w.j.current()
	content := make([]byte, file.end-block)
	if _, err := file.handle.ReadAt(content, block); err != nil {
		f.Fatal(err)
	}
	id := file.identity
	f.Add(content)
	f.Add(content[:len(content)/2])
	f.Add(append(append([]byte{}, content...), content...))
	f.Fuzz(func(t *testing.T, content []byte) {
		d := sim.NewDisk(sim.DiskOptions{})
		if err := d.Mkdir(dir); err != nil {
			t.Fatal(err)
		}
		h, err := d.Open(name(dir, id.generation), env.CreateNew)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.WriteAt(0, fileHeader{id, id.generation}.encode(), content); err != nil {
			t.Fatal(err)
		}
		r, err := Open(d, dir, tiny, Opening{Salt: 5})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readAll(r); err == nil {
			New(r, sim.NewRand(1))
		}
	})
}
