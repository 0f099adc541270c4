package quorum

import (
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/record"
)

// Directory is the id of a data directory. A node that lost its disk comes back with another one.
type Directory [16]byte

// Voter is a member of a quorum that has no state yet.
type Voter struct {
	ID      record.NodeID
	Address string // host:port of its controller listener
}

// member is one node in the quorum. A node that lost its disk is another member: raft must not take it for the one that has voted
// and acknowledged under its number.
type member struct {
	id        uint64    // raft's
	learner   bool      // it gets the log and does not vote; it becomes a voter once it has caught up
	directory Directory // zero: one of the first voters, and nobody has written it down yet
	address   string    // empty: not known yet
}

// members is who takes part in the quorum: a fold of the metadata log. Entries that make no sense change nothing, everywhere.
type members struct {
	list       []member // by id
	generation uint32   // greatest in any id so far
}

// maxMembers bounds the quorum.
const maxMembers = 64

// raftID is a node's id as raft has it, where 0 means nobody. The first voters have generation 0.
func raftID(id record.NodeID, generation uint32) uint64 {
	return uint64(generation)<<32 | uint64(uint32(id)+1)
}

func nodeID(id uint64) record.NodeID { return record.NodeID(uint32(id) - 1) }

func generationOf(id uint64) uint32 { return uint32(id >> 32) }

// firstMembers is the quorum that some voters begin.
func firstMembers(ids []uint64, voters []Voter) members {
	var m members
	for _, id := range sorted(ids) {
		first := member{id: id}
		for _, v := range voters {
			if v.ID == nodeID(id) {
				first.address = v.Address
			}
		}
		m.list = append(m.list, first)
	}
	return m
}

func (m *members) find(id uint64) (at int, ok bool) {
	return slices.BinarySearchFunc(m.list, id, func(e member, id uint64) int {
		switch {
		case e.id < id:
			return -1
		case e.id > id:
			return 1
		}
		return 0
	})
}

// get returns a member, nil if the id is none's.
func (m *members) get(id uint64) *member {
	if at, ok := m.find(id); ok {
		return &m.list[at]
	}
	return nil
}

// named returns the member that a node is with a directory, nil if it is none.
func (m *members) named(node record.NodeID, directory Directory) *member {
	for i := range m.list {
		if e := &m.list[i]; nodeID(e.id) == node && e.directory == directory {
			return e
		}
	}
	return nil
}

// others counts the members with a node's number and another directory.
func (m *members) others(node record.NodeID, directory Directory) (n int) {
	for _, e := range m.list {
		if nodeID(e.id) == node && e.directory != directory {
			n++
		}
	}
	return n
}

func (m *members) ids(learners bool) []uint64 {
	var ids []uint64
	for _, e := range m.list {
		if e.learner == learners {
			ids = append(ids, e.id)
		}
	}
	return ids
}

func (m *members) votes(id uint64) bool {
	e := m.get(id)
	return e != nil && !e.learner
}

func (m *members) clone() members {
	return members{list: slices.Clone(m.list), generation: m.generation}
}

// conf is raft's form.
func (m *members) conf() *raftpb.ConfState {
	return &raftpb.ConfState{Voters: m.ids(false), Learners: m.ids(true)}
}

// apply takes a committed change and reports whether it makes sense.
func (m *members) apply(c confChange) bool {
	at, there := m.find(c.id)
	switch c.kind {
	case raftpb.ConfChangeAddLearnerNode:
		if there || len(m.list) >= maxMembers || generationOf(c.id) <= m.generation || m.named(nodeID(c.id), c.directory) != nil {
			return false
		}
		m.generation = generationOf(c.id)
		m.list = slices.Insert(m.list, at, member{id: c.id, learner: true, directory: c.directory, address: c.address})
	case raftpb.ConfChangeAddNode:
		if !there || !m.list[at].learner {
			return false
		}
		m.list[at].learner = false
	case raftpb.ConfChangeRemoveNode:
		if !there || !m.list[at].learner && len(m.ids(false)) == 1 {
			return false
		}
		m.list = slices.Delete(m.list, at, at+1)
	case raftpb.ConfChangeUpdateNode:
		if !there || m.list[at].directory != c.directory && m.list[at].directory != (Directory{}) {
			return false
		}
		m.list[at].directory, m.list[at].address = c.directory, c.address
	default:
		return false
	}
	return true
}

