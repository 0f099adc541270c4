package quorum

import (
	"encoding/binary"
	"math"

	"go.etcd.io/raft/v3/raftpb"
)

// Message is what voters send each other, raft's own.
type Message = raftpb.Message

// A message is, integers as varints unless told otherwise:
//
//	type     uint8
//	flags    uint8   1: it rejects
//	to, from, term, logTerm, index, commit, rejectHint
//	context  length, bytes
//	entries  see appendEntries; the first has the index that follows the message's
//
// A snapshot is not sent: index and logTerm of MsgSnap say which one the follower needs at least, and it pulls what was committed.
const flagReject = 1

// sendable tells which messages may come from another node; the rest are raft's way of talking to itself.
func sendable(t raftpb.MessageType) bool {
	switch t {
	case raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgSnap, raftpb.MsgHeartbeat,
		raftpb.MsgHeartbeatResp, raftpb.MsgTimeoutNow, raftpb.MsgPreVote, raftpb.MsgPreVoteResp:
		return true
	}
	return false
}

func appendMessage(p []byte, m *raftpb.Message) []byte {
	index, logTerm := m.GetIndex(), m.GetLogTerm()
	if m.GetType() == raftpb.MsgSnap {
		index, logTerm = m.GetSnapshot().GetMetadata().GetIndex(), m.GetSnapshot().GetMetadata().GetTerm()
	}
	flags := byte(0)
	if m.GetReject() {
		flags = flagReject
	}
	p = append(p, byte(m.GetType()), flags)
	for _, n := range []uint64{m.GetTo(), m.GetFrom(), m.GetTerm(), logTerm, index, m.GetCommit(), m.GetRejectHint()} {
		p = binary.AppendUvarint(p, n)
	}
	p = binary.AppendUvarint(p, uint64(len(m.GetContext())))
	return appendEntries(append(p, m.GetContext()...), m.GetEntries())
}

// readMessage reads what appendMessage wrote. It copies what raft keeps.
func readMessage(d *decoder) *raftpb.Message {
	t, flags := raftpb.MessageType(d.uint8()), d.uint8()
	if !sendable(t) || flags > flagReject {
		d.fail("message of type %d, flags %d", t, flags)
	}
	m := &raftpb.Message{
		Type: t.Enum(), To: new(d.uvarint()), From: new(d.uvarint()), Term: new(d.uvarint()), LogTerm: new(d.uvarint()),
		Index: new(d.uvarint()), Commit: new(d.uvarint()), RejectHint: new(d.uvarint()),
	}
	if flags == flagReject {
		m.Reject = new(true)
	}
	if context := d.take(d.uvarint()); len(context) > 0 {
		m.Context = append([]byte{}, context...)
	}
	m.Entries = readEntries(d, m.GetIndex()+1)
	switch n := len(m.Entries); {
	case n > 0 && (t != raftpb.MsgApp || m.Entries[n-1].GetTerm() > m.GetTerm() || m.Entries[0].GetTerm() < m.GetLogTerm()):
		d.fail("entries of terms %d to %d in %v of term %d", m.Entries[0].GetTerm(), m.Entries[n-1].GetTerm(), t, m.GetTerm())
	case m.GetTerm() == 0 || !fits(m.GetTerm()) || uint32(m.GetFrom()) == 0 || m.GetIndex() > math.MaxInt64:
		d.fail("%v of term %d from %d", t, m.GetTerm(), m.GetFrom())
	}
	return m
}

// appendEntries encodes entries in a row:
//
//	count, then for each: type uint8, term, length, data
func appendEntries(p []byte, all []*raftpb.Entry) []byte {
	p = binary.AppendUvarint(p, uint64(len(all)))
	for _, e := range all {
		p = binary.AppendUvarint(append(p, byte(e.GetType())), e.GetTerm())
		p = binary.AppendUvarint(p, uint64(len(e.GetData())))
		p = append(p, e.GetData()...)
	}
	return p
}

// readEntries reads what appendEntries wrote; the first entry has the index first. It copies what is kept.
func readEntries(d *decoder, first uint64) []*raftpb.Entry {
	n := d.uvarint()
	if n > uint64(len(d.p))/3 || first > math.MaxInt64 || n > 0 && first == 0 {
		d.fail("%d entries from %d on in %d bytes", n, first, len(d.p))
	}
	if d.err != nil || n == 0 {
		return nil
	}
	all, term := make([]*raftpb.Entry, 0, n), uint64(0)
	for i := range n {
		e := &raftpb.Entry{Index: new(first + i), Type: raftpb.EntryType(d.uint8()).Enum(), Term: new(d.uvarint())}
		if data := d.take(d.uvarint()); len(data) > 0 {
			e.Data = append([]byte{}, data...)
		}
		if e.GetType() > raftpb.EntryConfChangeV2 || e.GetTerm() < term || !fits(e.GetTerm()) {
			d.fail("entry of type %d, term %d behind %d", e.GetType(), e.GetTerm(), term)
		}
		if d.err != nil {
			return nil
		}
		term = e.GetTerm()
		all = append(all, e)
	}
	return all
}
