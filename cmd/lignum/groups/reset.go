package groups

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Target says where committed offsets are to go.
type Target struct {
	Kind   Kind
	Offset int64 // ToOffset
	Shift  int64 // ShiftBy; negative: backwards
	Millis int64 // ToTime
	// Rows are what a file says; a row without a group is for every group.
	Rows []Row
}

// Kind is a kind of target.
type Kind int

// The kinds of targets.
const (
	ToEarliest Kind = iota
	ToLatest
	ToCurrent // as it is; the end where nothing is committed
	ToOffset
	ToTime // the first record of that time or later, the end if there is none
	ShiftBy
	FromFile
)

// Scope says which partitions are meant.
type Scope struct {
	// All are all partitions of the topics of which the group has committed any.
	All bool
	// Topics are topics, TOPIC or TOPIC:0,1,2.
	Topics []string
}

// Change is one offset to set.
type Change struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Old       *int64 `json:"oldOffset"` // null if nothing is committed
	New       int64  `json:"newOffset"`
	// Note says that the wanted offset is out of range, and which it was.
	Note string `json:"note,omitempty"`
}

// Plan finds out what a reset of a group would do. It refuses a group that has members: what they commit would undo it.
func (c *Client) Plan(ctx context.Context, name string, s Scope, t Target) ([]Change, error) {
	d, err := c.members(ctx, name)
	switch {
	case errors.Is(err, errNoGroup): // it is made by what is committed
	case err != nil:
		return nil, err
	case d.State != "Empty":
		return nil, fmt.Errorf("its state is %s with %d members; offsets can be reset only while it has none: stop them first", d.State, len(d.Members))
	}
	committed, err := c.fetchCommitted(ctx, name)
	if err != nil {
		return nil, err
	}
	wanted := t.rowsOf(name)
	partitions, err := c.within(ctx, s, t, committed, wanted)
	if err != nil {
		return nil, err
	}
	starts, err := c.offsetsAt(ctx, partitions, earliest)
	if err != nil {
		return nil, err
	}
	ends, err := c.offsetsAt(ctx, partitions, latest)
	if err != nil {
		return nil, err
	}
	if t.Kind == ToTime {
		if wanted, err = c.offsetsAt(ctx, partitions, t.Millis); err != nil {
			return nil, err
		}
	}
	var plan []Change
	for _, p := range partitions {
		b, err := boundsOf(p, starts, ends)
		if err != nil {
			return nil, err
		}
		change, err := b.change(t, p, committed, wanted)
		if err != nil {
			return nil, err
		}
		change.Group = name
		plan = append(plan, change)
	}
	return plan, nil
}

// bounds are where a partition begins and ends.
type bounds struct{ start, end int64 }

func boundsOf(p partition, starts, ends map[partition]int64) (bounds, error) {
	start, hasStart := starts[p]
	end, hasEnd := ends[p]
	if !hasStart || !hasEnd {
		return bounds{}, fmt.Errorf("there is no partition %v", p)
	}
	return bounds{start, end}, nil
}

// change is what a reset does to one partition.
func (b bounds) change(t Target, p partition, committed map[partition]kadm.Offset, wanted map[partition]int64) (Change, error) {
	c := Change{Topic: p.topic, Partition: p.index}
	old, ok := committed[p]
	if ok {
		c.Old = &old.At
	}
	switch t.Kind {
	case ToEarliest:
		c.New = b.start
	case ToLatest:
		c.New = b.end
	case ToCurrent:
		if c.New = b.end; ok {
			c.New = old.At
		}
	case ToOffset:
		c.New = t.Offset
	case ToTime:
		c.New = b.end
		if found, ok := wanted[p]; ok {
			c.New = found
		}
	case ShiftBy:
		if !ok {
			return c, fmt.Errorf("nothing is committed for %v that could be shifted", p)
		}
		c.New = old.At + t.Shift
	case FromFile:
		c.New = wanted[p]
	}
	if inside := min(max(c.New, b.start), b.end); inside != c.New {
		c.Note = fmt.Sprintf("%d is outside of %d to %d", c.New, b.start, b.end)
		c.New = inside
	}
	return c, nil
}

