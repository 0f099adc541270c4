package broker_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"lignum/core/api"
	"lignum/core/broker"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/wire"
	"lignum/sim"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rig is one broker in a simulated world, and one client at a time that asks and waits.
type rig struct {
	*testing.T
	world  *sim.World
	host   *sim.Host
	node   *broker.Broker
	values map[string]string
	ready  bool
	failed error
	logged []string

	conn    *sim.Conn
	open    bool
	gone    bool
	answers [][]byte
	next    int32
}

func newRig(t *testing.T, values map[string]string) *rig {
	return newRigIn(t, sim.NewWorld(sim.Options{Seed: 1}), values)
}

func newRigIn(t *testing.T, world *sim.World, values map[string]string) *rig {
	r := &rig{T: t, world: world, values: map[string]string{
		"listeners": "PLAINTEXT://127.0.0.1:9092", "lignum.journal.file.bytes": "1048576",
	}}
	for k, v := range values {
		r.values[k] = v
	}
	reader := record.NewReader(record.Limits{})
	r.host = r.world.AddHost(sim.HostOptions{
		Name: "broker", Wall: 1_700_000_000_000, Boot: r.boot,
		Decode: func(_ env.ConnInfo, frame env.Buffer) (env.Request, error) { return api.Decode(frame, reader) },
	})
	t.Cleanup(func() {
		for _, f := range r.world.Findings() {
			t.Errorf("%v\n%s", f, f.Stack)
		}
		r.world.Close()
	})
	r.start()
	return r
}

func (r *rig) boot(p sim.Ports) env.Node {
	c, err := config.Parse(r.values)
	if err != nil {
		r.Fatal(err)
	}
	r.node = broker.New(broker.Ports{
		Clock: p.Clock, Rand: p.Rand, Memory: p.Memory, Disk: p.Disk, Jobs: p.Jobs, Network: p.Network,
		Log: func(_ env.Level, message string, pairs ...any) {
			r.logged = append(r.logged, message+fmt.Sprint(pairs...))
		},
	}, c, "/data", broker.Events{
		Ready:  func() { r.ready = true },
		Failed: func(err error) { r.failed = err },
	})
	r.node.Start()
	return r.node
}

// start boots the broker and waits until it serves.
func (r *rig) start() {
	r.Helper()
	r.ready, r.failed, r.conn = false, nil, nil
	r.host.Start()
	r.until(func() bool { return r.ready || r.failed != nil })
	if r.failed != nil {
		r.Fatal(r.failed)
	}
}

// until runs the world until something is so.
func (r *rig) until(done func() bool) {
	r.Helper()
	limit := r.world.Now().Add(time.Minute)
	for !done() {
		if len(r.world.Findings()) > 0 || !r.world.Step(limit) {
			r.Fatalf("it does not come about; broker failed: %v", r.failed)
		}
	}
}

func (r *rig) Connected(*sim.Conn) { r.open = true }
func (r *rig) Received(_ *sim.Conn, frame []byte) {
	r.answers = append(r.answers, append([]byte(nil), frame...))
}
func (r *rig) Disconnected(*sim.Conn) { r.gone = true }

func (r *rig) dial() {
	r.Helper()
	r.dialTo("PLAINTEXT")
}

func (r *rig) dialTo(listener string) {
	r.Helper()
	r.open, r.gone, r.answers = false, false, nil
	r.conn = r.world.Dial(r.host, listener, r)
	r.until(func() bool { return r.open || r.gone })
}

// send sends a request without waiting.
func (r *rig) send(request kmsg.Request, version int16) {
	r.Helper()
	if r.conn == nil || r.gone {
		r.dial()
	}
	request.SetVersion(version)
	r.next++
	frame := wire.AppendRequestHeader(nil, wire.Header{Key: wire.Key(request.Key()), Version: version, CorrelationID: r.next, ClientID: []byte("test")})
	r.conn.Send(request.AppendTo(frame))
}

