package api

import (
	"encoding/binary"

	"lignum/core/controller"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Control answers what brokers ask of the active controller: over the network, or in the same process.
func (h *Handlers) Control(request kmsg.Request, answer func(kmsg.Response)) {
	switch r := request.(type) {
	case *kmsg.BrokerRegistrationRequest:
		h.brokerRegistration(r, answer)
	case *kmsg.BrokerHeartbeatRequest:
		h.brokerHeartbeat(r, answer)
	case *kmsg.AlterPartitionRequest:
		h.alterPartition(r, answer)
	case *kmsg.AllocateProducerIDsRequest:
		h.allocateProducerIDs(r, answer)
	case *kmsg.AssignReplicasToDirsRequest:
		h.assignReplicasToDirs(r, answer)
	}
}

// control answers a request that came over the network.
func (h *Handlers) control(c *Call, request kmsg.Request) {
	h.Control(request, func(r kmsg.Response) { c.Answer(r) })
}

// undecided is the code for a decision that was refused, or of which nobody knows what became: the caller asks again, perhaps elsewhere.
func undecided(r controller.Refusal, err error) int16 {
	switch {
	case err != nil:
		return int16(wire.NotController)
	case r.Refused():
		return int16(r.Code)
	}
	return 0
}

// brokerRegistration lets a broker join. API key 62, versions 0 to 4.
//
//	v2  directories
//	v3  the epoch of the life before, if that one stopped cleanly (KIP-966)
//
// It replies with the broker's epoch once the registration is committed, or with that of another life that is registered.
func (h *Handlers) brokerRegistration(r *kmsg.BrokerRegistrationRequest, answer func(kmsg.Response)) {
	out := r.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	out.BrokerEpoch = -1
	if r.ClusterID != h.ClusterID {
		out.ErrorCode = int16(wire.InconsistentClusterID)
		answer(out)
		return
	}
	request := registration(r)
	var refusal controller.Refusal
	known := metadata.NoBrokerEpoch // while the answer is confirmed the broker may be unregistered; it learns of that from the log
	h.decideFirst(func() (records []metadata.Record) {
		request.OtherAlive, request.Late = h.otherAlive(request), h.late(request, r)
		if b := h.Image.Broker(request.ID); b != nil {
			known = b.Epoch
		}
		records, refusal = h.Controller.RegisterBroker(request)
		return records
	}, func(err error) {
		out.ErrorCode = undecided(refusal, err)
		code, b := wire.ErrorCode(out.ErrorCode), h.Image.Broker(request.ID)
		if b != nil {
			known = b.Epoch
		}
		if code == wire.None || code == wire.DuplicateBrokerRegistration {
			out.BrokerEpoch = int64(known)
		}
		if s := h.Sessions(); b != nil && s != nil && code == wire.None {
			s.Touch(b.ID, b.Epoch, record.NoOffset, h.Clock.Now())
		}
		answer(out)
	})
}

// otherAlive reports whether another process holds the id, and is heard of.
func (h *Handlers) otherAlive(r controller.RegisterBroker) bool {
	b, s := h.Image.Broker(r.ID), h.Sessions()
	return b != nil && b.Incarnation != r.Incarnation && !b.Fenced && s != nil && s.Alive(r.ID, h.Clock.Now())
}

// late reports whether another incarnation is registered than the one that the sender means to replace. Who does not say which one that is knows nothing
// of the tag.
func (h *Handlers) late(r controller.RegisterBroker, request *kmsg.BrokerRegistrationRequest) (late bool) {
	b := h.Image.Broker(r.ID)
	if b == nil {
		return false
	}
	request.UnknownTags.Each(func(tag uint32, value []byte) {
		if tag == wire.TagReplaces {
			late = len(value) != 8 || metadata.BrokerEpoch(binary.BigEndian.Uint64(value)) != b.Epoch
		}
	})
	return late
}

func registration(r *kmsg.BrokerRegistrationRequest) controller.RegisterBroker {
	out := controller.RegisterBroker{
		ID: record.NodeID(r.BrokerID), Incarnation: r.IncarnationID, Fenced: true, PreviousEpoch: metadata.BrokerEpoch(r.PreviousBrokerEpoch),
	}
	if r.Rack != nil {
		out.Rack = *r.Rack
	}
	for _, d := range r.LogDirs {
		out.Directories = append(out.Directories, d)
	}
	for _, l := range r.Listeners {
		out.Endpoints = append(out.Endpoints, metadata.Endpoint{Listener: l.Name, Host: l.Host, Port: l.Port, Protocol: l.SecurityProtocol})
	}
	for _, f := range r.Features {
		out.Features = append(out.Features, metadata.FeatureRange{Name: f.Name, Min: f.MinSupportedVersion, Max: f.MaxSupportedVersion})
	}
	return out
}

// brokerHeartbeat tells the controller that a broker lives, and the broker what it may do. API key 63, versions 0 to 2.
//
// It replies once what follows from it is committed.
func (h *Handlers) brokerHeartbeat(r *kmsg.BrokerHeartbeatRequest, answer func(kmsg.Response)) {
	out := r.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	out.IsFenced = true
	beat := controller.Heartbeat{
		ID: record.NodeID(r.BrokerID), Epoch: metadata.BrokerEpoch(r.BrokerEpoch), MetadataOffset: record.Offset(r.CurrentMetadataOffset),
		WantFence: r.WantFence, WantShutDown: r.WantShutdown,
	}
	for _, d := range r.OfflineLogDirs {
		beat.OfflineDirs = append(beat.OfflineDirs, d)
	}
	var reply controller.HeartbeatReply
	var refusal controller.Refusal
	h.decideFirst(func() (records []metadata.Record) {
		if s := h.Sessions(); s != nil {
			beat.Others = s.Others(beat.ID)
		}
		records, reply, refusal = h.Controller.Heartbeat(beat)
		if s := h.Sessions(); s != nil && !refusal.Refused() {
			s.Touch(beat.ID, beat.Epoch, beat.MetadataOffset, h.Clock.Now())
		}
		return records
	}, func(err error) {
		if out.ErrorCode = undecided(refusal, err); out.ErrorCode == 0 {
			out.IsCaughtUp, out.IsFenced, out.ShouldShutdown = reply.CaughtUp, reply.Fenced, reply.ShouldShutDown
		}
		answer(out)
	})
}

// allocateProducerIDs gives a broker a block of producer ids. API key 67, version 0.
func (h *Handlers) allocateProducerIDs(r *kmsg.AllocateProducerIDsRequest, answer func(kmsg.Response)) {
	out := r.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	var block controller.ProducerIDs
	h.decideFirst(func() (records []metadata.Record) {
		records, block = h.Controller.AllocateProducerIDs(record.NodeID(r.BrokerID), metadata.BrokerEpoch(r.BrokerEpoch))
		return records
	}, func(err error) {
		if out.ErrorCode = undecided(block.Refusal, err); out.ErrorCode == 0 {
			out.ProducerIDStart, out.ProducerIDLen = int64(block.First), block.Count
		}
		answer(out)
	})
}