// rowsOf are the file's offsets for a group.
func (t Target) rowsOf(name string) map[partition]int64 {
	rows := map[partition]int64{}
	for _, r := range t.Rows {
		if r.Group == "" || r.Group == name {
			rows[partition{r.Topic, r.Partition}] = r.Offset
		}
	}
	return rows
}

// within lists the partitions of the scope, in order. A file is a scope of its own, of which a scope that is given as well leaves the rest out.
func (c *Client) within(ctx context.Context, s Scope, t Target, committed map[partition]kadm.Offset, rows map[partition]int64) ([]partition, error) {
	var all []partition
	if t.Kind == FromFile {
		for p := range rows {
			all = append(all, p)
		}
		if !s.All && len(s.Topics) == 0 {
			slices.SortFunc(all, comparePartitions)
			return all, nil
		}
	}
	listed, err := c.scoped(ctx, s, committed)
	if err != nil {
		return nil, err
	}
	if t.Kind == FromFile {
		listed = slices.DeleteFunc(listed, func(p partition) bool { _, ok := rows[p]; return !ok })
	}
	slices.SortFunc(listed, comparePartitions)
	return slices.Compact(listed), nil
}

func (c *Client) scoped(ctx context.Context, s Scope, committed map[partition]kadm.Offset) ([]partition, error) {
	var all []partition
	var whole []string
	for _, text := range s.Topics {
		topic, list, some := strings.Cut(text, ":")
		if !some {
			whole = append(whole, topic)
			continue
		}
		for item := range strings.SplitSeq(list, ",") {
			index, err := strconv.ParseInt(item, 10, 32)
			if err != nil || index < 0 {
				return nil, fmt.Errorf("topic %q: %q is no partition; want TOPIC or TOPIC:0,1,2", text, item)
			}
			all = append(all, partition{topic, int32(index)})
		}
	}
	if s.All {
		for p := range committed {
			whole = append(whole, p.topic)
		}
	}
	slices.Sort(whole)
	whole = slices.Compact(whole)
	if len(whole) == 0 {
		return all, nil
	}
	topics, err := c.admin.ListTopics(ctx, whole...)
	if err != nil {
		return nil, fmt.Errorf("ask for topics: %w", err)
	}
	for _, name := range whole {
		t, ok := topics[name]
		gone := !ok || errors.Is(t.Err, kerr.UnknownTopicOrPartition)
		switch {
		case gone && s.All && !slices.Contains(s.Topics, name):
			continue // the group has outlived it
		case gone:
			return nil, fmt.Errorf("there is no topic %s", name)
		case t.Err != nil:
			return nil, fmt.Errorf("topic %s: %w", name, t.Err)
		}
		for index := range t.Partitions {
			all = append(all, partition{name, index})
		}
	}
	return all, nil
}

// Execute commits what a plan says.
func (c *Client) Execute(ctx context.Context, name string, plan []Change) error {
	if len(plan) == 0 {
		return nil
	}
	offsets := kadm.Offsets{}
	for _, p := range plan {
		offsets.Add(kadm.Offset{Topic: p.Topic, Partition: p.Partition, At: p.New, LeaderEpoch: -1})
	}
	answers, err := c.admin.CommitOffsets(ctx, name, offsets)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	var faults []error
	for _, p := range plan {
		answer, ok := answers.Lookup(p.Topic, p.Partition)
		switch {
		case !ok:
			faults = append(faults, fmt.Errorf("commit for %s-%d: no answer", p.Topic, p.Partition))
		case errors.Is(answer.Err, kerr.UnknownMemberID):
			return errors.New("it has got members meanwhile; nothing is reset: stop them first")
		case answer.Err != nil:
			faults = append(faults, fmt.Errorf("commit for %s-%d: %w", p.Topic, p.Partition, answer.Err))
		}
	}
	return errors.Join(faults...)
}
