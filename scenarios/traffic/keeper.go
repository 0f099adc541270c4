package traffic

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/wire"
	"lignum/scenarios/ledger"
	"lignum/sim"
)

// KeeperOptions describe who looks after a group from outside.
type KeeperOptions struct {
	Name  string
	Actor uint64
	Pace  time.Duration
	// Commits: it commits offsets without being a member. Deletes: it deletes groups and offsets.
	Commits, Deletes bool
	// Consumer: the group follows the consumer protocol; Mixed: it may follow either.
	Consumer, Mixed bool
}

// Keeper commits offsets of a group without being a member, fetches all that there are, describes, lists and deletes.
type Keeper struct {
	*Band
	o      KeeperOptions
	rand   sim.Stream
	client int
	seat   *seat
	busy   bool
	// State is what the group was last described as.
	State string
	// Members are the ids of those who were in it, in order.
	Members []string
	// Idle are the partitions that a member wants and none has.
	Idle []ledger.OffsetKey
	// Asked and Fetched are when the last request began that told the state, and all offsets.
	Asked, Fetched int64
}

// NewKeeper starts one.
func NewKeeper(b *Band, o KeeperOptions) *Keeper {
	k := &Keeper{Band: b, o: o, rand: b.Stage.World.Stream(domainKeeper, o.Actor), client: 500 + int(o.Actor), seat: b.Stage.seat(o.Name, b.Books.ID, 500+o.Actor)}
	k.later()
	return k
}

func (k *Keeper) later() { k.Stage.World.After(k.rand.Between(0, 2*k.o.Pace), k.act) }

func (k *Keeper) act() {
	if k.Over {
		k.seat.close()
		return
	}
	k.later()
	if k.busy {
		return
	}
	p := k.seat.link()
	targets := k.targets()
	if p == nil || len(targets) == 0 {
		return
	}
	some := targets[k.rand.Below(int64(len(targets))):][:1]
	k.busy = true
	done := func(code wire.ErrorCode, ok bool) {
		k.busy = false
		k.seat.moved(code)
	}
	switch what := k.rand.Below(16); {
	case what < 5 || k.Calm && what < 8:
		asked := k.Stage.now()
		k.fetch(p, &k.rand, k.client, ledger.Member{Classic: true}, nil, func(code wire.ErrorCode, ok bool) {
			if ok && code == wire.None {
				k.Fetched = asked
			}
			done(code, ok)
		})
	case what < 7:
		k.fetch(p, &k.rand, k.client, ledger.Member{Classic: true}, some, done)
	case what < 10 && k.o.Commits && !k.Calm:
		k.commit(p, &k.rand, k.client, ledger.Member{Generation: -1, Classic: true}, some, done)
	case what == 10 && k.o.Deletes && !k.Calm:
		k.deleteGroup(p, done)
	case what == 11 && k.o.Deletes && !k.Calm:
		k.deleteOffset(p, some[0], done)
	case what == 12:
		k.list(p, done)
	case k.o.Consumer, k.o.Mixed:
		k.describeConsumer(p, done)
	default:
		k.describe(p, done)
	}
}

// ends tells all of a deletion what became of it.
func ends(try *ledger.Commit, n int, o ledger.Outcome) {
	for i := range n {
		try.Ended(i, o)
	}
}

func (k *Keeper) deleteGroup(p *peer, done func(wire.ErrorCode, bool)) {
	n := len(k.Books.Keys())
	try := k.Books.Delete(k.client, nil)
	r := kmsg.NewPtrDeleteGroupsRequest()
	r.Groups = []string{k.Books.ID}
	k.Counts["group deletions asked for"]++
	p.ask(r, version(&k.rand, wire.DeleteGroups, 0), 8*time.Second, func(answer kmsg.Response) {
		got, ok := answer.(*kmsg.DeleteGroupsResponse)
		if !ok || len(got.Groups) != 1 {
			ends(try, n, ledger.Unknown)
			done(wire.None, false)
			return
		}
		code := wire.ErrorCode(got.Groups[0].ErrorCode)
		if code == wire.None {
			k.Counts["groups deleted"]++
			try.Emptied()
		}
		k.Stage.tell(k.o.Name, "deleted group %s: %s", k.Books.ID, code)
		ends(try, n, outcomeOf(code))
		done(code, true)
	})
}

func (k *Keeper) deleteOffset(p *peer, t *Target, done func(wire.ErrorCode, bool)) {
	try := k.Books.Delete(k.client, []ledger.OffsetKey{keyOf(t)})
	r := kmsg.NewPtrOffsetDeleteRequest()
	r.Group = k.Books.ID
	r.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: t.Topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: t.Index}}}}
	p.ask(r, version(&k.rand, wire.OffsetDelete, 0), 8*time.Second, func(answer kmsg.Response) {
		got, ok := answer.(*kmsg.OffsetDeleteResponse)
		if !ok {
			try.Ended(0, ledger.Unknown)
			done(wire.None, false)
			return
		}
		code := wire.ErrorCode(got.ErrorCode)
		if code == wire.None && len(got.Topics) == 1 && len(got.Topics[0].Partitions) == 1 {
			code = wire.ErrorCode(got.Topics[0].Partitions[0].ErrorCode)
		}
		if code == wire.None {
			k.Counts["offsets deleted"]++
		}
		k.Stage.tell(k.o.Name, "deleted the offset of %v of group %s: %s", keyOf(t), k.Books.ID, code)
		try.Ended(0, outcomeOf(code))
		done(code, true)
	})
}