// ask sends a request and returns its response.
func ask[R kmsg.Response](r *rig, request kmsg.Request, version int16) R {
	r.Helper()
	r.send(request, version)
	r.until(func() bool { return len(r.answers) > 0 || r.gone })
	if len(r.answers) == 0 {
		r.Fatalf("%T version %d: the connection was closed", request, version)
	}
	return take[R](r, request, version)
}

// take decodes the oldest answer that has arrived.
func take[R kmsg.Response](r *rig, request kmsg.Request, version int16) R {
	r.Helper()
	p := r.answers[0]
	r.answers = r.answers[1:]
	p = p[4:]
	if version >= 0 && wire.Key(request.Key()) != wire.ApiVersions && wire.Flexible(wire.Key(request.Key()), version) {
		p = p[1:]
	}
	request.SetVersion(version)
	out := request.ResponseKind()
	if err := out.ReadFrom(p); err != nil {
		r.Fatalf("%T version %d: %v", out, version, err)
	}
	return out.(R)
}

func correlation(answer []byte) int32 { return int32(binary.BigEndian.Uint32(answer)) }

// create makes a topic.
func (r *rig) create(name string, partitions int32, configs ...string) {
	r.Helper()
	q := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], &configs[i+1]
		t.Configs = append(t.Configs, c)
	}
	q.Topics = append(q.Topics, t)
	if out := ask[*kmsg.CreateTopicsResponse](r, q, 7); out.Topics[0].ErrorCode != 0 {
		r.Fatalf("create %s: %d %v", name, out.Topics[0].ErrorCode, *out.Topics[0].ErrorMessage)
	}
}

// batch builds a record batch of one value each.
func batch(values ...string) record.Batch {
	b := record.NewBuilder(record.None)
	for _, v := range values {
		b.Append(record.Record{Timestamp: 1_700_000_000_000, Key: []byte("k"), Value: []byte(v)})
	}
	return b.Build()
}

func produceRequest(topic string, partition int32, acks int16, b record.Batch) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Acks, q.TimeoutMillis = acks, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, b
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

// produce appends and returns the partition's answer.
func (r *rig) produce(topic string, partition int32, acks int16, b record.Batch) kmsg.ProduceResponseTopicPartition {
	r.Helper()
	return ask[*kmsg.ProduceResponse](r, produceRequest(topic, partition, acks, b), 12).Topics[0].Partitions[0]
}

func fetchRequest(topic string, partition int32, offset int64) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.ReplicaID, q.MaxWaitMillis, q.MinBytes, q.MaxBytes, q.SessionEpoch = -1, 1000, 1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 1<<20
	p.CurrentLeaderEpoch, p.LastFetchedEpoch = -1, -1
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

// read fetches all values of a partition from an offset on.
func (r *rig) read(topic string, partition int32, offset int64) (values []string) {
	r.Helper()
	out := ask[*kmsg.FetchResponse](r, fetchRequest(topic, partition, offset), 12)
	p := out.Topics[0].Partitions[0]
	if p.ErrorCode != 0 {
		r.Fatalf("fetch %s-%d at %d: error %v; the broker's log: %q", topic, partition, offset, wire.ErrorCode(p.ErrorCode), r.logged)
	}
	return valuesIn(r.T, p.RecordBatches, offset)
}

// valuesIn lists the values of the records at an offset and behind it; a batch that is cut off at the end is left out.
func valuesIn(t *testing.T, batches []byte, offset int64) (values []string) {
	t.Helper()
	for rest := batches; len(rest) > 0; {
		var b record.Batch
		var err error
		if b, rest, err = record.Next(rest); err != nil {
			break
		}
		if err := b.Each(record.Limits{}, func(rec record.Record) error {
			if int64(b.BaseOffset())+int64(rec.OffsetDelta) >= offset {
				values = append(values, string(rec.Value))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return values
}
