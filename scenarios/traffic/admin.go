package traffic

import (
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/record"
	"lignum/core/wire"
	"lignum/scenarios/ledger"
	"lignum/sim"
)

// TopicOptions describe a topic that an administrator makes.
type TopicOptions struct {
	Name       string
	Partitions int32
	Replicas   int16 // 0: one
	Configs    map[string]string
	Settings   ledger.Settings
}

// AdminOptions describe an administrator.
type AdminOptions struct {
	Name  string
	Actor uint64
	Pace  time.Duration
	// Topics are made first, and stay.
	Topics []TopicOptions
	// Passing is the kind of topics that come and go; no name, no such topics.
	Passing TopicOptions
	// Again: the passing ones all have the same name.
	Again bool
	// DeleteRecords, Policies and Grow switch what else it does.
	DeleteRecords, Policies, Grow bool
	// Elect and Reassign move leaders and replicas; MinISR lowers and raises min.insync.replicas.
	Elect, Reassign, MinISR bool
	// Ready is called when the topics are there.
	Ready func()
}

// Admin makes topics, and then does what administrators do.
type Admin struct {
	stage  *Stage
	o      AdminOptions
	rand   sim.Stream
	routes *routes
	peer   *peer // that the present request goes to
	busy   bool
	todo   []TopicOptions // to be made
	passed int
}

// NewAdmin starts an administrator.
func NewAdmin(s *Stage, o AdminOptions) *Admin {
	a := &Admin{stage: s, o: o, rand: s.World.Stream(domainAdmin, o.Actor), todo: o.Topics}
	a.routes = s.routes(o.Name, o.Actor, nil)
	a.later()
	return a
}

func (a *Admin) later() {
	pace := a.o.Pace
	if len(a.todo) > 0 {
		pace = 50 * time.Millisecond
	}
	a.stage.World.After(a.rand.Between(pace/4, 2*pace), a.act)
}

func (a *Admin) act() {
	if a.stage.Quiet {
		a.routes.close()
		return
	}
	a.later()
	if a.busy {
		return
	}
	a.peer = a.routes.some()
	switch {
	case !a.peer.ready:
	case len(a.todo) > 0:
		a.create(a.todo[0])
	default:
		a.something()
	}
}

// something is one of the things that administrators do.
func (a *Admin) something() {
	targets := a.stage.open()
	if len(targets) == 0 {
		return
	}
	t := targets[a.rand.Below(int64(len(targets)))]
	if a.clusterWork(t) {
		return
	}
	a.busy = true
	switch a.rand.Below(12) {
	case 8, 9:
		ago := a.rand.Between(-time.Second, time.Duration(a.stage.now()))
		a.list(t, a.stage.wallNow()-int64(ago/time.Millisecond))
		return
	case 10:
		a.list(t, wire.MaxTimestamp)
		return
	case 11:
		if a.o.Grow {
			a.grow(t)
			return
		}
	case 0:
		if a.o.DeleteRecords {
			a.deleteRecords(t)
			return
		}
	case 1, 5:
		if a.o.Policies {
			a.alterPolicy(t)
			return
		}
	case 2:
		if a.o.Passing.Name != "" {
			a.pass()
			return
		}
	case 3, 4:
		a.list(t, wire.EarliestTimestamp)
		return
	}
	a.list(t, wire.LatestTimestamp)
}

// list looks up an offset at the partition's leader.
func (a *Admin) list(t *Target, timestamp int64) {
	to := a.leader(t)
	if to == nil {
		return
	}
	a.stage.listOffsets(to, a.routes, int(a.o.Actor), t, timestamp, func(record.Offset, bool) { a.busy = false })
}

// leader is the connection to a partition's leader; nil, and not busy any more, if there is none at present.
func (a *Admin) leader(t *Target) *peer {
	if at := a.routes.place(t); at != nowhere {
		if to := a.routes.link(at); to.ready {
			return to
		}
	}
	a.busy = false
	return nil
}

// create makes a topic. Whoever finds it there has made it, with an answer that was lost, or has not deleted it yet.
func (a *Admin) create(o TopicOptions) {
	a.busy = true
	r := kmsg.NewPtrCreateTopicsRequest()
	r.TimeoutMillis = 5000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = o.Name, o.Partitions, max(1, o.Replicas)
	for _, name := range sortedKeys(o.Configs) {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		value := o.Configs[name]
		c.Name, c.Value = name, &value
		t.Configs = append(t.Configs, c)
	}
	r.Topics = append(r.Topics, t)
	from, before := a.peer, a.stage.topic(o.Name)
	from.ask(r, version(&a.rand, wire.CreateTopics, 4), 8*time.Second, func(answer kmsg.Response) {
		got, ok := answer.(*kmsg.CreateTopicsResponse)
		if !ok || len(got.Topics) != 1 {
			a.busy = false
			return
		}
		code := wire.ErrorCode(got.Topics[0].ErrorCode)
		if code == wire.None && got.Topics[0].TopicID != [16]byte{} {
			a.stage.Created = append(a.stage.Created, got.Topics[0].TopicID)
		}
		if code == wire.TopicAlreadyExists {
			a.stage.Books.Check("M7", a.stage.There == nil || before != zero || a.stage.topic(o.Name) != zero, "topic %s is said to be there, and was not since that was asked", o.Name)
		}
		if code != wire.None && code != wire.TopicAlreadyExists {
			// A broker of a cluster that stops takes no new replicas.
			a.stage.Books.Check("V2", code.Retriable() || code == wire.InvalidReplicationFactor && o.Replicas > 0, "creating topic %s is refused with %s", o.Name, code)
			a.busy = false
			return
		}
		a.find(from, o)
	})
}

