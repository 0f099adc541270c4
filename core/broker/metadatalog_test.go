package broker_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/sim"
)

const metadataDir = "__cluster_metadata-0/"

// metadataFiles are the files of a node's metadata log that hold something and whose names end so, the newest last.
func metadataFiles(r *rig, suffix string) (all []string) {
	r.host.Disk().EachFile(func(path string, size int64) {
		if strings.HasPrefix(path, metadataDir) && strings.HasSuffix(path, suffix) && size > 0 {
			all = append(all, path)
		}
	})
	slices.Sort(all)
	return all
}

// setAside are the directories that metadata logs were set aside in.
func setAside(r *rig) (all []string) {
	r.host.Disk().EachFile(func(path string, _ int64) {
		if dir, _, _ := strings.Cut(path, "/"); strings.HasSuffix(dir, "-stray") && !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	})
	return all
}

// metadataDamages are what can happen to a metadata log while its node is down.
var metadataDamages = map[string]func(*rig){
	"unreadable segment": func(r *rig) { r.host.Disk().BadSector(metadataFiles(r, ".log")[0], 100) },
	"rotten segment":     func(r *rig) { r.host.Disk().Rot(metadataFiles(r, ".log")[0], 70, 4) },
	"unreadable state":   func(r *rig) { r.host.Disk().BadSector(metadataFiles(r, "quorum-state")[0], 0) },
	"rotten state":       func(r *rig) { r.host.Disk().Rot(metadataFiles(r, "quorum-state")[0], 30, 1) },
	"unreadable identity": func(r *rig) {
		r.host.Disk().BadSector(metadataFiles(r, "partition.metadata")[0], 0)
	},
	"removed": func(r *rig) {
		if err := r.host.Disk().Rename("__cluster_metadata-0", "elsewhere"); err != nil {
			r.Fatal(err)
		}
	},
	"checkpoint": func(r *rig) {
		all := metadataFiles(r, ".checkpoint")
		r.host.Disk().Rot(all[len(all)-1], 40, 8)
	},
}

// leads is the node that leads the quorum; nil if none does.
func (c *cluster) leads() *rig {
	for _, r := range c.nodes {
		if q := r.node.Quorum(); r.host.Running() && q != nil && q.Leading() {
			return r
		}
	}
	return nil
}

// voters are the directories by which the leader knows the voters, by node; a node that is there twice has none.
func (c *cluster) voters() map[record.NodeID]quorum.Directory {
	all := map[record.NodeID]quorum.Directory{}
	if l := c.leads(); l != nil {
		for _, v := range l.node.Quorum().Describe().Voters {
			if _, twice := all[v.Node]; twice {
				v.Directory = quorum.Directory{}
			}
			all[v.Node] = v.Directory
		}
	}
	return all
}

// end ends a node's process, in order or not.
func (c *cluster) end(r *rig, clean bool) {
	if clean {
		done := false
		r.host.Do(func() { r.node.Leave(func() { r.node.Shutdown(func(error) { done = true }) }) })
		c.until("the node stops", func() bool { return done })
	}
	r.ready, r.conn = false, nil
	r.host.Kill()
}

// whole reports whether all three replicas of a topic's partitions are in sync, as every node that serves knows it.
func (c *cluster) whole(topic string) bool {
	for _, r := range c.nodes {
		if !r.host.Running() || !r.ready {
			return false
		}
		t := r.node.Image().Topic(topic)
		if t == nil || slices.ContainsFunc(t.Partitions, func(p metadata.Partition) bool { return len(p.ISR) != 3 || p.Leader < 0 }) {
			return false
		}
	}
	return true
}

