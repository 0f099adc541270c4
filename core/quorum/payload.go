package quorum

import (
	"encoding/binary"

	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/record"
)

// A payload is what nodes send each other, integers big-endian:
//
//	version    uint8   0
//	kind       uint8
//	cluster    string  length uint16, bytes
//	node       int32   who sends
//	member     uint64  its id in raft; 0 if it is no member
//	directory  [16]    its data directory
//	address    string  where its controller listener is; empty if it has none
//	body               see the kinds
const payloadVersion = 0

type kind uint8

const (
	kindMessages kind = iota // raft's messages, one behind the other, see appendMessage
	kindGreeting             // nothing: does anybody know me by another directory?
	kindGreeted              // known uint8: 1 if so
	kindPull                 // see pull
	kindPulled               // see pulled
	kinds
)

// sender is who sent a payload.
type sender struct {
	cluster   string
	node      record.NodeID
	member    uint64
	directory Directory
	address   string
}

// begin starts a payload of this node's.
func (q *Quorum) begin(k kind) []byte {
	p := appendString([]byte{payloadVersion, byte(k)}, q.ClusterID)
	p = binary.BigEndian.AppendUint32(p, uint32(q.Node))
	p = binary.BigEndian.AppendUint64(p, q.saved.self)
	return appendString(append(p, q.Directory[:]...), q.Address)
}

func openPayload(p []byte) (k kind, from sender, d *decoder) {
	d = &decoder{p: p}
	d.expect(payloadVersion)
	if k = kind(d.uint8()); k >= kinds {
		d.fail("payload of kind %d", k)
	}
	from = sender{
		cluster: d.string(), node: record.NodeID(d.uint32()), member: d.uint64(), directory: d.directory(), address: d.string(),
	}
	if from.node < 0 || from.member != 0 && nodeID(from.member) != from.node {
		d.fail("node %d is member %d", from.node, from.member)
	}
	return k, from, d
}

// pull asks for what was committed behind an entry.
type pull struct {
	serial uint64 // comes back with the answer
	wants  bool   // the node would take part in the quorum
	index  uint64 // of the last entry that it has
	term   uint64 // of that entry
	// A snapshot of which it has a part; zero if there is none.
	snapshot, snapshotTerm, position uint64
}

func (m pull) appendTo(p []byte) []byte {
	p = append(binary.BigEndian.AppendUint64(p, m.serial), flagByte(m.wants))
	for _, n := range []uint64{m.index, m.term, m.snapshot, m.snapshotTerm, m.position} {
		p = binary.BigEndian.AppendUint64(p, n)
	}
	return p
}

func readPull(d *decoder) (m pull, err error) {
	m = pull{
		serial: d.uint64(), wants: d.flag(), index: d.uint64(), term: d.uint64(),
		snapshot: d.uint64(), snapshotTerm: d.uint64(), position: d.uint64(),
	}
	return m, d.end()
}

// pulled is the answer: who leads, and either entries, or a piece of a snapshot, or nothing.
type pulled struct {
	serial  uint64
	leader  record.NodeID // -1 if it is not known
	address string        // the leader's
	epoch   uint64
	serves  bool // the node takes part in the quorum, so it can answer

	first   *members // at the very beginning of the log: who began the quorum
	entries []*raftpb.Entry

	// Piece of a checkpoint file: all of it if length is that of the piece.
	snapshot, snapshotTerm, position, length uint64
	piece                                    []byte
}

func (m pulled) appendTo(p []byte) []byte {
	p = binary.BigEndian.AppendUint64(p, m.serial)
	p = binary.BigEndian.AppendUint32(p, uint32(m.leader))
	p = binary.BigEndian.AppendUint64(appendString(p, m.address), m.epoch)
	p = append(p, flagByte(m.serves), flagByte(m.first != nil))
	if m.first != nil {
		p = m.first.appendTo(p)
	}
	first := uint64(0)
	if len(m.entries) > 0 {
		first = m.entries[0].GetIndex()
	}
	p = appendEntries(binary.BigEndian.AppendUint64(p, first), m.entries)
	for _, n := range []uint64{m.snapshot, m.snapshotTerm, m.position, m.length} {
		p = binary.BigEndian.AppendUint64(p, n)
	}
	return append(p, m.piece...)
}

func readPulled(d *decoder) (m pulled, err error) {
	m = pulled{serial: d.uint64(), leader: record.NodeID(d.uint32()), address: d.string(), epoch: d.uint64(), serves: d.flag()}
	if d.flag() {
		m.first = &members{}
		m.first.read(d)
	}
	m.entries = readEntries(d, d.uint64())
	m.snapshot, m.snapshotTerm, m.position, m.length = d.uint64(), d.uint64(), d.uint64(), d.uint64()
	m.piece = d.take(uint64(len(d.p)))
	if m.position > m.length || uint64(len(m.piece)) > m.length-m.position || m.length > 0 && (m.snapshot == 0 || len(m.piece) == 0) {
		d.fail("piece of %d bytes at %d in a snapshot of %d", len(m.piece), m.position, m.length)
	}
	return m, d.err
}

func flagByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}