// find learns a new topic's id, and opens its books.
func (a *Admin) find(from *peer, o TopicOptions) {
	r := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &o.Name
	r.Topics = append(r.Topics, t)
	from.ask(r, version(&a.rand, wire.Metadata, 10), 8*time.Second, func(answer kmsg.Response) {
		a.busy = false
		got, ok := answer.(*kmsg.MetadataResponse)
		if !ok || len(got.Topics) != 1 || got.Topics[0].ErrorCode != 0 || len(got.Topics[0].Partitions) != int(o.Partitions) {
			return
		}
		id := got.Topics[0].TopicID
		if a.stage.isClosed(id) {
			a.delete(o.Name, id) // the deletion before did not get through
			return
		}
		a.stage.addTopic(o, id, 0)
		a.todo = a.todo[1:]
		if len(a.todo) == 0 && a.o.Ready != nil {
			ready := a.o.Ready
			a.o.Ready = nil
			ready()
		}
		if a.o.Policies && a.rand.Below(2) == 0 { // while some broker may still be making its log
			a.busy, a.peer = true, from
			a.alterPolicy(a.stage.Targets[len(a.stage.Targets)-1])
		}
	})
}

// WasDeleted says whether somebody has asked for a topic to be deleted.
func (s *Stage) WasDeleted(id [16]byte) bool { return s.isClosed(id) }

// isClosed says whether the topic with the id was to be deleted.
func (s *Stage) isClosed(id [16]byte) bool {
	return slices.ContainsFunc(s.Targets, func(t *Target) bool { return t.ID == id && t.Books.Closed() })
}

// addTopic opens the books of a topic's partitions, from one on.
func (s *Stage) addTopic(o TopicOptions, id [16]byte, from int32) {
	for i := from; i < o.Partitions; i++ {
		books := s.Books.Add(record.Partition{Topic: id, Index: i}, o.Name, o.Settings)
		books.Retention(o.Settings.RetentionBytes, o.Settings.RetentionMs)
		for _, t := range s.Targets {
			switch {
			case t.ID == id:
				books.Join(t.Books)
			case t.Topic == o.Name && t.Index == i:
				books.Succeed(t.Books)
			}
		}
		s.Targets = append(s.Targets, &Target{Topic: o.Name, ID: id, Index: i, Books: books})
	}
}

// pass makes a topic that passes, or deletes the one there is.
func (a *Admin) pass() {
	for _, t := range a.stage.open() {
		if len(t.Topic) > len(a.o.Passing.Name) && t.Topic[:len(a.o.Passing.Name)] == a.o.Passing.Name {
			a.delete(t.Topic, t.ID)
			return
		}
	}
	a.busy = false
	o := a.o.Passing
	o.Name += "-" + strconv.Itoa(a.passed)
	if !a.o.Again {
		a.passed++
	}
	a.todo = append(a.todo, o)
}

// delete removes a topic. From the request on nobody uses it any more.
func (a *Admin) delete(name string, id [16]byte) {
	a.busy = true
	for _, t := range a.stage.Targets {
		if t.ID == id {
			t.Books.Closing()
		}
	}
	r := kmsg.NewPtrDeleteTopicsRequest()
	r.TimeoutMillis = 5000
	v := int16(5)
	if r.TopicNames = []string{name}; a.o.Again {
		// By its id: a request that comes late must not hit the next one of the name.
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.TopicID = id
		v, r.TopicNames, r.Topics = 6, nil, append(r.Topics, t)
	}
	a.stage.tell(a.o.Name, "deletes topic %s", name)
	before := a.stage.topic(name)
	a.peer.ask(r, v, 8*time.Second, func(answer kmsg.Response) {
		a.busy = false
		if got, ok := answer.(*kmsg.DeleteTopicsResponse); ok && len(got.Topics) == 1 {
			code := wire.ErrorCode(got.Topics[0].ErrorCode)
			missed := code == wire.UnknownTopicID || code == wire.UnknownTopicOrPartition
			a.stage.Books.Check("M7", !missed || before != id || a.stage.topic(name) != id, "topic %s is said not to be there, and was all the time since that was asked", name)
		}
	})
}

