package scenarios

import (
	"bytes"
	"hash/crc32"
	"slices"
	"strconv"
	"time"

	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/scenarios/inspect"
	"lignum/scenarios/traffic"
)

// How often it is looked into the nodes. Each look is at one log of one node.
const clusterLook = 50 * time.Millisecond

// clusterBox looks into the nodes and compares them.
type clusterBox struct {
	c       *cluster
	looks   int
	acked   uint64
	elected uint64 // leaders that followed another one

	images  map[record.Offset]uint32 // checksum of the metadata's image as of an offset (M2)
	terms   map[record.Epoch]record.NodeID
	brokers map[metadata.BrokerEpoch]metadata.UUID // who registered (M8)
	topics  map[record.TopicID]string
	ghosts  map[record.Partition]*ghost
	roll    roll

	first, all []byte // scratch of compare
}

// ghost is what is known of a partition that no node needs to know.
type ghost struct {
	epoch      record.Epoch                   // the newest leader epoch
	leaders    map[record.Epoch]record.NodeID // (I5)
	greatest   record.Offset                  // TH: the greatest high watermark of any leader
	last       metadata.Partition             // the newest state, if turned
	turned     bool
	start      record.Offset // of the leader's log
	startSince env.Instant
	batches    map[place]batchID         // everything that any node ever had (L1, L2)
	committed  map[record.Offset]batchID // what lay below a leader's high watermark first (I1)
}

// place names one batch for ever.
type place struct {
	base  record.Offset
	epoch record.Epoch
}

// batchID is what a batch is, and which one is before it.
type batchID struct {
	crc    uint32
	next   record.Offset
	before place
}

// noPlace is that of the batch before a log's first one.
var noPlace = place{record.NoOffset, record.NoEpoch}

// scan is how far a node's log was read.
type scan struct {
	end    record.Offset
	latest record.Epoch
	last   place
	tail   []scanned // not known to be committed
}

type scanned struct {
	at place
	id batchID
}

func (x *clusterBox) begin(c *cluster) {
	x.c = c
	x.images, x.terms, x.ghosts = map[record.Offset]uint32{}, map[record.Epoch]record.NodeID{}, map[record.Partition]*ghost{}
	x.brokers, x.topics = map[metadata.BrokerEpoch]metadata.UUID{}, map[record.TopicID]string{}
	c.stage.Acked = x.acknowledged
	x.roll.begin()
	c.stage.Unregistered = x.unregistered
	x.later()
}

func (x *clusterBox) later() {
	x.c.world.After(clusterLook, func() {
		x.later()
		x.look()
	})
}

func (x *clusterBox) ghost(id record.Partition) *ghost {
	g := x.ghosts[id]
	if g == nil {
		g = &ghost{epoch: record.NoEpoch, leaders: map[record.Epoch]record.NodeID{}, batches: map[place]batchID{}, committed: map[record.Offset]batchID{}}
		x.ghosts[id] = g
	}
	return g
}

func (x *clusterBox) check(m *member, name string, holds bool, format string, args ...any) bool {
	if holds {
		return x.c.books.Check(name, true, "")
	}
	return m.check(name, false, inspect.WhiteBox+format, args...)
}

// image looks at a node's image of the metadata when it has changed.
func (x *clusterBox) image(m *member) {
	image := m.image()
	at := image.Offset()
	x.check(m, "M6", at > m.seenImage, "the image goes from offset %d back to %d", m.seenImage, at)
	m.seenImage = at
	sum := crc32.ChecksumIEEE(image.Snapshot())
	if before, known := x.images[at]; known {
		x.check(m, "M2", before == sum, "the image as of offset %d is not the one that another node has", at)
		return // looked at before
	}
	x.images[at] = sum
	err := controller.Check(image)
	x.check(m, "I4", err == nil, "the image as of offset %d: %v", at, err)
	for _, b := range image.Brokers() {
		who, known := x.brokers[b.Epoch]
		x.check(m, "M8", !known || who == b.Incarnation, "broker epoch %d belongs to two processes", b.Epoch)
		x.brokers[b.Epoch] = b.Incarnation
	}
	x.call(m, image)
	for _, t := range image.Topics() {
		name, known := x.topics[t.ID]
		x.check(m, "M8", !known || name == t.Name, "topic id %v belongs to %s and %s", t.ID, name, t.Name)
		x.topics[t.ID] = t.Name
		for i := range t.Partitions {
			x.leader(m, record.Partition{Topic: t.ID, Index: int32(i)}, &t.Partitions[i])
			x.turn(m, record.Partition{Topic: t.ID, Index: int32(i)}, &t.Partitions[i])
		}
	}
}

