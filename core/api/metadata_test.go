package api

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// TestMetadataOfTheFenced: clients are told of the brokers that serve, and which replicas are on others.
func TestMetadataOfTheFenced(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Leader = func() record.NodeID { return 1 }
	for id := range record.NodeID(4) {
		records, _ := d.Controller.RegisterBroker(controller.RegisterBroker{
			ID: id + 1, Incarnation: metadata.UUID{byte(id + 1), 1}, Directories: []metadata.UUID{{9, byte(id)}}, PreviousEpoch: d.Image.Broker(id + 1).Epoch,
			Endpoints: []metadata.Endpoint{{Listener: "A", Host: "a", Port: uint16(id)}, {Listener: "B", Host: "b", Port: uint16(id)}}[:1+id%2],
		})
		d.apply(records)
	}
	told := func(listener string) (brokers []int32, partition wire.MetadataPartition) {
		d.replies = nil
		d.Handle(NewSession(1, env.ConnInfo{Listener: listener}, d), &Call{Header: wire.Header{Key: wire.Metadata, Version: 12}, Body: &wire.MetadataRequest{AllTopics: true}})
		out := d.replies[0].(*wire.MetadataResponse)
		for _, b := range out.Brokers {
			brokers = append(brokers, b.ID)
		}
		if !slices.Contains(brokers, out.ControllerID) {
			t.Errorf("brokers %v on %s, and the controller is %d", brokers, listener, out.ControllerID)
		}
		return brokers, out.Topics[0].Partitions[0]
	}
	change := func(id record.NodeID, fenced, stopping bool) {
		records, _ := d.Controller.ChangeBroker(controller.ChangeBroker{ID: id, Epoch: d.Image.Broker(id).Epoch, Fenced: fenced, ShuttingDown: stopping})
		d.apply(records)
	}
	check := func(listener string, want, offline []int32) {
		t.Helper()
		brokers, p := told(listener)
		if diff := cmp.Diff(want, brokers); diff != "" {
			t.Errorf("brokers on %s: %s", listener, diff)
		}
		if diff := cmp.Diff(offline, append([]int32(nil), p.Offline...)); diff != "" {
			t.Errorf("offline: %s", diff)
		}
	}
	check("A", []int32{1, 2, 3, 4}, nil)
	check("B", []int32{2, 4}, nil)
	change(2, true, false)
	check("A", []int32{1, 3, 4}, []int32{2})
	check("B", []int32{4}, []int32{2})
	change(3, false, true)
	check("A", []int32{1, 4}, []int32{2, 3})
	change(2, false, false)
	check("A", []int32{1, 2, 4}, []int32{3})
}

// TestMetadataOfRepeats: a topic that is asked for many times is told once, each by its name and by its id.
func TestMetadataOfRepeats(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Leader = func() record.NodeID { return 1 }
	r := &wire.MetadataRequest{}
	for range 10 {
		r.Topics = append(r.Topics, wire.MetadataTopic{Name: []byte("t")}, wire.MetadataTopic{ID: d.Image.Topic("t").ID}, wire.MetadataTopic{Name: []byte("u")})
	}
	d.Handle(NewSession(1, env.ConnInfo{}, d), &Call{Header: wire.Header{Key: wire.Metadata, Version: 12}, Body: r})
	if out := d.replies[0].(*wire.MetadataResponse); len(out.Topics) != 3 {
		t.Errorf("%d answers", len(out.Topics))
	}
}

// TestDescribeTooMuch: a small request does not make an answer without bounds.
func TestDescribeTooMuch(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.describable = 20
	q := kmsg.NewPtrDescribeConfigsRequest()
	q.Resources = make([]kmsg.DescribeConfigsRequestResource, 100)
	for i := range q.Resources {
		q.Resources[i] = kmsg.DescribeConfigsRequestResource{ResourceType: groupResource, ResourceName: fmt.Sprint(i), ConfigNames: []string{"x"}}
		for range 30 {
			q.Resources[i].ConfigNames = append(q.Resources[i].ConfigNames, "consumer.session.timeout.ms")
		}
	}
	settings, refused := 0, 0
	for _, r := range ask[*kmsg.DescribeConfigsResponse](d, q, 4).Resources {
		if settings += len(r.Configs); wire.ErrorCode(r.ErrorCode) == wire.PolicyViolation {
			refused++
		}
	}
	if settings != 20 || refused != 80 {
		t.Errorf("%d settings, %d resources refused", settings, refused)
	}
}
