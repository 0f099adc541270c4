package group

import (
	"math"
	"slices"

	"lignum/core/coordinator"
	"lignum/core/record"
	"lignum/core/wire"
)

// Commit is a member's wish to commit offsets; a stranger's if Generation is below 0.
type Commit struct {
	Group, Member, Instance string
	Generation              int32 // or the member epoch
	// Retention is how long the offsets are to be kept, in milliseconds; below 0 as the broker has it.
	Retention int64
	// Modern: the client knows what happens to groups of the consumer protocol (version 9 and later).
	Modern  bool
	Offsets []Offset
}

// Offset is one of them.
type Offset struct {
	Topic string
	Committed
}

// Commit judges and writes. It replies with a code for each offset, in order, when they are safe.
func (s *Shard) Commit(r *Commit, reply func([]wire.ErrorCode)) {
	codes := make([]wire.ErrorCode, len(r.Offsets))
	all := func(code wire.ErrorCode) []wire.ErrorCode {
		for i := range codes {
			codes[i] = code
		}
		return codes
	}
	if code := s.mayCommit(r, false); code != wire.None {
		settle(s, all(code), all, reply)
		return
	}
	records := s.commitRecords(r, codes)
	done := func(code wire.ErrorCode) {
		if code != wire.None {
			all(code)
		}
		reply(codes)
	}
	if code := s.append(records, done); code != wire.None {
		reply(all(code))
	}
}

func (s *Shard) commitRecords(r *Commit, codes []wire.ErrorCode) []coordinator.Record {
	wall, longest := int64(s.host.Wall()), int(s.settings().OffsetMetadataMaxBytes)
	records := make([]coordinator.Record, 0, len(r.Offsets))
	for i := range r.Offsets {
		o := &r.Offsets[i]
		if len(o.Metadata) > longest {
			codes[i] = wire.OffsetMetadataTooLarge
			continue
		}
		c := o.Committed
		c.committed, c.expires = wall, noExpiry
		if r.Retention >= 0 {
			c.expires = wall + min(r.Retention, math.MaxInt64-wall) // for ever, some say
		}
		records = append(records, offsetRecord(r.Group, o.Topic, &c))
	}
	return records
}

// mayCommit judges whether the sender may commit now (C2), and counts it as a sign of life.
func (s *Shard) mayCommit(r *Commit, inTransaction bool) wire.ErrorCode {
	g := s.find(r.Group)
	switch {
	case g == nil && r.Generation < 0:
		return wire.None
	case g == nil && r.Modern && !inTransaction:
		return wire.GroupIDNotFound
	case g == nil:
		return wire.IllegalGeneration
	case g.consumer != nil:
		return s.mayCommitConsumer(g, r, inTransaction)
	}
	c := g.classic
	switch {
	case r.Generation < 0 && c.state == empty && c.unrecorded:
		return s.recordEmpty(g)
	case r.Generation < 0 && c.state == empty:
		return wire.None
	case r.Generation >= 0 || r.Member != "" || r.Instance != "":
		if code := c.checkMember(r.Member, r.Instance); code != wire.None {
			return code
		}
		if r.Generation != c.generation {
			return wire.IllegalGeneration
		}
	case !inTransaction && c.state != empty:
		return wire.UnknownMemberID
	}
	if inTransaction {
		return wire.None
	}
	if c.state == completing {
		return wire.RebalanceInProgress
	}
	if m := c.byID[r.Member]; m != nil {
		s.keepAlive(g, m, m.sessionTimeout)
	}
	return wire.None
}

// CommitInTransaction stages offsets: they count once the producer's transaction is committed. It replies like Commit.
func (s *Shard) CommitInTransaction(r *Commit, producer record.ProducerID, epoch record.ProducerEpoch, reply func([]wire.ErrorCode)) {
	codes := make([]wire.ErrorCode, len(r.Offsets))
	done := func(code wire.ErrorCode) {
		for i := range codes {
			if code != wire.None {
				codes[i] = code
			}
		}
		reply(codes)
	}
	if code := s.mayCommit(r, true); code != wire.None {
		s.host.Settle(func(safe wire.ErrorCode) {
			if safe == wire.None {
				safe = code
			}
			done(safe)
		})
		return
	}
	code := s.host.Append(coordinator.Batch{
		Records: s.commitRecords(r, codes), Transactional: true, Producer: producer, ProducerEpoch: epoch,
	}, done)
	if code != wire.None {
		done(code)
	}
}

// replayOffset applies a commit, or its end. Of one key the last record counts, whether it came plainly or by a transaction: a
// transaction that ends late does not undo what was committed behind its record.
func (s *Shard) replayOffset(at coordinator.Position, k key, value []byte) error {
	if value == nil {
		g := s.find(k.group)
		if g != nil {
			g.offsets.remove(k.name, k.partition)
		}
		//house:anyorder each transaction is changed by itself
		for _, t := range s.open {
			if i, ok := t.search(k.group); ok {
				t.groups[i].remove(k.name, k.partition)
			}
		}
		if g != nil {
			s.reap(g)
		}
		return nil
	}
	c, err := decodeOffset(value)
	if err != nil {
		return err
	}
	c.Partition, c.at = k.partition, at.Offset
	g := s.make(k.group)
	if at.Producer == record.NoProducer {
		g.offsets.put(k.name, c)
		return nil
	}
	t := s.open[at.Producer]
	if t == nil {
		t = &transaction{}
		s.open[at.Producer] = t
	}
	t.group(k.group).put(k.name, c)
	return nil
}

// EndTransaction implements coordinator.Shard.
func (s *Shard) EndTransaction(at coordinator.Position, committed bool) {
	t := s.open[at.Producer]
	if t == nil {
		return
	}
	delete(s.open, at.Producer)
	for i := range t.groups {
		staged := &t.groups[i]
		g := s.make(staged.id)
		for j := range staged.topics {
			topic := &staged.topics[j]
			for _, c := range topic.list {
				if old := g.offsets.get(topic.name, c.Partition); committed && (old == nil || old.at < c.at) {
					g.offsets.put(topic.name, c)
				}
			}
		}
		s.reap(g)
	}
}

// staging finds a transaction that has offsets of a group staged.
func (s *Shard) staging(id string) (record.ProducerID, bool) {
	//house:anyorder whether there is one does not depend on which is found
	for producer, t := range s.open {
		if i, ok := t.search(id); ok && !t.groups[i].empty() {
			return producer, true
		}
	}
	return record.NoProducer, false
}

// staged reports whether an open transaction has an offset of that key.
func (s *Shard) staged(id, topic string, partition int32) bool {
	//house:anyorder whether there is one does not depend on which is found
	for _, t := range s.open {
		if t.stages(id, topic, partition) {
			return true
		}
	}
	return false
}

// transactions lists those that have staged offsets here, by producer.
func (s *Shard) transactions() []*transaction {
	producers := make([]record.ProducerID, 0, len(s.open))
	//house:anyorder they are sorted below
	for p := range s.open {
		producers = append(producers, p)
	}
	slices.Sort(producers)
	list := make([]*transaction, len(producers))
	for i, p := range producers {
		list[i] = s.open[p]
	}
	return list
}