// leader notes who leads a partition: nobody else in the same epoch (I5).
func (x *clusterBox) leader(m *member, id record.Partition, p *metadata.Partition) {
	g := x.ghost(id)
	if p.LeaderEpoch > g.epoch {
		if g.epoch >= 0 {
			x.elected++
		}
		g.epoch = p.LeaderEpoch
	}
	if p.Leader < 0 {
		return
	}
	who, known := g.leaders[p.LeaderEpoch]
	x.check(m, "I5", !known || who == p.Leader, "partition %v has the leaders %d and %d in epoch %d", id, who, p.Leader, p.LeaderEpoch)
	g.leaders[p.LeaderEpoch] = p.Leader
}

// look looks at the next log of the next node.
func (x *clusterBox) look() {
	x.looks++
	m := x.c.members[x.looks%len(x.c.members)]
	if !m.host.Running() || m.node == nil {
		return
	}
	x.term(m)
	if !m.ready || m.lies {
		return
	}
	logs := m.node.Logs()
	if len(logs) == 0 {
		return
	}
	l := logs[x.looks/len(x.c.members)%len(logs)]
	if l.Failure() != nil || l.ID() == quorum.Partition() && m.harmed() {
		return
	}
	x.check(m, "H3", l.StartOffset() <= l.HighWatermark() && l.HighWatermark() <= l.EndOffset() || l.ID() == quorum.Partition(),
		"%s: start %d, high watermark %d, end %d", l.Dir(), l.StartOffset(), l.HighWatermark(), l.EndOffset())
	if l.AtRest() {
		x.atRest(m, l)
	}
	x.started(m, l)
	x.electedHere(m, l.ID())
	x.completeAll(l.ID())
	x.fresh(l.ID())
}

// term holds who leads the quorum in a term against what others said (M1).
func (x *clusterBox) term(m *member) {
	q := m.node.Quorum()
	if q == nil {
		return
	}
	if id, _, epoch, ok := q.Leader(); ok {
		who, known := x.terms[epoch]
		x.check(m, "M1", !known || who == id, "%d leads the quorum in epoch %d, and so does %d", id, epoch, who)
		x.terms[epoch] = id
	}
}

// atRest looks at a log whose files are up to date.
func (x *clusterBox) atRest(m *member, l *storage.Log) {
	changed := m.eye.Live(l)
	if l.ID() == quorum.Partition() {
		if changed {
			m.eye.Image(m.image())
		}
		return
	}
	x.scan(m, l)
}

// leads says whether a node leads a partition, as far as it knows.
func (m *member) leads(id record.Partition) bool {
	p := m.image().Partition(id)
	return p != nil && p.Leader == m.id && m.node.Leads(id)
}

// scan reads what is new in a log, and holds it against what any node ever had there (L1, L2), and against what was committed (I1).
func (x *clusterBox) scan(m *member, l *storage.Log) {
	id, g := l.ID(), x.ghost(l.ID())
	s := m.scans[id]
	if s == nil || s.latest != l.LatestEpoch() || l.EndOffset() < s.end {
		s = &scan{latest: l.LatestEpoch(), last: noPlace, end: l.StartOffset()}
		m.scans[id] = s
	}
	if s.end < l.EndOffset() {
		m.eye.EachBatch(l.Dir(), s.end, func(b record.Batch) { x.batch(m, l, g, s, b) })
	}
	mark := l.HighWatermark()
	if m.leads(id) {
		g.greatest = max(g.greatest, mark)
	}
	n := 0
	for n < len(s.tail) && s.tail[n].id.next <= mark {
		x.committed(m, l, g, &s.tail[n])
		n++
	}
	s.tail = slices.Delete(s.tail, 0, n)
}

// batch takes one batch of a node's log in.
func (x *clusterBox) batch(m *member, l *storage.Log, g *ghost, s *scan, b record.Batch) {
	if b.NextOffset() <= s.end {
		return
	}
	if b.BaseOffset() != s.end {
		s.last = noPlace // what was between is gone already
	}
	at := place{b.BaseOffset(), b.LeaderEpoch()}
	now := batchID{b.CRC(), b.NextOffset(), s.last}
	if known, ok := g.batches[at]; ok {
		x.check(m, "L2", known.crc == now.crc && known.next == now.next, "%s: the batch at offset %d in epoch %d is another one than elsewhere", l.Dir(), at.base, at.epoch)
		alike := known.before == now.before || known.before == noPlace || now.before == noPlace
		x.check(m, "L1", alike, "%s: before the batch at offset %d in epoch %d comes %v, elsewhere %v", l.Dir(), at.base, at.epoch, now.before, known.before)
		if known.before == noPlace {
			g.batches[at] = now
		}
	} else {
		g.batches[at] = now
	}
	s.last, s.end = at, now.next
	s.tail = append(s.tail, scanned{at, now})
}