// zero is the id of no topic.
var zero [16]byte

// topic is the id of the topic of a name, zero if there is none or nobody knows.
func (s *Stage) topic(name string) [16]byte {
	if s.There == nil {
		return zero
	}
	return s.There(name)
}

// grow gives a topic another partition.
func (a *Admin) grow(t *Target) {
	n, o := int32(0), TopicOptions{Name: t.Topic}
	for _, other := range a.stage.Targets {
		if other.ID == t.ID {
			n = max(n, other.Index+1)
		}
	}
	for _, options := range a.o.Topics {
		if options.Name == t.Topic {
			o = options
		}
	}
	if n == maxPartitions || o.Partitions == 0 {
		a.busy = false
		return
	}
	r := kmsg.NewPtrCreatePartitionsRequest()
	r.TimeoutMillis = 5000
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = t.Topic, n+1
	r.Topics = append(r.Topics, topic)
	from := a.peer
	a.stage.tell(a.o.Name, "gives topic %s %d partitions", t.Topic, n+1)
	from.ask(r, version(&a.rand, wire.CreatePartitions, 0), 8*time.Second, func(kmsg.Response) { a.grown(from, o, t.ID, n) })
}

// maxPartitions is how far topics grow.
const maxPartitions = 5

// grown learns how many partitions a topic has now, whatever the answer was.
func (a *Admin) grown(from *peer, o TopicOptions, id [16]byte, before int32) {
	r := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &o.Name
	r.Topics = append(r.Topics, t)
	from.ask(r, version(&a.rand, wire.Metadata, 10), 8*time.Second, func(answer kmsg.Response) {
		a.busy = false
		got, ok := answer.(*kmsg.MetadataResponse)
		if !ok || len(got.Topics) != 1 || got.Topics[0].ErrorCode != 0 || got.Topics[0].TopicID != id {
			return
		}
		o.Partitions = int32(len(got.Topics[0].Partitions))
		a.stage.addTopic(o, id, before)
	})
}

// deleteRecords moves a partition's log start.
func (a *Admin) deleteRecords(t *Target) {
	from := a.leader(t)
	if from == nil {
		return
	}
	a.stage.listOffsets(from, a.routes, int(a.o.Actor), t, wire.LatestTimestamp, func(end record.Offset, ok bool) {
		if !ok || end == 0 {
			a.busy = false
			return
		}
		to := record.Offset(a.rand.Below(int64(end) + 1))
		if a.rand.Below(8) == 0 {
			to = -1
		}
		r := kmsg.NewPtrDeleteRecordsRequest()
		r.TimeoutMillis = 5000
		topic := kmsg.NewDeleteRecordsRequestTopic()
		topic.Topic = t.Topic
		part := kmsg.NewDeleteRecordsRequestTopicPartition()
		part.Partition, part.Offset = t.Index, int64(to)
		topic.Partitions = append(topic.Partitions, part)
		r.Topics = append(r.Topics, topic)
		answered := t.Books.Deleting(to)
		a.stage.tell(a.o.Name, "deletes records of %s below %d", t.Books.Name, to)
		from.ask(r, version(&a.rand, wire.DeleteRecords, 0), 8*time.Second, func(answer kmsg.Response) {
			a.busy = false
			got, ok := answer.(*kmsg.DeleteRecordsResponse)
			if ok && len(got.Topics) == 1 && len(got.Topics[0].Partitions) == 1 && got.Topics[0].Partitions[0].ErrorCode == 0 {
				a.stage.tell(a.o.Name, "has deleted records of %s below %d", t.Books.Name, got.Topics[0].Partitions[0].LowWatermark)
				answered(record.Offset(got.Topics[0].Partitions[0].LowWatermark))
			}
		})
	})
}

// alterPolicy changes a topic's flush policy.
func (a *Admin) alterPolicy(t *Target) {
	value := "sync"
	if a.rand.Below(2) == 0 {
		value = "async"
	}
	a.stage.tell(a.o.Name, "sets the flush policy of %s to %s", t.Topic, value)
	var answered []func()
	for _, other := range a.stage.Targets {
		if other.Topic == t.Topic {
			answered = append(answered, other.Books.Policy(value == "async"))
		}
	}
	r := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, t.Topic
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "lignum.flush.policy", &value
	resource.Configs = append(resource.Configs, c)
	r.Resources = append(r.Resources, resource)
	a.peer.ask(r, 1, 8*time.Second, func(answer kmsg.Response) {
		a.busy = false
		got, ok := answer.(*kmsg.IncrementalAlterConfigsResponse)
		if ok && len(got.Resources) == 1 && got.Resources[0].ErrorCode == 0 {
			for _, f := range answered {
				f()
			}
		}
	})
}
