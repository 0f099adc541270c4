package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"lignum/linearizability"
	"lignum/linearizability/history"
)

// OffsetKey is what an offset is committed for.
type OffsetKey struct {
	Topic string
	Index int32
}

func (k OffsetKey) compare(other OffsetKey) int {
	return cmp.Or(cmp.Compare(k.Topic, other.Topic), cmp.Compare(k.Index, other.Index))
}

// Groups are the books of consumer groups.
type Groups struct {
	ledger *Ledger
	list   []*Group
	values uint64
	// Expiring: offsets are kept so shortly that a group without members may lose them.
	Expiring bool
	// Reborn: a group of which nothing is left may be forgotten, and begin again.
	Reborn bool
}

// NewGroups opens the books.
func NewGroups(l *Ledger) *Groups { return &Groups{ledger: l} }

// Group are the books of one group.
type Group struct {
	ID string
	// Mixed: it changes between the protocols. A generation of the classic protocol may then be a member's own epoch.
	Mixed  bool
	groups *Groups

	offsets map[OffsetKey]*offsetBooks
	keys    []OffsetKey // sorted
	members map[string]*membership
	holds   map[OffsetKey][]*Holder

	completions []completion // of classic generations
	tokens      map[int32]uint64
	newest      completion
	instances   map[string]named
	deleted     bool // somebody tried to
	claims      []claim
	open        []*Commit // of which not everything has ended
}

// offsetBooks is the history of one committed offset.
type offsetBooks struct {
	ops       []history.Offset
	committed uint64 // that were acknowledged
}

// membership is when a member was surely in the group: whoever was dropped never comes back under its id, unless it says that it joins again.
type membership struct {
	first, last int64
	before      [][2]int64 // the same, before it asked to join again; see Rejoins
	epoch       int32      // the highest that it was told, in the consumer protocol or where it is mixed with the classic one
	epochAt     int64      // when
	gone        int64      // when it was told that it is a member no more, in the consumer protocol; forever before
	vague       bool       // it names what it wants by an expression
}

// completion is a generation of the classic protocol that is complete: somebody was told its part.
type completion struct {
	generation int32
	sent       int64
	received   int64
}

// named is the latest member that took its part under an instance id.
type named struct {
	member         string
	sent, received int64
}

// claim is something that only happens while nobody is in the group.
type claim struct {
	invariant, what string
	call, ret       int64
}

// Add opens the books of a group.
func (s *Groups) Add(id string) *Group {
	g := &Group{
		ID: id, groups: s, offsets: map[OffsetKey]*offsetBooks{}, members: map[string]*membership{}, holds: map[OffsetKey][]*Holder{},
		tokens: map[int32]uint64{}, instances: map[string]named{}, newest: completion{generation: -1},
	}
	s.list = append(s.list, g)
	return g
}

// All lists the groups.
func (s *Groups) All() []*Group { return s.list }

func (g *Group) now() int64 { return g.groups.ledger.Now() }

func (g *Group) check(name string, holds bool, format string, args ...any) bool {
	if !holds {
		format = "group " + g.ID + ": " + format
	}
	return g.groups.ledger.Check(name, holds, format, args...)
}

func (g *Group) of(k OffsetKey) *offsetBooks {
	b := g.offsets[k]
	if b == nil {
		b = &offsetBooks{}
		g.offsets[k] = b
		at, _ := slices.BinarySearchFunc(g.keys, k, OffsetKey.compare)
		g.keys = slices.Insert(g.keys, at, k)
	}
	return b
}

// Member is as whom somebody commits.
type Member struct {
	ID, Instance string
	Generation   int32 // or the member epoch; below 0 for nobody in particular
	Since        int64 // when the client learned of the generation
	Classic      bool
}

// Commit is one try to commit offsets, or to delete them.
type Commit struct {
	group  *Group
	client int
	who    Member
	call   int64
	keys   []OffsetKey
	values []uint64
	ended  []bool
	left   int // that have not
}

// Commit begins a commit of new offsets for some keys.
func (g *Group) Commit(client int, who Member, keys []OffsetKey) *Commit {
	c := &Commit{group: g, client: client, who: who, call: g.now(), keys: keys}
	for range keys {
		g.groups.values++
		c.values = append(c.values, g.groups.values)
	}
	return c.begin()
}

// begin notes that a try is under way.
func (c *Commit) begin() *Commit {
	c.ended, c.left = make([]bool, len(c.keys)), len(c.keys)
	c.group.open = append(c.group.open, c)
	return c
}

