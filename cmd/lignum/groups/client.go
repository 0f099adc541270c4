// Package groups looks at consumer groups and changes them from outside, by Kafka's own requests: lists and describes them with their lag,
// deletes them, and sets their committed offsets anew.
package groups

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Client asks a cluster about its groups.
type Client struct {
	client *kgo.Client
	admin  *kadm.Client
}

// New is a client that asks through a connection.
func New(c *kgo.Client) *Client { return &Client{c, kadm.NewClient(c)} }

// Listed is a group in a list.
type Listed struct {
	Group        string `json:"group"`
	Type         string `json:"type"`
	State        string `json:"state"`
	ProtocolType string `json:"protocolType"`
	Coordinator  int32  `json:"coordinator"`
}

// Filter chooses groups. An empty list lets everything pass.
type Filter struct{ States, Types []string }

// List lists the groups of all brokers, by name. With an error it lists those of the brokers that answered.
func (c *Client) List(ctx context.Context, f Filter) ([]Listed, error) {
	r := kmsg.NewPtrListGroupsRequest()
	r.StatesFilter, r.TypesFilter = f.States, f.Types
	var all []Listed
	var faults []error
	for _, shard := range c.client.RequestSharded(ctx, r) {
		err := shard.Err
		out, ok := shard.Resp.(*kmsg.ListGroupsResponse)
		if err == nil && ok {
			err = kerr.ErrorForCode(out.ErrorCode)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("list the groups of broker %d: %w", shard.Meta.NodeID, err))
			continue
		}
		for i := range out.Groups {
			g := &out.Groups[i]
			all = append(all, Listed{g.Group, g.GroupType, g.GroupState, g.ProtocolType, shard.Meta.NodeID})
		}
	}
	slices.SortFunc(all, func(a, b Listed) int { return cmp.Compare(a.Group, b.Group) })
	return all, errors.Join(faults...)
}

// Names lists the names of all groups.
func (c *Client) Names(ctx context.Context) ([]string, error) {
	list, err := c.List(ctx, Filter{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range list {
		names = append(names, l.Group)
	}
	return names, nil
}

// Deleted says what came of the deletion of a group.
type Deleted struct {
	Group string `json:"group"`
	Error string `json:"error,omitempty"`
}

// Delete removes groups with their offsets. The error joins those of all groups that are still there.
func (c *Client) Delete(ctx context.Context, names []string) ([]Deleted, error) {
	answers, err := c.admin.DeleteGroups(ctx, names...)
	if len(answers) == 0 && err != nil {
		return nil, fmt.Errorf("delete groups: %w", err)
	}
	var all []Deleted
	var faults []error
	for _, name := range names {
		answer, ok := answers[name]
		switch {
		case !ok:
			err = cmp.Or(err, errors.New("no answer"))
		case errors.Is(answer.Err, kerr.NonEmptyGroup):
			err = errors.New("it has members; stop them first")
		case errors.Is(answer.Err, kerr.GroupIDNotFound):
			err = errors.New("there is no such group")
		default:
			err = answer.Err
		}
		d := Deleted{Group: name}
		if err != nil {
			d.Error = err.Error()
			faults = append(faults, fmt.Errorf("group %s: %w", name, err))
		}
		all, err = append(all, d), nil
	}
	return all, errors.Join(faults...)
}

// partition is a partition of a topic by its name.
type partition struct {
	topic string
	index int32
}

func (p partition) String() string { return fmt.Sprintf("%s-%d", p.topic, p.index) }

func comparePartitions(a, b partition) int {
	return cmp.Or(strings.Compare(a.topic, b.topic), cmp.Compare(a.index, b.index))
}

// fetchCommitted is what a group has committed, without the partitions where it has nothing.
func (c *Client) fetchCommitted(ctx context.Context, name string) (map[partition]kadm.Offset, error) {
	list, err := c.admin.FetchOffsets(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("fetch the offsets of group %s: %w", name, err)
	}
	all := map[partition]kadm.Offset{}
	for topic, partitions := range list {
		for index, o := range partitions {
			if o.Err != nil {
				return nil, fmt.Errorf("fetch the offset of group %s in %s-%d: %w", name, topic, index, o.Err)
			}
			if o.At >= 0 {
				all[partition{topic, index}] = o.Offset
			}
		}
	}
	return all, nil
}
