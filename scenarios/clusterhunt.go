package scenarios

import (
	"time"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/sim"
)

// hunt strikes at the leaders of one partition, one after the other: elections in a row, with records that only one leader has, and with followers
// that hear of none of it.
func (f *clusterFaults) hunt() {
	id, ok := f.prey()
	if !ok {
		return
	}
	f.count("hunt")
	f.tell("hunt of the leaders of %v", id)
	f.huntOn(id, 2+f.rand.Below(5))
}

// lingering is for how long somebody goes on asking a leader to which something happens, for the end of its partition (F7).
const lingering = 8 * time.Second

// linger has clients go on asking a node that is cut off from the others for the end of something that it leads (F7).
func (f *clusterFaults) linger(m *member) {
	for _, t := range f.c.newest().Topics() {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; p.Leader == m.id && len(p.Replicas) > 1 {
				f.c.stage.Linger(record.Partition{Topic: t.ID, Index: int32(i)}, int32(m.id), lingering)
				break
			}
		}
	}
}

// prey is a partition with several replicas.
func (f *clusterFaults) prey() (record.Partition, bool) {
	var all []record.Partition
	for _, t := range f.c.newest().Topics() {
		for i := range t.Partitions {
			if len(t.Partitions[i].Replicas) > 1 {
				all = append(all, record.Partition{Topic: t.ID, Index: int32(i)})
			}
		}
	}
	if len(all) == 0 {
		return record.Partition{}, false
	}
	return all[f.rand.Below(int64(len(all)))], true
}

func (f *clusterFaults) huntOn(id record.Partition, steps int64) {
	p := f.c.newest().Partition(id)
	if steps == 0 || f.c.healed || p == nil {
		f.c.world.HealAll()
		return
	}
	if p.Leader >= 0 {
		f.strikeAt(id, p)
	}
	f.c.world.After(f.rand.Between(50*time.Millisecond, pick(&f.rand, 400*time.Millisecond, 2*time.Second, 4*time.Second)), func() {
		if f.rand.Below(2) == 0 {
			f.c.world.HealAll()
		}
		f.huntOn(id, steps-1)
	})
}

// strikeAt does something to the leader, or to a follower.
func (f *clusterFaults) strikeAt(id record.Partition, p *metadata.Partition) {
	leader := f.c.members[p.Leader-1]
	f.c.stage.Linger(id, int32(p.Leader), lingering)
	other := f.c.members[p.Replicas[f.rand.Below(int64(len(p.Replicas)))]-1]
	switch f.rand.Below(8) {
	case 0, 1: // it goes on without its followers
		for _, m := range f.c.members {
			if m != leader {
				f.c.world.Cut(leader.host.End(), m.host.End())
				f.c.world.Cut(m.host.End(), leader.host.End())
			}
		}
	case 2: // its answers do not come
		f.c.world.Cut(leader.host.End(), other.host.End())
	case 3, 4:
		f.crash("kill", leader)
	case 5:
		leader.host.Pause(f.rand.Between(500*time.Millisecond, 4*time.Second))
	case 6:
		f.power("power", leader)
	default:
		f.crash("kill", other)
	}
}

// depose has the lead of a partition moved away by choice while the disk of its leader stands still, so that this one does not hear of it, but goes on
// sending heartbeats: it may answer no longer than its successor waits for it (F7).
func (f *clusterFaults) depose() {
	id, ok := f.prey()
	if !ok {
		return
	}
	p := f.c.newest().Partition(id)
	if p.Leader < 0 || f.c.members[p.Leader-1].window {
		return
	}
	old := f.c.members[p.Leader-1]
	f.count("deposed by choice")
	f.c.stage.Linger(id, int32(old.id), lingering)
	f.weaken(old, sim.Rates{Slow: 1_000_000}, f.rand.Between(500*time.Millisecond, 2*time.Second))
	replicas := f.successors(p)
	f.c.world.After(f.rand.Between(0, 100*time.Millisecond), func() { f.c.stage.Depose(id, replicas) })
}

// successors are as many replicas as a partition has, with its leader's place at the end, or without it where that is possible; none if the preferred
// replica does not lead, so that an election is enough.
func (f *clusterFaults) successors(p *metadata.Partition) []int32 {
	if f.rand.Below(2) == 0 && p.Replicas[0] != p.Leader {
		return nil
	}
	var list []int32
	for _, m := range f.c.members {
		if m.id != p.Leader && m.role != controllerRole {
			list = append(list, int32(m.id))
		}
	}
	for i := range list {
		j := i + int(f.rand.Below(int64(len(list)-i)))
		list[i], list[j] = list[j], list[i]
	}
	return append(list, int32(p.Leader))[:len(p.Replicas)]
}
