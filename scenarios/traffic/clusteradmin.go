package traffic

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// clusterWork is at times one of the things that administrators of clusters do; false if it is not.
func (a *Admin) clusterWork(t *Target) bool {
	if len(a.stage.Nodes) == 1 || a.rand.Below(2) == 0 {
		return false
	}
	switch a.rand.Below(4) {
	case 0, 1:
		if a.o.Elect {
			a.electLeader(t)
			return true
		}
	case 2:
		if a.o.Reassign {
			a.reassign(t)
			return true
		}
	case 3:
		if a.o.MinISR {
			a.alterMinISR(t)
			return true
		}
	}
	return false
}

// electLeader gives the leadership back to the preferred replica.
func (a *Admin) electLeader(t *Target) {
	a.busy = true
	a.stage.tell(a.o.Name, "has a leader elected for %s", t.Books.Name)
	a.peer.ask(preferredElection(t), 2, 8*time.Second, func(kmsg.Response) { a.busy = false })
}

// reassign moves a partition to other brokers, in another order, or takes a move back.
func (a *Admin) reassign(t *Target) {
	a.busy = true
	var replicas []int32
	if a.rand.Below(5) > 0 {
		ids := a.stage.brokers()
		for i := range ids {
			j := i + int(a.rand.Below(int64(len(ids)-i)))
			ids[i], ids[j] = ids[j], ids[i]
		}
		replicas = ids[:t.Books.Replicas()]
	}
	t.Books.Moving()
	a.stage.Moves++
	a.stage.tell(a.o.Name, "moves %s to %v", t.Books.Name, replicas)
	a.peer.ask(reassignment(t, replicas), 0, 8*time.Second, func(kmsg.Response) { a.busy = false })
}

// brokers lists the ids of all brokers.
func (s *Stage) brokers() []int32 {
	var ids []int32
	for _, n := range s.Nodes {
		ids = append(ids, n.ID)
	}
	return ids
}

// alterMinISR changes min.insync.replicas of a topic.
func (a *Admin) alterMinISR(t *Target) {
	a.busy = true
	value := "1"
	if a.rand.Below(2) == 0 {
		value = "2"
	}
	for _, other := range a.stage.Targets {
		if other.Topic == t.Topic {
			other.Books.MinISR(int(value[0] - '0'))
		}
	}
	r := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, t.Topic
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "min.insync.replicas", &value
	resource.Configs = append(resource.Configs, c)
	r.Resources = append(r.Resources, resource)
	a.stage.tell(a.o.Name, "sets min.insync.replicas of %s to %s", t.Topic, value)
	a.peer.ask(r, 1, 8*time.Second, func(kmsg.Response) { a.busy = false })
}
