package api

import (
	"testing"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestWhatIsInAnEnvelope (X5): brokers pass on what is for the controller, and whoever reaches their listener may send anything in its place.
func TestWhatIsInAnEnvelope(t *testing.T) {
	list, version := kmsg.NewPtrListPartitionReassignmentsRequest(), kmsg.NewPtrApiVersionsRequest()
	within := func(key wire.Key, version int16, q kmsg.Request) []byte {
		q.SetVersion(version)
		return q.AppendTo(wire.AppendRequestHeader(nil, wire.Header{Key: key, Version: version, CorrelationID: 3}))
	}
	envelope := kmsg.NewPtrEnvelopeRequest()
	envelope.RequestData = within(wire.ListPartitionReassignments, 0, list)
	for _, c := range []struct {
		name string
		data []byte
		want wire.ErrorCode
	}{
		{"what is the controller's", within(wire.ListPartitionReassignments, 0, list), wire.None},
		{"plain records", produceFrame(9, testBatch(record.None, "a")), wire.InvalidRequest},
		{"compressed records", produceFrame(9, testBatch(record.Zstd, "a")), wire.InvalidRequest},
		{"what any broker answers", within(wire.ApiVersions, 3, version), wire.InvalidRequest},
		{"a version that there is not", within(wire.ApiVersions, 99, version), wire.InvalidRequest},
		{"another envelope", within(wire.Envelope, 0, envelope), wire.InvalidRequest},
		{"half a request", within(wire.ListPartitionReassignments, 0, list)[:12], wire.InvalidRequest},
		{"nothing", nil, wire.InvalidRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			s := NewSession(1, env.ConnInfo{}, d)
			s.Inter, s.Control = true, true
			q := kmsg.NewPtrEnvelopeRequest()
			q.RequestData = c.data
			d.Handle(s, &Call{Header: wire.Header{Key: wire.Envelope}, Body: q})
			if len(d.replies) != 1 {
				t.Fatalf("%d replies", len(d.replies))
			}
			if out := d.replies[0].(*kmsg.EnvelopeResponse); wire.ErrorCode(out.ErrorCode) != c.want {
				t.Errorf("%v, want %v", wire.ErrorCode(out.ErrorCode), c.want)
			}
		})
	}
}