// Delete begins a deletion of offsets; of all that there are if keys is nil.
func (g *Group) Delete(client int, keys []OffsetKey) *Commit {
	c := &Commit{group: g, client: client, call: g.now(), keys: keys}
	if keys == nil {
		g.deleted = true
		c.keys = slices.Clone(g.keys)
	}
	c.values = make([]uint64, len(c.keys))
	return c.begin()
}

// Offset is the offset to be committed for the i-th key.
func (c *Commit) Offset(i int) int64 { return int64(c.values[i]) }

// Metadata goes with the i-th offset.
func (c *Commit) Metadata(i int) string { return metadataOf(c.values[i]) }

func metadataOf(value uint64) string { return fmt.Sprintf("value %d", value) }

// Outcome is what is known of a try.
type Outcome uint8

// The outcomes.
const (
	Unknown Outcome = iota
	Done
	Refused
)

// Ended notes what became of the i-th key.
func (c *Commit) Ended(i int, o Outcome) {
	g, now := c.group, c.group.now()
	c.ended[i] = true
	if c.left--; c.left == 0 {
		g.open = slices.DeleteFunc(g.open, func(other *Commit) bool { return other == c })
	}
	if o == Refused {
		return
	}
	op := history.Offset{Client: c.client, Kind: history.Commit, Call: c.call, Return: history.Forever, Value: c.values[i]}
	b := g.of(c.keys[i])
	if o == Done {
		op.Return = now
		b.committed++
	}
	b.ops = append(b.ops, op)
}

// Took judges that a commit was accepted from whom it came (C2, C8).
func (c *Commit) Took() {
	g, who := c.group, c.who
	if who.Generation < 0 {
		g.claims = append(g.claims, claim{"C2", "a commit of nobody in particular", c.call, g.now()})
		return
	}
	if who.Classic && !g.Mixed {
		for _, later := range g.completions {
			g.check("C2", later.generation <= who.Generation || later.sent < who.Since || later.received >= c.call,
				"member %s commits as of generation %d, although generation %d was complete", who.ID, who.Generation, later.generation)
		}
	} else if m := g.members[who.ID]; m != nil {
		forgotten := g.Mixed && (g.groups.Reborn || g.deleted)
		g.check("C2", m.epoch <= who.Generation || m.epochAt >= c.call || forgotten, "member %s commits as of epoch %d, although it was told epoch %d", who.ID, who.Generation,
			m.epoch)
		g.check("C2", m.gone >= c.call, "member %s commits, although it was told that it is none any more", who.ID)
	}
	if other, ok := g.instances[who.Instance]; ok && who.Instance != "" {
		g.check("C8", other.member == who.ID || other.sent < who.Since || other.received >= c.call,
			"member %s commits as instance %s, which is %s by now", who.ID, who.Instance, other.member)
	}
	g.Alive(who.ID, c.call)
}

// Emptied notes that a group was deleted, which only one without members can be.
func (c *Commit) Emptied() {
	c.group.claims = append(c.group.claims, claim{"C6", "the deletion", c.call, c.group.now()})
}

// Alive notes that a member was in the group when it was answered a request sent at some time.
func (g *Group) Alive(member string, sent int64) {
	m := g.members[member]
	if m == nil {
		m = &membership{first: g.now(), gone: forever}
		g.members[member] = m
	}
	if m.first == forever {
		m.first = g.now()
	}
	m.last = max(m.last, sent)
}

// Rejoins notes that a member of the classic protocol asks to join once more. Where the protocols are mixed it may have been dropped before, and come back under
// its id.
func (g *Group) Rejoins(member string) {
	if m := g.members[member]; m != nil && g.Mixed && m.first != forever {
		m.before = append(m.before, [2]int64{m.first, m.last})
		m.first = forever
	}
}

// Completed notes that a member was told its part of a generation of the classic protocol. The token names the assignment that it was
// told a part of.
func (g *Group) Completed(member, instance string, generation int32, sent int64, token uint64) {
	g.Alive(member, sent)
	if !g.groups.Reborn && !g.deleted {
		other, known := g.tokens[generation]
		g.check("C7", !known || other == token, "generation %d has two assignments", generation)
		g.tokens[generation] = token
		g.check("C8", g.newest.generation <= generation || g.newest.received >= sent, "generation %d comes after generation %d", generation, g.newest.generation)
	}
	now := completion{generation, sent, g.now()}
	if generation > g.newest.generation {
		g.newest = now
	}
	g.completions = append(g.completions, now)
	if instance != "" {
		g.instances[instance] = named{member, sent, now.received}
	}
}

