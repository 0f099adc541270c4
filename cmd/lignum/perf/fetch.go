package perf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchVersion is the last one without flexible encoding: its answer's error code has a fixed place.
const fetchVersion = 11

// What a partition holds before fetches are measured: more than a broker keeps in memory, within reason.
const (
	fillBytes   = 32 * mib
	fillBatches = 8192
)

// fill is a topic full of batches of one size.
type fill struct {
	*topic
	batchBytes, batchRecords, batches int // of each partition
}

// fillTopic makes a topic and writes the batches that fetches of n bytes will ask for.
func (b *bench) fillTopic(ctx context.Context, c *cluster, n int) (*fill, error) {
	t, err := c.create(ctx)
	if err != nil {
		return nil, err
	}
	f := &fill{topic: t, batchBytes: min(n, 256*kib)}
	encoded, records := batch(f.batchBytes)
	f.batchRecords = records
	f.batches = max(min(fillBytes, int(b.CellBytes/partitions))/f.batchBytes, mib/f.batchBytes)
	f.batches = min(f.batches, fillBatches)
	l := load{inFlight: b.InFlight, requests: int64(f.batches), time: time.Minute, streams: produceStreams(t, 1, encoded, partitions)}
	err = l.awaitLeaders(ctx)
	if err == nil {
		_, err = l.run(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.remove(ctx, t))
	}
	return f, nil
}

// offsetMark stands in a request where the offset will be.
const offsetMark = 0x5ca1ab1e0ddba11

// streams are connections that each read one partition from its start to its end, again and again.
func (f *fill) streams(n, conns int) []stream {
	perFetch := max(1, n/f.batchBytes)
	turns := int64(f.batches / perFetch)
	streams := make([]stream, conns)
	for i := range streams {
		index := i % partitions
		frame := f.request(index, n)
		at := bytes.Index(frame, binary.BigEndian.AppendUint64(nil, offsetMark))
		streams[i] = stream{
			address: f.leaders[index],
			next: func(turn int64) []byte {
				// Connections that share a partition begin in different places.
				offset := (turn + int64(i/partitions)*7) % turns * int64(perFetch*f.batchRecords)
				binary.BigEndian.PutUint64(frame[at:], uint64(offset))
				return correlate(frame, turn)
			},
			judge: func(head []byte, got int) error {
				// correlation ID, throttle time; then the answer's own error code
				if err := errorAt(head, 4+4, "fetch"); err != nil {
					return err
				}
				// session ID, one topic, its name, one partition, its index; then the partition's
				if err := errorAt(head, 4+4+2+4+4+2+len(f.name)+4+4, "fetch"); err != nil {
					return err
				}
				// Less than what was asked for is an answer too: where the records in memory begin, say.
				if got < f.batchBytes {
					return fmt.Errorf("fetch: %d bytes of a batch of %d", got, f.batchBytes)
				}
				return nil
			},
		}
	}
	return streams
}

func (f *fill) request(index, n int) []byte {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = -1, 500, 1, int32(n)
	req.SessionID, req.SessionEpoch = 0, -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = f.name
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.CurrentLeaderEpoch, rp.FetchOffset, rp.LogStartOffset = int32(index), -1, offsetMark, -1
	rp.PartitionMaxBytes = int32(n)
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return request(req, fetchVersion)
}

// measureFetch fills a table, with one topic for each size.
func (b *bench) measureFetch(ctx context.Context, c *cluster) error {
	b.out.head("Fetch", "bytes", "connections", "requests/s", "MB/s", "p50 us", "p99 us", "broker CPU ms/MB", "of sendfile")
	for _, n := range b.fetchSizes() {
		if err := b.fetchRows(ctx, c, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) fetchRows(ctx context.Context, c *cluster, n int) (err error) {
	f, err := b.fillTopic(ctx, c, n)
	if err != nil {
		return fmt.Errorf("fill a topic with batches of %d bytes: %w", n, err)
	}
	defer func() { err = errors.Join(err, c.remove(ctx, f.topic)) }()
	for _, conns := range b.Connections {
		l := b.load(n, conns)
		l.streams = f.streams(n, conns)
		r, cpu, err := b.broker.observe(ctx, l)
		if err != nil {
			return fmt.Errorf("%d bytes, %d connections: %w", n, conns, err)
		}
		b.out.row(size(n), strconv.Itoa(conns), number(r.perSecond()), number(r.answerMBps()), micros(r.latency.quantile(.5)),
			micros(r.latency.quantile(.99)), cpu.per(r.answers), b.limits.share(limit{"sendfile", n, conns}, r.answerMBps()))
	}
	return nil
}