// committed compares what lies below a replica's high watermark with what lay below the first one's (I1).
func (x *clusterBox) committed(m *member, l *storage.Log, g *ghost, s *scanned) {
	first, known := g.committed[s.at.base]
	if !known {
		g.committed[s.at.base] = s.id
		return
	}
	if x.safe(l.ID()) {
		x.check(m, "I1", first.crc == s.id.crc, "%s: at offset %d lies another batch than was committed there", l.Dir(), s.at.base)
	}
}

// safe says whether nothing can permit that what was committed goes.
func (x *clusterBox) safe(id record.Partition) bool {
	p := x.c.books.Partition(id)
	return p != nil && p.Safe()
}

// complete holds the logs of the in-sync and the eligible replicas of a partition against what was committed (I1, I2).
func (x *clusterBox) complete(m *member, l *storage.Log) {
	id := l.ID()
	newest := x.c.newest()
	p := newest.Partition(id)
	if p == nil || !x.safe(id) || !m.settled(newest) || m.log(id) == nil || !(slices.Contains(p.ISR, m.id) || slices.Contains(p.ELR, m.id)) {
		return
	}
	greatest := x.ghost(id).greatest
	name := "I2"
	if p.Leader == m.id {
		name = "I1"
	}
	x.check(m, name, l.EndOffset() >= greatest, "%s: the log ends at %d, but everything below %d was committed (leader %d in epoch %d, ISR %v, ELR %v)", l.Dir(), l.EndOffset(),
		greatest, p.Leader, p.LeaderEpoch, p.ISR, p.ELR)
}

// settled says whether the controller knows that the node has lost its disk, if it has.
func (m *member) settled(newest *metadata.Image) bool {
	if m.wipedAt < 0 {
		return true
	}
	b := newest.Broker(m.id)
	return b != nil && record.Offset(b.Epoch) > m.wipedAt
}

// acknowledged looks for a batch that was acknowledged to acks=all under sync, on the medium of every node of the in-sync set (D3).
func (x *clusterBox) acknowledged(t *traffic.Target, b record.Batch, at record.Offset) {
	id := record.Partition{Topic: t.ID, Index: t.Index}
	x.fresh(id)
	if x.acked++; x.acked%ackedEvery != 0 {
		return
	}
	newest := x.c.newest()
	p := newest.Partition(id)
	if p == nil {
		return
	}
	dir := t.Topic + "-" + strconv.Itoa(int(t.Index))
	for _, m := range x.c.members {
		if !slices.Contains(p.ISR, m.id) || !m.settled(newest) || !m.hasFrom(id, at) {
			continue
		}
		x.check(m, "D3", m.eye.Holds(dir, at, b), "%s: the batch of %d records at offset %d was acknowledged and is not on the medium (ISR %v)", dir, b.Count(), at, p.ISR)
	}
	x.holders(t, p, dir, b, at)
}

// hasFrom says whether a node's log of a partition, which is open, begins at or before an offset.
func (m *member) hasFrom(id record.Partition, at record.Offset) bool {
	l := m.log(id)
	return l != nil && l.StartOffset() <= at
}

// compareReplicas: all replicas of a partition have the same batches, when nothing happens any more.
func (x *clusterBox) compareReplicas() {
	x.decided()
	newest := x.c.newest()
	for _, t := range newest.Topics() {
		if t.Internal() {
			continue // members of groups never rest
		}
		for i := range t.Partitions {
			id := record.Partition{Topic: t.ID, Index: int32(i)}
			if t.Partitions[i].Leader >= 0 {
				x.compare(id, &t.Partitions[i])
				x.compareStarts(id, &t.Partitions[i])
			}
		}
	}
}

func (x *clusterBox) compare(id record.Partition, p *metadata.Partition) {
	var first []byte
	var whose *member
	from := record.Offset(0)
	logs := map[*member]*storage.Log{}
	for _, m := range x.c.members {
		if !m.host.Running() || !m.ready {
			return
		}
		for _, l := range m.node.Logs() {
			if l.ID() == id && slices.Contains(p.Replicas, m.id) {
				if !l.AtRest() {
					return // members of groups go on, and so may a write that waits behind theirs
				}
				logs[m] = l
				from = max(from, l.StartOffset())
			}
		}
	}
	for _, m := range x.c.members {
		l := logs[m]
		if l == nil {
			continue
		}
		all := x.all[:0]
		m.eye.EachBatch(l.Dir(), from, func(b record.Batch) { all = append(all, b...) })
		if whose == nil {
			first, whose = all, m
			x.first, x.all = first, x.first
			continue
		}
		x.all = all
		x.check(m, "replicas", bytes.Equal(first, all), "%s: from offset %d on the log, which ends at %d, is not that of %s, which ends at %d", l.Dir(), from, l.EndOffset(),
			whose.host.Name(), logs[whose].EndOffset())
	}
	x.c.books.Checked("replicas")
}