// Told notes that a member was told an epoch of its own (C8).
func (g *Group) Told(member, instance string, epoch int32, sent int64) {
	g.Alive(member, sent)
	m := g.members[member]
	// A member of the classic protocol may come back under its id to a group that was forgotten meanwhile.
	forgotten := g.Mixed && (g.groups.Reborn || g.deleted)
	g.check("C8", m.epoch <= epoch || m.epochAt >= sent || forgotten, "member %s is told epoch %d after epoch %d", member, epoch, m.epoch)
	if epoch > m.epoch {
		m.epoch, m.epochAt = epoch, g.now()
	}
	if instance != "" {
		g.instances[instance] = named{member, sent, g.now()}
	}
}

// Gone notes that a member of the consumer protocol was told that it is none any more. Joining again, it is another one.
func (g *Group) Gone(member string) {
	if m := g.members[member]; m != nil {
		m.gone = min(m.gone, g.now())
	}
}

// Vague notes that a member names what it wants by an expression. The coordinator looks now and then what that comes to, so nobody outside knows
// whether it reads a topic at some time, and keeps that one's offsets from expiring.
func (g *Group) Vague(member string) {
	if m := g.members[member]; m != nil {
		m.vague = true
	}
}

// Fetched notes an offset that was fetched; below 0 for none.
func (g *Group) Fetched(client int, call int64, k OffsetKey, offset int64, metadata string) {
	value := history.NoValue
	if offset >= 0 {
		value = uint64(offset)
		g.check("C1", value >= 1 && value <= g.groups.values && metadata == metadataOf(value), "%v: offset %d with %q was never committed", k, offset, metadata)
	}
	b := g.of(k)
	b.ops = append(b.ops, history.Offset{Client: client, Kind: history.Fetch, Call: call, Return: g.now(), Value: value})
}

// Keys are those that somebody has committed or asked for.
func (g *Group) Keys() []OffsetKey { return slices.Clone(g.keys) }

// occupied lists when somebody was surely in the group, in order and without overlaps; readers: somebody who surely reads all of its topics.
func (g *Group) occupied(readers bool) [][2]int64 {
	var list [][2]int64
	//house:anyorder they are sorted below
	for _, m := range g.members {
		if readers && m.vague {
			continue
		}
		for _, s := range append(m.before, [2]int64{m.first, m.last}) {
			if s[0] < s[1] {
				list = append(list, s)
			}
		}
	}
	slices.SortFunc(list, func(a, b [2]int64) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	var out [][2]int64
	for _, s := range list {
		if n := len(out); n > 0 && s[0] <= out[n-1][1] {
			out[n-1][1] = max(out[n-1][1], s[1])
			continue
		}
		out = append(out, s)
	}
	return out
}

// Judge closes the books: it looks for an order of all commits and fetches of each key (C1), and returns how many there were.
func (s *Groups) Judge() (operations uint64) {
	for _, g := range s.list {
		busy, read := g.occupied(false), g.occupied(true)
		for _, c := range g.claims {
			for _, b := range busy {
				g.check(c.invariant, c.call < b[0] || c.ret > b[1], "%s succeeds while the group has members", c.what)
			}
		}
		for _, c := range slices.Clone(g.open) {
			for i := range c.keys {
				if !c.ended[i] {
					c.Ended(i, Unknown)
				}
			}
		}
		for _, k := range g.keys {
			ops := g.offsets[k].ops
			if s.Expiring {
				ops = expire(ops, read)
			}
			operations += uint64(len(ops))
			v := linearizability.JudgeOffsets(ops)
			g.check("C1", v == linearizability.Linearizable, "the history of %d operations on the offset of %s-%d is %s", len(ops), k.Topic, k.Index, v)
		}
	}
	return operations
}

// Committed is how many commits were acknowledged.
func (s *Groups) Committed() (n uint64) {
	for _, g := range s.list {
		//house:anyorder a sum does not depend on it
		for _, b := range g.offsets {
			n += b.committed
		}
	}
	return n
}

// expire explains fetches that found nothing by an expiry, in the last time before their end in which the group may have been
// without members that read the topic (C6). It may as well have been just before the fetch, or at the end of that time.
func expire(ops []history.Offset, busy [][2]int64) []history.Offset {
	out := slices.Clone(ops)
	for _, op := range ops {
		if op.Kind != history.Fetch || op.Value != history.NoValue {
			continue
		}
		from, to := int64(0), op.Return
		for _, b := range busy {
			switch {
			case b[1] < op.Return:
				from, to = b[1], op.Return
			case b[0] < op.Return:
				to = b[0]
			}
		}
		if from > to {
			continue
		}
		from = max(from, min(op.Call, to))
		out = append(out, history.Offset{Client: op.Client, Kind: history.Commit, Call: from, Return: to, Value: history.NoValue})
	}
	return out
}
