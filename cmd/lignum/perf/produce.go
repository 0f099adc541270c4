package perf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// produceVersion is the last one without flexible encoding: its answer's error code has a fixed place.
const produceVersion = 8

// produceStreams are connections that each send one and the same batch to the partitions by turns of the connection's number.
func produceStreams(t *topic, acks int16, encoded []byte, conns int) []stream {
	streams := make([]stream, conns)
	for i := range streams {
		index := i % partitions
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = acks, 30_000
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic = t.name
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = int32(index), encoded
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		frame := request(req, produceVersion)
		streams[i] = stream{
			address: t.leaders[index],
			next:    func(n int64) []byte { return correlate(frame, n) },
			// correlation ID, one topic, its name, one partition, its index, then the error code
			judge: func(head []byte, _ int) error { return errorAt(head, 4+4+2+len(t.name)+4+4, "produce") },
		}
	}
	return streams
}

// awaitLeaders sends single requests until the leaders take them, for ten seconds at most: a leader may hear last that it is one.
func (l load) awaitLeaders(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	try := load{streams: l.streams[:min(len(l.streams), partitions)], inFlight: 1, requests: 1}
	for {
		_, err := try.run(ctx)
		if err == nil || !kerr.IsRetriable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// correlate numbers a request. Of its header the length, the key and the version come first.
func correlate(frame []byte, n int64) []byte {
	binary.BigEndian.PutUint32(frame[4+2+2:], uint32(n))
	return frame
}

// errorAt reads the error code in a fixed place of an answer.
func errorAt(head []byte, at int, what string) error {
	if len(head) < at+2 {
		return fmt.Errorf("%s: an answer of %d bytes", what, len(head))
	}
	if err := kerr.ErrorForCode(int16(binary.BigEndian.Uint16(head[at:]))); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// measureProduce fills a table with a fresh topic for each line.
func (b *bench) measureProduce(ctx context.Context, c *cluster) error {
	b.out.head("Produce", "acks", "bytes", "connections", "requests/s", "MB/s", "p50 us", "p99 us", "broker CPU ms/MB", "of the sink")
	for _, acks := range b.Acks {
		for _, n := range b.Sizes {
			for _, conns := range b.Connections {
				if err := b.produceCell(ctx, c, acks, n, conns); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bench) produceCell(ctx context.Context, c *cluster, acks int16, n, conns int) (err error) {
	t, err := c.create(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.remove(ctx, t)) }()
	encoded, _ := batch(n)
	l := b.load(n, conns)
	l.every = l.spacing(b.Rate, conns)
	l.streams = produceStreams(t, acks, encoded, conns)
	if err := l.awaitLeaders(ctx); err != nil {
		return err
	}
	r, cpu, err := b.broker.observe(ctx, l)
	if err != nil {
		return fmt.Errorf("acks=%d, %d bytes, %d connections: %w", acks, n, conns, err)
	}
	name := "all"
	if acks >= 0 {
		name = strconv.Itoa(int(acks))
	}
	mbps := float64(r.requests) * float64(n) / 1e6 / r.elapsed.Seconds()
	b.out.row(name, size(n), strconv.Itoa(conns), number(r.perSecond()), number(mbps),
		micros(r.latency.quantile(.5)), micros(r.latency.quantile(.99)), cpu.per(r.sent), b.limits.share(limit{"sink", n, conns}, mbps))
	return nil
}