// TestMetadataLogIsCopiedAnew: a voter whose metadata log cannot be used, or is gone, follows the others, becomes another voter, and its partitions are
// as they were. What is left of the log is kept. The quorum then stands on the new voter as on any other.
func TestMetadataLogIsCopiedAnew(t *testing.T) {
	both := "broker,controller"
	for i, name := range slices.Sorted(maps.Keys(metadataDamages)) {
		seed, damage := uint64(i+1), metadataDamages[name]
		for _, clean := range []bool{false, true} {
			if !clean && name == "rotten segment" {
				continue // the journal has it
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := newCluster(t, seed, both, both, both)
				c.createTopic(c.nodes[0], "t", 2, 3, "min.insync.replicas", "2")
				c.produceTo(c.nodes[0], "t", 0, "a")
				victim := c.leads()
				if clean {
					victim = c.nodes[seed%3]
				}
				c.end(victim, clean)
				if name == "checkpoint" {
					victim.values["metadata.log.max.record.bytes.between.snapshots"] = "100"
					victim.start()
					c.createTopic(victim, "more", 1, 3)
					c.until("it has a checkpoint", func() bool { return len(metadataFiles(victim, ".checkpoint")) > 0 })
					c.end(victim, clean)
				}
				damage(victim)
				c.until("another leads", func() bool { return c.leads() != nil })
				before := c.voters()
				victim.ready, victim.conn, victim.logged = false, nil, nil
				victim.host.Start()
				id := record.NodeID(slices.Index(c.nodes, victim) + 1)
				c.until("it votes again, under another directory", func() bool {
					now := c.voters()
					return len(now) == 3 && now[id] != quorum.Directory{} && now[id] != before[id] && c.whole("t")
				})
				for _, l := range victim.logged {
					if strings.Contains(l, "damaged") || strings.Contains(l, "offline") {
						t.Error(l)
					}
				}
				if kept := len(setAside(victim)); kept != 1 && name != "removed" || kept != 0 && name == "removed" {
					t.Errorf("%d directories were set aside", kept)
				}
				c.world.Run(c.world.Now().Add(time.Second)) // so that the others know, too, that it was committed
				other := c.nodes[int(id)%3]
				c.end(other, false)
				c.until("the new voter and another one elect", func() bool { return c.leads() != nil })
				c.until("the controller decides", func() bool { return victim.ready })
				c.produceTo(victim, "t", 0, "b")
				c.end(victim, clean)
				victim.host.Start()
				other.host.Start()
				c.until("all is well", func() bool { return len(c.voters()) == 3 && c.whole("t") })
			})
		}
	}
}

// TestPassingErrorOfMetadataLogs: all nodes come back at the same time, and none of them can read its metadata log. Nobody leads without them, so all is kept
// as it is; in the end they give up, and another start finds everything.
func TestPassingErrorOfMetadataLogs(t *testing.T) {
	t.Parallel()
	both := "broker,controller"
	c := newCluster(t, 1, both, both, both)
	c.createTopic(c.nodes[0], "t", 2, 3)
	c.produceTo(c.nodes[0], "t", 0, "a")
	c.until("all replicas are in sync", func() bool { return c.whole("t") && len(c.voters()) == 3 })
	before := c.voters()
	for _, r := range c.nodes {
		c.end(r, false)
	}
	for _, r := range c.nodes {
		r.host.Disk().Inject(func(op sim.Op) error {
			if op.Kind == sim.OpRead && strings.HasPrefix(op.Path, metadataDir) {
				return env.ErrUnreadable
			}
			return nil
		})
		r.host.Start()
	}
	c.world.Run(c.world.Now().Add(90 * time.Second))
	for i, r := range c.nodes {
		if !errors.Is(r.failed, env.ErrUnreadable) || !strings.Contains(r.failed.Error(), metadataDir) || len(setAside(r)) > 0 {
			t.Errorf("node %d: %v, set aside %q", i+1, r.failed, setAside(r))
		}
		r.host.Disk().Inject(nil)
		r.failed = nil
		c.end(r, false)
		r.host.Start()
	}
	c.until("all is well", func() bool { return c.whole("t") && maps.Equal(before, c.voters()) })
}

// TestMetadataLogOfTheOnlyVoter: nobody else has what a single node has lost of its metadata. It does not start, says what is to be done, and touches
// nothing.
func TestMetadataLogOfTheOnlyVoter(t *testing.T) {
	for name, damage := range metadataDamages {
		if name == "checkpoint" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.create("t", 1)
			r.produce("t", 0, -1, batch("a"))
			done := false
			r.host.Do(func() { r.node.Shutdown(func(error) { done = true }) })
			r.until(func() bool { return done })
			r.host.Kill()
			damage(r)
			r.ready, r.failed = false, nil
			r.host.Start()
			r.until(func() bool { return r.ready || r.failed != nil })
			if r.failed == nil || !strings.Contains(r.failed.Error(), "only voter") || !strings.Contains(r.failed.Error(), "__cluster_metadata-0") {
				t.Errorf("%v", r.failed)
			}
			if len(setAside(r)) > 0 {
				t.Errorf("set aside: %q", setAside(r))
			}
		})
	}
}

// TestWhoseDirectory: a replica whose directory does not say any more whose it is, is copied anew like one whose log is damaged: its name tells. What was there
// is kept.
func TestWhoseDirectory(t *testing.T) {
	t.Parallel()
	for i, name := range []string{"unreadable", "rotten"} {
		both := "broker,controller"
		c := newCluster(t, uint64(i+1), both, both, both)
		c.createTopic(c.nodes[0], "t", 2, 3)
		c.produceTo(c.nodes[0], "t", 1, "a")
		c.until("all replicas are in sync", func() bool { return c.whole("t") })
		victim := c.leader(c.nodes[0], "t", 1)
		c.end(victim, false)
		if name == "rotten" {
			victim.host.Disk().Rot("t-1/partition.metadata", 25, 1)
		} else {
			victim.host.Disk().BadSector("t-1/partition.metadata", 0)
		}
		victim.host.Start()
		c.until(name, func() bool { return c.whole("t") && len(setAside(victim)) == 1 })
		c.produceTo(victim, "t", 1, "b")
	}
}

