package perf

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// partitions is the number of partitions of every topic that is measured with.
const partitions = 10

// cluster is the way to the brokers for what is not measured.
type cluster struct {
	seeds    []string
	configs  map[string]string
	replicas int16
	topics   int // created so far
}

// topic is one that was created for a measurement.
type topic struct {
	name    string
	leaders [partitions]string // addresses
}

// request encodes a request of a version that has no flexible header.
func request(req kmsg.Request, version int16) []byte {
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("lignum-perf")).AppendRequest(nil, req, 0)
}

// ask sends one request on a connection of its own and reads the answer.
func (c *cluster) ask(ctx context.Context, req kmsg.Request, version int16, resp kmsg.Response) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.seeds[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := conn.Write(request(req, version)); err != nil {
		return err
	}
	var head [8]byte // length and correlation ID
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return fmt.Errorf("answer to %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n < 4 || n > 16*mib {
		return fmt.Errorf("answer to %s of %d bytes", kmsg.NameForKey(req.Key()), n)
	}
	body := make([]byte, n-4)
	if _, err := io.ReadFull(conn, body); err != nil {
		return fmt.Errorf("answer to %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	resp.SetVersion(version)
	return resp.ReadFrom(body)
}

// create makes a topic and waits until each of its partitions has a leader, and all replicas are in sync.
func (c *cluster) create(ctx context.Context) (*topic, error) {
	c.topics++
	t := &topic{name: fmt.Sprintf("lignum-perf-%d-%d-%d", os.Getpid(), time.Now().UnixMilli(), c.topics)}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 10_000
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.name, partitions, max(c.replicas, 1)
	for name, value := range c.configs {
		cfg := kmsg.NewCreateTopicsRequestTopicConfig()
		cfg.Name, cfg.Value = name, kmsg.StringPtr(value)
		rt.Configs = append(rt.Configs, cfg)
	}
	req.Topics = append(req.Topics, rt)
	var resp kmsg.CreateTopicsResponse
	if err := c.ask(ctx, req, 4, &resp); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 {
		return nil, fmt.Errorf("create topic %s: %d topics in the answer", t.name, len(resp.Topics))
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		return nil, fmt.Errorf("create topic %s: %w", t.name, err)
	}
	return t, c.findLeaders(ctx, t)
}

// findLeaders asks until every partition has a leader, for ten seconds at most.
func (c *cluster) findLeaders(ctx context.Context, t *topic) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		req := kmsg.NewPtrMetadataRequest()
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(t.name)
		req.Topics = append(req.Topics, rt)
		var resp kmsg.MetadataResponse
		if err := c.ask(ctx, req, 5, &resp); err != nil {
			return err
		}
		if t.takeLeaders(&resp) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no leader for each partition of %s: %w", t.name, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// takeLeaders reports whether the answer names a leader for every partition.
func (t *topic) takeLeaders(resp *kmsg.MetadataResponse) bool {
	addresses := map[int32]string{}
	for _, b := range resp.Brokers {
		addresses[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	known := 0
	for _, rt := range resp.Topics {
		for _, p := range rt.Partitions {
			if a := addresses[p.Leader]; a != "" && p.Partition >= 0 && p.Partition < partitions && p.ErrorCode == 0 && len(p.ISR) >= len(p.Replicas) {
				t.leaders[p.Partition] = a
				known++
			}
		}
	}
	return known == partitions
}

// remove deletes the topic, so that a run takes no more disk than its largest measurement.
func (c *cluster) remove(ctx context.Context, t *topic) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 10_000
	req.TopicNames = []string{t.name}
	var resp kmsg.DeleteTopicsResponse
	if err := c.ask(ctx, req, 3, &resp); err != nil {
		return err
	}
	for _, rt := range resp.Topics {
		if err := kerr.ErrorForCode(rt.ErrorCode); err != nil {
			return fmt.Errorf("delete topic %s: %w", t.name, err)
		}
	}
	return nil
}
