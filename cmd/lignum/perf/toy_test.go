package perf

import (
	"bufio"
	"encoding/binary"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// toyBroker answers what the measurement asks, without keeping anything.
type toyBroker struct {
	*server
	refuse int16 // error code for every produce

	mu               sync.Mutex
	created, removed int
	hesitant         int // produces that are still refused, as by who is no leader
}

func newToyBroker(t *testing.T) *toyBroker {
	t.Helper()
	b := &toyBroker{}
	s, err := serve(b.converse)
	if err != nil {
		t.Fatal(err)
	}
	b.server = s
	t.Cleanup(s.close)
	return b
}

func (b *toyBroker) counts() (created, removed int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.created, b.removed
}

func (b *toyBroker) converse(c net.Conn) {
	in := bufio.NewReader(c)
	var scratch []byte
	for {
		head, err := in.Peek(4)
		if err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(head))
		if scratch, err = skipFrame(in, scratch); err != nil {
			return
		}
		frame := scratch[:n]
		req := kmsg.RequestForKey(int16(binary.BigEndian.Uint16(frame)))
		req.SetVersion(int16(binary.BigEndian.Uint16(frame[2:])))
		client := int(binary.BigEndian.Uint16(frame[8:]))
		if req.ReadFrom(frame[10+client:]) != nil {
			return
		}
		answer := append(make([]byte, 4), frame[4:8]...)
		answer = b.answer(req).AppendTo(answer)
		binary.BigEndian.PutUint32(answer, uint32(len(answer)-4))
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

func (b *toyBroker) answer(req kmsg.Request) kmsg.Response {
	resp := req.ResponseKind()
	switch resp := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		b.mu.Lock()
		b.created++
		b.mu.Unlock()
		resp.Topics = []kmsg.CreateTopicsResponseTopic{{Topic: req.(*kmsg.CreateTopicsRequest).Topics[0].Topic}}
	case *kmsg.DeleteTopicsResponse:
		b.mu.Lock()
		b.removed++
		b.mu.Unlock()
	case *kmsg.MetadataResponse:
		host, port, _ := net.SplitHostPort(b.address())
		number, _ := strconv.Atoi(port)
		resp.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 1, Host: host, Port: int32(number)}}
		topic := kmsg.MetadataResponseTopic{Topic: req.(*kmsg.MetadataRequest).Topics[0].Topic}
		for i := range int32(partitions) {
			topic.Partitions = append(topic.Partitions, kmsg.MetadataResponseTopicPartition{Partition: i, Leader: 1})
		}
		resp.Topics = append(resp.Topics, topic)
	case *kmsg.ProduceResponse:
		rt := req.(*kmsg.ProduceRequest).Topics[0]
		code := b.refuse
		b.mu.Lock()
		if b.hesitant > 0 {
			b.hesitant--
			code = 6 // NOT_LEADER_OR_FOLLOWER
		}
		b.mu.Unlock()
		resp.Topics = []kmsg.ProduceResponseTopic{{Topic: rt.Topic, Partitions: []kmsg.ProduceResponseTopicPartition{
			{Partition: rt.Partitions[0].Partition, ErrorCode: code},
		}}}
	case *kmsg.FetchResponse:
		rt := req.(*kmsg.FetchRequest).Topics[0]
		resp.Topics = []kmsg.FetchResponseTopic{{Topic: rt.Topic, Partitions: []kmsg.FetchResponseTopicPartition{
			{Partition: rt.Partitions[0].Partition, RecordBatches: make([]byte, rt.Partitions[0].PartitionMaxBytes)},
		}}}
	}
	return resp
}