// appendTo encodes the members:
//
//	generation  uint32
//	count       uint16, then for each: id uint64, learner uint8, directory [16], length uint16, address
func (m *members) appendTo(p []byte) []byte {
	p = binary.BigEndian.AppendUint32(p, m.generation)
	p = binary.BigEndian.AppendUint16(p, uint16(len(m.list)))
	for _, e := range m.list {
		learner := byte(0)
		if e.learner {
			learner = 1
		}
		p = append(binary.BigEndian.AppendUint64(p, e.id), learner)
		p = appendString(append(p, e.directory[:]...), e.address)
	}
	return p
}

// read reads what appendTo wrote.
func (m *members) read(d *decoder) {
	m.generation = d.uint32()
	last := uint64(0)
	for range d.uint16() {
		if d.err != nil {
			return
		}
		e := member{id: d.uint64(), learner: d.flag(), directory: d.directory(), address: d.string()}
		if e.id <= last || uint32(e.id) == 0 || generationOf(e.id) > m.generation || len(m.list) == maxMembers {
			d.fail("member %d behind %d", e.id, last)
			return
		}
		last = e.id
		m.list = append(m.list, e)
	}
}

// confChange is one change of the members. In the log it is a protobuf message of raft's, type ConfChange, whose context is:
//
//	version    uint8   0
//	directory  [16]
//	length     uint16, address
type confChange struct {
	kind      raftpb.ConfChangeType
	id        uint64
	directory Directory
	address   string
}

// Tags of the message's fields: number, and 0 for a varint or 2 for bytes in the lowest three bits.
const (
	tagConfKind    = 2 << 3
	tagConfNode    = 3 << 3
	tagConfContext = 4<<3 | 2
)

func (c confChange) encode() []byte {
	context := appendString(append([]byte{0}, c.directory[:]...), c.address)
	p := binary.AppendUvarint([]byte{tagConfKind}, uint64(c.kind))
	p = binary.AppendUvarint(append(p, tagConfNode), c.id)
	p = binary.AppendUvarint(append(p, tagConfContext), uint64(len(context)))
	return append(p, context...)
}

// decodeConfChange reads what encode has written, and nothing else.
func decodeConfChange(p []byte) (confChange, error) {
	d := &decoder{p: p}
	d.expect(tagConfKind)
	kind := d.uvarint()
	if kind > uint64(raftpb.ConfChangeAddLearnerNode) {
		d.fail("change of kind %d", kind)
	}
	c := confChange{kind: raftpb.ConfChangeType(kind)}
	d.expect(tagConfNode)
	c.id = d.uvarint()
	d.expect(tagConfContext)
	context := &decoder{p: d.take(d.uvarint()), err: d.err}
	context.expect(0)
	c.directory, c.address = context.directory(), context.string()
	if err := context.end(); err != nil {
		return c, fmt.Errorf("change of the quorum's members: %w", err)
	}
	if err := d.end(); err != nil || uint32(c.id) == 0 {
		return c, fmt.Errorf("%w: change of the quorum's member %d", ErrCorrupt, c.id)
	}
	return c, nil
}

// raft returns raft's form of the change.
func (c confChange) raft() *raftpb.ConfChange {
	return &raftpb.ConfChange{Type: c.kind.Enum(), NodeId: new(c.id)}
}

// changeIn returns the change in an entry; ok is false for other entries.
func changeIn(e *raftpb.Entry) (c confChange, ok bool, err error) {
	switch e.GetType() {
	case raftpb.EntryNormal:
		return c, false, nil
	case raftpb.EntryConfChange:
		c, err = decodeConfChange(e.GetData())
		return c, true, err
	default:
		return c, false, fmt.Errorf("%w: entry %d is of type %v", ErrCorrupt, e.GetIndex(), e.GetType())
	}
}