// TestDamagedStray: a log is found damaged that belonged to a topic which was deleted while the broker was away. It does not keep its name from the next
// topic that has it.
func TestDamagedStray(t *testing.T) {
	t.Parallel()
	both := "broker,controller"
	c := newCluster(t, 1, both, both, both)
	create := func(by *rig, value string) {
		c.createTopic(by, "t", 2, 3)
		c.produceTo(by, "t", 1, value)
	}
	create(c.nodes[0], "a")
	c.until("all replicas are in sync", func() bool { return c.whole("t") })
	victim, other := c.nodes[1], c.nodes[2]
	c.end(victim, false)
	victim.host.Disk().BadSector("t-1/00000000000000000000.log", 0)
	r := kmsg.NewPtrDeleteTopicsRequest()
	r.TopicNames, r.TimeoutMillis = []string{"t"}, 10_000
	c.until("it is deleted", func() bool { return ask[*kmsg.DeleteTopicsResponse](other, r, 5).Topics[0].ErrorCode == 0 })
	create(other, "b")
	victim.host.Start()
	c.until("all replicas of the next topic are in sync", func() bool { return c.whole("t") && len(setAside(victim)) == 2 })
}

// TestLostTwice: a voter loses its metadata log, and once more when the quorum has taken its old identity away and has not given it its vote back yet. The
// quorum must not forget that the node is to vote.
func TestLostTwice(t *testing.T) {
	t.Parallel()
	both := "broker,controller"
	c := newCluster(t, 1, both, both, both)
	victim := c.nodes[1]
	lose := func() {
		c.end(victim, false)
		if err := victim.host.Disk().Rename("__cluster_metadata-0", fmt.Sprint("elsewhere", victim.host.Life())); err != nil {
			t.Fatal(err)
		}
		victim.host.Start()
	}
	lose()
	c.until("two vote", func() bool { return len(c.voters()) == 2 })
	for _, r := range c.nodes {
		c.end(r, false) // before the leader goes on
	}
	lose()
	c.nodes[0].host.Start()
	c.nodes[2].host.Start()
	c.until("it votes again", func() bool { return len(c.voters()) == 3 && victim.ready })
}

// TestLostAgainAtOnce: a voter loses its metadata log, and once more while the leader still remembers the node of after the first loss, which is nobody any
// more. The learner that the node is then must not be taken for lost in favour of that one.
func TestLostAgainAtOnce(t *testing.T) {
	t.Parallel()
	both := "broker,controller"
	for i := range 8 {
		c := newCluster(t, uint64(i+1), both, both, both)
		c.until("all vote", func() bool { return len(c.voters()) == 3 })
		victim := c.nodes[(slices.Index(c.nodes, c.leads())+1)%3]
		for range 2 {
			c.end(victim, false)
			if err := victim.host.Disk().Rename("__cluster_metadata-0", fmt.Sprint("elsewhere", victim.host.Life())); err != nil {
				t.Fatal(err)
			}
			victim.host.Start()
			c.world.Run(c.world.Now().Add(time.Duration(i+2) * 200 * time.Millisecond))
		}
		c.until("it votes again", func() bool {
			directory, votes := c.voters()[record.NodeID(slices.Index(c.nodes, victim)+1)]
			return votes && len(c.voters()) == 3 && directory == victim.node.Quorum().Directory
		})
	}
}

// TestWordOfAStaleLeader: a voter that cannot read its metadata log is told by one who leads still, because it has not noticed yet that the others are gone. Its
// log is one of two that a majority needs, and is kept until there is one without it.
func TestWordOfAStaleLeader(t *testing.T) {
	t.Parallel()
	both := "broker,controller"
	for seed := range uint64(5) {
		c := newCluster(t, seed+1, both, both, both)
		c.createTopic(c.nodes[0], "t", 2, 3)
		c.until("all replicas are in sync", func() bool { return c.whole("t") && len(c.voters()) == 3 })
		first := slices.Index(c.nodes, c.leads())
		victim, other := c.nodes[(first+1)%3], c.nodes[(first+2)%3]
		before := c.voters()
		c.end(other, false)
		c.end(victim, true)
		metadataDamages["unreadable segment"](victim)
		victim.host.Start()
		c.world.Run(c.world.Now().Add(10 * time.Second))
		if len(setAside(victim)) > 0 {
			t.Errorf("seed %d: the log is set aside, and nobody can lead", seed)
		}
		other.host.Start()
		id := record.NodeID((first+1)%3 + 1)
		c.until("it votes as another", func() bool {
			now := c.voters()
			return len(now) == 3 && now[id] != quorum.Directory{} && now[id] != before[id] && c.whole("t")
		})
	}
}