func (k *Keeper) list(p *peer, done func(wire.ErrorCode, bool)) {
	r := kmsg.NewPtrListGroupsRequest()
	if k.rand.Below(2) == 0 {
		r.StatesFilter = []string{"Stable", "Empty"}
	}
	p.ask(r, version(&k.rand, wire.ListGroups, 0), 8*time.Second, func(answer kmsg.Response) {
		got, ok := answer.(*kmsg.ListGroupsResponse)
		if !ok {
			done(wire.None, false)
			return
		}
		done(wire.ErrorCode(got.ErrorCode), true)
	})
}

func (k *Keeper) describe(p *peer, done func(wire.ErrorCode, bool)) {
	r := kmsg.NewPtrDescribeGroupsRequest()
	r.Groups = []string{k.Books.ID}
	asked := k.Stage.now()
	p.ask(r, version(&k.rand, wire.DescribeGroups, 0), 8*time.Second, func(answer kmsg.Response) {
		got, ok := answer.(*kmsg.DescribeGroupsResponse)
		if !ok || len(got.Groups) != 1 {
			done(wire.None, false)
			return
		}
		var members []string
		for _, m := range got.Groups[0].Members {
			members = append(members, m.MemberID)
		}
		k.described(asked, wire.ErrorCode(got.Groups[0].ErrorCode), got.Groups[0].State, members)
		done(wire.ErrorCode(got.Groups[0].ErrorCode), true)
	})
}

func (k *Keeper) describeConsumer(p *peer, done func(wire.ErrorCode, bool)) {
	r := kmsg.NewPtrConsumerGroupDescribeRequest()
	r.Groups = []string{k.Books.ID}
	asked := k.Stage.now()
	p.ask(r, version(&k.rand, wire.ConsumerGroupDescribe, 0), 8*time.Second, func(answer kmsg.Response) {
		got, ok := answer.(*kmsg.ConsumerGroupDescribeResponse)
		if !ok || len(got.Groups) != 1 {
			done(wire.None, false)
			return
		}
		var members []string
		for _, m := range got.Groups[0].Members {
			members = append(members, m.MemberID)
			if m.MemberType != got.Groups[0].Members[0].MemberType {
				k.Counts["groups of both protocols"]++
			}
		}
		if code := wire.ErrorCode(got.Groups[0].ErrorCode); code == wire.GroupIDNotFound && k.o.Mixed {
			k.describe(p, done)
			return
		}
		k.described(asked, wire.ErrorCode(got.Groups[0].ErrorCode), got.Groups[0].State, members)
		k.deal(&got.Groups[0])
		done(wire.ErrorCode(got.Groups[0].ErrorCode), true)
	})
}

// deal looks for partitions that nobody has although a member wants them, as far as that can be told: not of members that name topics by an expression.
func (k *Keeper) deal(g *kmsg.ConsumerGroupDescribeResponseGroup) {
	k.Idle = nil
	if !slices.ContainsFunc(k.lives, func(l *life) bool { return !l.benched && (l.classic || !l.o.Regex) }) {
		return
	}
	has := map[ledger.OffsetKey]bool{}
	for _, m := range g.Members {
		for _, t := range m.Assignment.TopicPartitions {
			for _, index := range t.Partitions {
				has[ledger.OffsetKey{Topic: t.Topic, Index: index}] = true
			}
		}
	}
	for _, t := range k.targets() {
		if !has[keyOf(t)] {
			k.Idle = append(k.Idle, keyOf(t))
		}
	}
}

// described notes what a group is; one that does not exist is as good as empty.
func (k *Keeper) described(asked int64, code wire.ErrorCode, state string, members []string) {
	switch code {
	case wire.None:
		k.State, k.Asked = state, asked
	case wire.GroupIDNotFound:
		k.State, k.Asked = "Dead", asked
	default:
		return
	}
	slices.Sort(members)
	k.Members, k.Idle = members, nil
}

// Settled reports whether the group was stable or empty, with its members and nobody else, and all that they want was dealt out, and all its offsets were fetched,
// after some time (V6).
func (k *Keeper) Settled(since int64) bool {
	calm := k.State == "Stable" || k.State == "Empty" || k.State == "Dead"
	return calm && len(k.Idle) == 0 && k.Asked >= since && k.Fetched >= since && slices.Equal(k.Members, k.roll())
}
