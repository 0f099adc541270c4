package traffic

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/wire"
	"lignum/scenarios/ledger"
	"lignum/sim"
)

// outcomeOf is what an answer's code says of a change of offsets.
func outcomeOf(code wire.ErrorCode) ledger.Outcome {
	switch code {
	case wire.None:
		return ledger.Done
	case wire.UnknownMemberID, wire.IllegalGeneration, wire.FencedInstanceID, wire.RebalanceInProgress, wire.StaleMemberEpoch, wire.UnknownTopicOrPartition,
		wire.GroupIDNotFound, wire.NonEmptyGroup, wire.GroupSubscribedToTopic, wire.UnsupportedVersion, wire.FencedMemberEpoch, wire.InvalidGroupID,
		wire.CoordinatorLoadInProgress, wire.OffsetMetadataTooLarge:
		return ledger.Refused
	}
	return ledger.Unknown
}

// commit commits new offsets for some partitions. then gets the code of the first one; false if there was no answer.
func (b *Band) commit(p *peer, rand *sim.Stream, client int, who ledger.Member, targets []*Target, then func(code wire.ErrorCode, ok bool)) {
	keys := make([]ledger.OffsetKey, len(targets))
	for i, t := range targets {
		keys[i] = keyOf(t)
	}
	try := b.Books.Commit(client, who, keys)
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.MemberID, r.Generation, r.RetentionTimeMillis = b.Books.ID, who.ID, who.Generation, -1
	least := int16(2)
	if who.Instance != "" {
		r.InstanceID, least = &who.Instance, 7
	}
	if !who.Classic && who.Generation >= 0 {
		least = 9
	}
	for i, k := range keys {
		part := kmsg.NewOffsetCommitRequestTopicPartition()
		metadata := try.Metadata(i)
		part.Partition, part.Offset, part.LeaderEpoch, part.Metadata = k.Index, try.Offset(i), -1, &metadata
		if n := len(r.Topics); n == 0 || r.Topics[n-1].Topic != k.Topic {
			topic := kmsg.NewOffsetCommitRequestTopic()
			topic.Topic = k.Topic
			r.Topics = append(r.Topics, topic)
		}
		topic := &r.Topics[len(r.Topics)-1]
		topic.Partitions = append(topic.Partitions, part)
	}
	p.ask(r, version(rand, wire.OffsetCommit, least), 8*time.Second, func(answer kmsg.Response) {
		got, ok := answer.(*kmsg.OffsetCommitResponse)
		codes := map[ledger.OffsetKey]wire.ErrorCode{}
		if ok {
			for i := range got.Topics {
				for _, part := range got.Topics[i].Partitions {
					codes[ledger.OffsetKey{Topic: got.Topics[i].Topic, Index: part.Partition}] = wire.ErrorCode(part.ErrorCode)
				}
			}
		}
		first, took := wire.None, false
		for i, k := range keys {
			code, known := codes[k]
			if !known {
				try.Ended(i, ledger.Unknown)
				continue
			}
			if i == 0 {
				first = code
			}
			took = took || code == wire.None
			try.Ended(i, outcomeOf(code))
		}
		if took {
			try.Took()
		}
		b.Stage.tell(p.name, "committed %v as %+v of group %s: %v %s", keys, who, b.Books.ID, ok, first)
		then(first, ok)
	})
}

// fetch asks for offsets of a group: of some partitions, or all if targets is nil. who is nobody in particular, or a member of the consumer protocol.
func (b *Band) fetch(p *peer, rand *sim.Stream, client int, who ledger.Member, targets []*Target, then func(code wire.ErrorCode, ok bool)) {
	r := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	v := version(rand, wire.OffsetFetch, 2)
	r.Group, g.Group, g.MemberEpoch = b.Books.ID, b.Books.ID, -1
	if r.RequireStable = rand.Below(2) == 0 && v >= 7; !who.Classic && who.ID != "" && rand.Below(2) == 0 {
		v, g.MemberID, g.MemberEpoch = 9, &who.ID, who.Generation
	}
	wanted := b.Books.Keys()
	if targets != nil {
		wanted = nil
	}
	for _, t := range targets {
		wanted = append(wanted, keyOf(t))
		if n := len(r.Topics); n == 0 || r.Topics[n-1].Topic != t.Topic {
			r.Topics = append(r.Topics, kmsg.OffsetFetchRequestTopic{Topic: t.Topic})
			g.Topics = append(g.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic})
		}
		n := len(r.Topics) - 1
		r.Topics[n].Partitions = append(r.Topics[n].Partitions, t.Index)
		g.Topics[n].Partitions = append(g.Topics[n].Partitions, t.Index)
	}
	r.Groups = append(r.Groups, g)
	call := b.Stage.now()
	p.ask(r, v, 8*time.Second, func(answer kmsg.Response) {
		got, ok := answer.(*kmsg.OffsetFetchResponse)
		if !ok {
			then(wire.None, false)
			return
		}
		then(b.fetched(client, call, wanted, got), true)
	})
}

// fetched takes an answer with the offsets of one group.
func (b *Band) fetched(client int, call int64, wanted []ledger.OffsetKey, got *kmsg.OffsetFetchResponse) wire.ErrorCode {
	if got.Version < 8 {
		g := kmsg.OffsetFetchResponseGroup{ErrorCode: got.ErrorCode}
		for _, t := range got.Topics {
			topic := kmsg.OffsetFetchResponseGroupTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				topic.Partitions = append(topic.Partitions, kmsg.OffsetFetchResponseGroupTopicPartition{
					Partition: p.Partition, Offset: p.Offset, Metadata: p.Metadata, ErrorCode: p.ErrorCode,
				})
			}
			g.Topics = append(g.Topics, topic)
		}
		return b.took(client, call, wanted, &g)
	}
	for i := range got.Groups {
		if got.Groups[i].Group == b.Books.ID {
			return b.took(client, call, wanted, &got.Groups[i])
		}
	}
	return wire.UnknownServerError
}

func (b *Band) took(client int, call int64, wanted []ledger.OffsetKey, g *kmsg.OffsetFetchResponseGroup) wire.ErrorCode {
	if g.ErrorCode != 0 {
		return wire.ErrorCode(g.ErrorCode)
	}
	found := map[ledger.OffsetKey]bool{}
	for i := range g.Topics {
		for _, p := range g.Topics[i].Partitions {
			k := ledger.OffsetKey{Topic: g.Topics[i].Topic, Index: p.Partition}
			found[k] = true
			if p.ErrorCode != 0 {
				continue
			}
			metadata := ""
			if p.Metadata != nil {
				metadata = *p.Metadata
			}
			b.Stage.tell("fetch", "group %s has committed %d for %v (asked at %d)", b.Books.ID, p.Offset, k, call)
			b.Books.Fetched(client, call, k, p.Offset, metadata)
		}
	}
	for _, k := range wanted {
		if !found[k] {
			b.Stage.tell("fetch", "group %s has committed nothing for %v (asked at %d)", b.Books.ID, k, call)
			b.Books.Fetched(client, call, k, -1, "")
		}
	}
	return wire.None
}
