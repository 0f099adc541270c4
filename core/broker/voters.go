package broker

import (
	"errors"

	"lignum/core/api"
	"lignum/core/controller"
	"lignum/core/metadata"
	"lignum/core/quorum"
	"lignum/core/wire"
)

// askedQuorum is the metadata quorum as requests see it.
func (b *Broker) askedQuorum() api.Quorum {
	return api.Quorum{
		Describe: b.describeQuorum,
		Confirm:  func(done func(error)) { b.quorum.Confirm(done) },
		AddVoter: func(v api.Voter, done func(controller.Refusal)) {
			b.quorum.AddVoter(v.ID, quorum.Directory(v.Directory), v.Address, func(err error) { done(voterRefusal(err, wire.InvalidRequest)) })
		},
		RemoveVoter: func(v api.Voter, done func(controller.Refusal)) {
			b.quorum.RemoveVoter(v.ID, quorum.Directory(v.Directory), func(err error) { done(voterRefusal(err, wire.VoterNotFound)) })
		},
	}
}

func (b *Broker) describeQuorum() api.QuorumDescription {
	d := b.quorum.Describe()
	return api.QuorumDescription{
		Leads: d.Leader == b.node, Leader: d.Leader, Epoch: d.Epoch, HighWatermark: d.HighWatermark,
		Voters: quorumReplicas(d.Voters), Observers: quorumReplicas(d.Observers),
	}
}

func quorumReplicas(list []quorum.Replica) []api.QuorumReplica {
	var out []api.QuorumReplica
	for _, r := range list {
		out = append(out, api.QuorumReplica{
			Voter:  api.Voter{ID: r.Node, Directory: metadata.UUID(r.Directory), Address: r.Address},
			LogEnd: r.LogEnd, LastFetch: r.LastFetch, LastCaughtUp: r.LastCaughtUp,
		})
	}
	return out
}

// voterRefusal says why the quorum's voters were not changed, with Kafka's codes; unknown is that of a node that the quorum does not know.
func voterRefusal(err error, unknown wire.ErrorCode) controller.Refusal {
	if err == nil {
		return controller.Refusal{}
	}
	code := wire.RequestTimedOut // it is being changed, or nobody knows what became of it
	switch {
	case errors.Is(err, quorum.ErrNotLeader):
		code = wire.NotLeaderOrFollower
	case errors.Is(err, quorum.ErrDuplicate):
		code = wire.DuplicateVoter
	case errors.Is(err, quorum.ErrNoVoter):
		code = unknown
	case errors.Is(err, quorum.ErrLastVoter):
		code = wire.InvalidRequest
	}
	return controller.Refusal{Code: code, Message: err.Error()}
}
