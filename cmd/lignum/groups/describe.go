package groups

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Described is a group with its members and how far it has read.
type Described struct {
	Group       string     `json:"group"`
	Type        string     `json:"type"`
	State       string     `json:"state"`
	Protocol    string     `json:"protocol"` // the assignor
	Epoch       *int32     `json:"epoch,omitempty"`
	Coordinator string     `json:"coordinator"`
	Members     []Member   `json:"members"`
	Offsets     []Progress `json:"offsets"`
}

// Member is a member with its partitions.
type Member struct {
	ID         string            `json:"id"`
	InstanceID string            `json:"instanceId,omitempty"`
	ClientID   string            `json:"clientId"`
	Host       string            `json:"host"`
	Epoch      *int32            `json:"epoch,omitempty"`
	Assigned   []TopicPartitions `json:"assigned"`
}

// TopicPartitions are partitions of one topic, in order.
type TopicPartitions struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
}

// Progress is how far the group has read one partition.
type Progress struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed *int64 `json:"committed"` // null if nothing is
	End       *int64 `json:"end"`       // null if it is not known, as that of a topic that is gone
	Lag       *int64 `json:"lag"`
	Member    string `json:"member,omitempty"` // who reads it
	Metadata  string `json:"metadata,omitempty"`
}

// errNoGroup says that a group does not exist.
var errNoGroup = errors.New("there is no such group")

// Describe describes groups. The error joins those of all groups that could not be described.
func (c *Client) Describe(ctx context.Context, names []string) ([]Described, error) {
	var all []Described
	var faults []error
	for _, name := range names {
		d, err := c.describe(ctx, name)
		if err != nil {
			faults = append(faults, fmt.Errorf("group %s: %w", name, err))
			continue
		}
		all = append(all, *d)
	}
	return all, errors.Join(faults...)
}

func (c *Client) describe(ctx context.Context, name string) (*Described, error) {
	d, err := c.members(ctx, name)
	if err != nil {
		return nil, err
	}
	committed, err := c.fetchCommitted(ctx, name)
	if err != nil {
		return nil, err
	}
	readers := map[partition]string{}
	for _, m := range d.Members {
		for _, t := range m.Assigned {
			for _, p := range t.Partitions {
				readers[partition{t.Topic, p}] = m.ID
			}
		}
	}
	return d, c.measure(ctx, d, committed, readers)
}

// members describes the group by the request for its type.
func (c *Client) members(ctx context.Context, name string) (*Described, error) {
	modern, err := c.admin.DescribeConsumerGroups(ctx, name)
	if g := modern[name]; err == nil && g.Err == nil && g.Group != "" {
		return describedConsumer(&g), nil
	}
	// It is a classic one, or the broker is too old for the other type.
	classic, err := c.admin.DescribeGroups(ctx, name)
	if err != nil {
		return nil, err
	}
	g := classic[name]
	switch {
	case errors.Is(g.Err, kerr.GroupIDNotFound), g.Err == nil && (g.State == "Dead" || g.State == ""):
		return nil, errNoGroup
	case g.Err != nil:
		return nil, g.Err
	}
	return describedClassic(&g), nil
}

func describedConsumer(g *kadm.DescribedConsumerGroup) *Described {
	d := &Described{Group: g.Group, Type: "consumer", State: g.State, Protocol: g.AssignorName, Epoch: &g.Epoch, Coordinator: address(g.Coordinator), Members: []Member{}}
	for i := range g.Members {
		m := &g.Members[i]
		d.Members = append(d.Members, Member{m.MemberID, orEmpty(m.InstanceID), m.ClientID, m.ClientHost, &m.MemberEpoch, assigned(m.Assignment)})
	}
	return d
}

func describedClassic(g *kadm.DescribedGroup) *Described {
	d := &Described{Group: g.Group, Type: "classic", State: g.State, Protocol: g.Protocol, Coordinator: address(g.Coordinator), Members: []Member{}}
	for i := range g.Members {
		m := &g.Members[i]
		set := kadm.TopicsSet{}
		if a, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range a.Topics {
				set.Add(t.Topic, t.Partitions...)
			}
		}
		d.Members = append(d.Members, Member{m.MemberID, orEmpty(m.InstanceID), m.ClientID, m.ClientHost, nil, assigned(set)})
	}
	return d
}

func address(b kadm.BrokerDetail) string { return fmt.Sprintf("%s:%d (%d)", b.Host, b.Port, b.NodeID) }

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func assigned(set kadm.TopicsSet) []TopicPartitions {
	list := []TopicPartitions{}
	for _, t := range set.Sorted() {
		list = append(list, TopicPartitions{t.Topic, t.Partitions})
	}
	return list
}

// measure holds what is committed against the partitions' ends.
func (c *Client) measure(ctx context.Context, d *Described, committed map[partition]kadm.Offset, readers map[partition]string) error {
	d.Offsets = []Progress{}
	var partitions []partition
	for p := range committed {
		partitions = append(partitions, p)
	}
	for p := range readers {
		if _, ok := committed[p]; !ok {
			partitions = append(partitions, p)
		}
	}
	slices.SortFunc(partitions, comparePartitions)
	ends, err := c.offsetsAt(ctx, partitions, latest)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		line := Progress{Topic: p.topic, Partition: p.index, Member: readers[p]}
		end, known := ends[p]
		if known {
			line.End = &end
		}
		if o, ok := committed[p]; ok {
			line.Committed, line.Metadata = &o.At, o.Metadata
			if known {
				lag := max(end-o.At, 0)
				line.Lag = &lag
			}
		}
		d.Offsets = append(d.Offsets, line)
	}
	return nil
}

// What ListOffsets has for timestamps of no time.
const (
	earliest = -2
	latest   = -1
)

// offsetsAt finds the first offset of each partition with that timestamp or a later one. Of partitions that do not exist, or that have none
// such, there is nothing in the answer.
func (c *Client) offsetsAt(ctx context.Context, partitions []partition, timestamp int64) (map[partition]int64, error) {
	r := kmsg.NewPtrListOffsetsRequest()
	for i, p := range partitions {
		if i == 0 || partitions[i-1].topic != p.topic {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = p.topic
			r.Topics = append(r.Topics, t)
		}
		ask := kmsg.NewListOffsetsRequestTopicPartition()
		ask.Partition, ask.Timestamp = p.index, timestamp
		t := &r.Topics[len(r.Topics)-1]
		t.Partitions = append(t.Partitions, ask)
	}
	found := map[partition]int64{}
	if len(partitions) == 0 {
		return found, nil
	}
	for _, shard := range c.client.RequestSharded(ctx, r) {
		if errors.Is(shard.Err, kerr.UnknownTopicOrPartition) {
			continue
		}
		out, ok := shard.Resp.(*kmsg.ListOffsetsResponse)
		if shard.Err != nil || !ok {
			return nil, fmt.Errorf("ask for offsets: %w", cmp.Or(shard.Err, errors.New("no answer")))
		}
		for _, t := range out.Topics {
			for _, p := range t.Partitions {
				err := kerr.ErrorForCode(p.ErrorCode)
				if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
					return nil, fmt.Errorf("ask for offsets of %s-%d: %w", t.Topic, p.Partition, err)
				}
				if err == nil && p.Offset >= 0 {
					found[partition{t.Topic, p.Partition}] = p.Offset
				}
			}
		}
	}
	return found, nil
}
