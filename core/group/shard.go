package group

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"
	"unicode/utf8"

	"lignum/core/config"
	"lignum/core/coordinator"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"
)

// World is what groups need of the broker.
type World struct {
	Rand env.Rand
	Log  env.Log
	// Settings are what is in force.
	Settings func() *config.Groups
	// Own is what was set for one group.
	Own    func(group string) config.Overrides
	Topics Topics
}

// Topic is what a group has to know of one.
type Topic struct {
	Name       string
	ID         record.TopicID
	Partitions int32
}

// Topics is the cluster's topics.
type Topics struct {
	// Version moves with every change.
	Version func() record.Offset
	ByName  func(name string) (Topic, bool)
	ByID    func(id record.TopicID) (Topic, bool)
	// Names lists all of them in order, internal ones left out.
	Names func() []string
}

// Shard holds the groups of one partition of the offsets topic. It is a coordinator.Shard.
type Shard struct {
	host   *coordinator.Host
	world  *World
	groups map[string]*group
	// open are the transactions that have staged offsets here.
	open  map[record.ProducerID]*transaction
	gone  bool
	sweep sweep
	// regexes are the expressions of all groups here.
	regexes map[string]*resolved
}

var _ coordinator.Shard = (*Shard)(nil)

// New is a shard without groups.
func New(h *coordinator.Host, w *World) *Shard {
	return &Shard{host: h, world: w, groups: map[string]*group{}, open: map[record.ProducerID]*transaction{}, regexes: map[string]*resolved{}}
}

// group is one group, of either protocol, with its committed offsets.
type group struct {
	id string
	offsets
	// stored: the log has a record of the group itself, not only offsets.
	stored bool
	// Exactly one of these is there. A group that nobody ever joined is a classic one.
	classic  *classic
	consumer *consumer
}

// find is the group with that id; nil if there is none.
func (s *Shard) find(id string) *group { return s.groups[id] }

// make finds a group, or makes an empty classic one.
func (s *Shard) make(id string) *group {
	g := s.groups[id]
	if g == nil {
		g = &group{id: id, classic: newClassic()}
		s.groups[id] = g
	}
	return g
}

// reap forgets a group of which nothing is left: the log has nothing of it either.
func (s *Shard) reap(g *group) {
	if g.stored || !g.offsets.empty() || g.consumer != nil || !g.classic.bare() || s.groups[g.id] != g {
		return
	}
	if _, staged := s.staging(g.id); staged {
		return
	}
	g.classic.stop(s.timers())
	delete(s.groups, g.id)
}

// ids lists the groups in order.
func (s *Shard) ids() []string {
	ids := make([]string, 0, len(s.groups))
	//house:anyorder they are sorted below
	for id := range s.groups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (s *Shard) timers() *timer.Queue     { return s.host.Timers() }
func (s *Shard) settings() *config.Groups { return s.world.Settings() }
func (s *Shard) after(millis int32) env.Instant {
	return s.host.Now().Add(time.Duration(millis) * time.Millisecond)
}

// allowed is the end of a time that a member has, from now on. It begins only when this coordinator is the only one: until then the member may be heard of by
// the one before, be told that all is well, and believe it for as long as it has (C7).
func (s *Shard) allowed(millis int32) env.Instant {
	return max(s.host.Now(), s.host.Sole()).Add(time.Duration(millis) * time.Millisecond)
}

// append writes what a decision has yielded.
func (s *Shard) append(records []coordinator.Record, done func(wire.ErrorCode)) wire.ErrorCode {
	return s.host.Append(coordinator.Batch{Records: records}, done)
}

// settle gives a reply that tells of the state, once the state is safe.
func settle[R any](s *Shard, r R, failed func(wire.ErrorCode) R, reply func(R)) {
	s.host.Settle(func(code wire.ErrorCode) {
		if code != wire.None {
			r = failed(code)
		}
		reply(r)
	})
}

// longestName is how long a string may be in the log, and in requests and answers, in bytes.
const longestName = 1<<15 - 1

// newMemberID is a name for a member that nobody can guess. A client may call itself by the longest name there is: of such a one the beginning has to do.
func (s *Shard) newMemberID(prefix string) string {
	const unique = 1 + 36
	if len(prefix) > longestName-unique {
		n := longestName - unique
		for n > 0 && !utf8.RuneStart(prefix[n]) {
			n--
		}
		prefix = prefix[:n]
	}
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], s.world.Rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], s.world.Rand.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	t := hex.EncodeToString(id[:])
	return prefix + "-" + t[:8] + "-" + t[8:12] + "-" + t[12:16] + "-" + t[16:20] + "-" + t[20:]
}

// Loaded implements coordinator.Shard: the members that the log knows have a session from now on.
func (s *Shard) Loaded() {
	for _, id := range s.ids() {
		g := s.groups[id]
		if g.consumer != nil {
			s.consumerLoaded(g)
			continue
		}
		c := g.classic
		for _, m := range c.members {
			s.keepAlive(g, m, m.sessionTimeout)
		}
		if len(c.members) > int(s.settings().MaxSize) || c.headless && len(c.members) > 0 {
			s.prepareRebalance(g)
		}
	}
	s.armSweep()
}

// Unloaded implements coordinator.Shard.
func (s *Shard) Unloaded(code wire.ErrorCode) {
	s.gone = true
	s.timers().Stop(&s.sweep.timer)
	for _, id := range s.ids() {
		g := s.groups[id]
		if g.consumer != nil {
			g.consumer.stop(s.timers())
			continue
		}
		g.classic.stop(s.timers())
		for _, m := range slices.Clone(g.classic.members) {
			m.answerJoin(g.classic, JoinReply{Code: code, MemberID: m.id})
			m.answerSync(SyncReply{Code: code})
		}
	}
}

// Replay implements coordinator.Shard.
func (s *Shard) Replay(at coordinator.Position, r coordinator.Record) {
	k, known, err := decodeKey(r.Key)
	if err == nil && known {
		err = s.replay(at, k, r.Value)
	}
	if err != nil {
		s.world.Log(env.Error, "a record of the offsets topic is left out", "partition", s.host.Index, "offset", int64(at.Offset), "error", err)
	}
}

func (s *Shard) replay(at coordinator.Position, k key, value []byte) error {
	switch k.version {
	case keyOffset0, keyOffset:
		return s.replayOffset(at, k, value)
	case keyClassic:
		return s.replayClassic(at, k.group, value)
	}
	return s.replayConsumer(at, k, value)
}
