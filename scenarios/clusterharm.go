package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lignum/core/quorum"
	"lignum/sim"
)

// harm is what happens to the metadata log of one controller, again and again: bits rot that a checksum covers, sectors cannot be read any more, or
// somebody removes the directory while the node is down. It is one node's only, and not while another one has no vote, so the others are a quorum without it. The node may go on, as what
// it was, as long as it can read everything; when it cannot, it must not be taken for the voter that it was, copies the metadata anew, and is to be
// whole in the end as always (V1). Its partitions are held to all that they promise.
type harm struct {
	f       *clusterFaults
	rand    sim.Stream
	pace    time.Duration
	node    *member
	struck  bool
	removal bool             // the directory goes before the next start
	was     quorum.Directory // that was hit; zero if it was not, or has been replaced
}

// metadataDir is the directory of the metadata log.
const metadataDir = quorum.TopicName + "-0"

// begin chooses the node.
func (h *harm) begin(f *clusterFaults) {
	h.f, h.rand = f, f.c.world.Stream(domainStrikes, 3)
	h.pace = pick(&h.rand, time.Second, 4*time.Second, 10*time.Second)
	for h.node == nil || h.node.role == brokerRole {
		h.node = f.c.members[h.rand.Below(int64(len(f.c.members)))]
	}
	h.later()
}

func (h *harm) later() {
	h.f.c.world.After(h.rand.Between(0, 2*h.pace), func() {
		if h.f.c.healed {
			return
		}
		if !h.dispensable() {
			h.later()
			return
		}
		seen := h.rand.Below(2) == 0
		switch h.rand.Below(6) {
		case 0, 1:
			h.removal, seen = true, true
		case 2, 3:
			h.rot()
		default:
			h.spoil()
		}
		if seen {
			h.bringToLight()
		}
		h.later()
	})
}

// bringToLight ends the node's life, for its files are read at a start only.
func (h *harm) bringToLight() {
	f := h.f
	switch h.rand.Below(4) {
	case 0:
		f.crash("kill", h.node)
	case 1:
		f.power("power", h.node)
	default:
		f.stop(h.node)
	}
}

// starting removes the directory, if that is to be, before the node's new life reads anything.
func (h *harm) starting(m *member) {
	if m != h.node || !h.removal || !h.dispensable() {
		return
	}
	h.removal = false
	to := fmt.Sprintf("removed%d", m.host.Life())
	if err := m.host.Disk().Rename(metadataDir, to); err == nil {
		h.strike("removed metadata", "the metadata log is removed: it is %s now", to)
	}
}

// strike notes that the metadata log has been hit.
func (h *harm) strike(name, format string, args ...any) {
	h.struck = true
	if q := h.node.node.Quorum(); q != nil {
		h.was = q.Directory
	}
	h.f.count(name)
	h.f.count("wounded metadata")
	h.f.tell("%s: "+format, append([]any{h.node.host.Name()}, args...)...)
}

// rot inverts a bit that a checksum covers.
func (h *harm) rot() {
	sealed := func(path string) bool {
		return strings.HasSuffix(path, ".log") || strings.HasSuffix(path, ".checkpoint") || strings.HasSuffix(path, "quorum-state")
	}
	path, ok := h.file(sealed)
	if !ok {
		return
	}
	p, _ := h.node.host.Disk().Peek(sim.Cached, path, nil)
	from, to := int64(0), int64(len(p))
	if strings.HasSuffix(path, ".log") {
		if from, to, ok = drawCovered(&h.rand, p); !ok {
			return
		}
	}
	at := from + h.rand.Below(to-from)
	h.strike("rotten metadata", "%s rots at %d", path, at)
	h.node.host.Disk().Rot(path, at, 1<<h.rand.Below(8))
}

// spoil makes a sector unreadable.
func (h *harm) spoil() {
	path, ok := h.file(func(string) bool { return true })
	if !ok {
		return
	}
	p, _ := h.node.host.Disk().Peek(sim.Cached, path, nil)
	at := h.rand.Below(int64(len(p)))
	h.strike("unreadable metadata", "%s cannot be read at %d", path, at)
	h.node.host.Disk().BadSector(path, at)
}

// file draws a file of the node's metadata log that holds something.
func (h *harm) file(fits func(path string) bool) (path string, ok bool) {
	var all []string
	h.node.host.Disk().EachFile(func(path string, size int64) {
		if strings.HasPrefix(path, metadataDir+"/") && size > 0 && !strings.HasSuffix(path, ".tmp") && fits(path) {
			all = append(all, path)
		}
	})
	if len(all) == 0 {
		return "", false
	}
	return all[h.rand.Below(int64(len(all)))], true
}

// dispensable says whether all other controllers voted when they were seen last: there are some that have not begun, or have lost their log for another reason.
func (h *harm) dispensable() bool {
	return !slices.ContainsFunc(h.f.c.members, func(m *member) bool { return m != h.node && m.role != brokerRole && !m.votes })
}

// look sees who votes, and whether the node does as another one than the one that was hit.
func (h *harm) look() {
	if h.node != nil {
		for _, m := range h.f.c.members {
			if m.host.Running() {
				q := m.node.Quorum()
				m.votes = q != nil && q.Votes()
			}
		}
	}
	if h.node == nil || !h.struck || h.was == (quorum.Directory{}) || !h.node.host.Running() {
		return
	}
	q := h.node.node.Quorum()
	if q == nil || q.Directory == h.was {
		return
	}
	if slices.ContainsFunc(q.Describe().Voters, func(r quorum.Replica) bool { return r.Node == h.node.id && r.Directory == q.Directory }) {
		h.f.count("metadata copied anew")
		h.f.tell("%s: votes as another", h.node.host.Name())
		h.was = quorum.Directory{}
	}
}

// harmed says whether the metadata log of the node was hit.
func (m *member) harmed() bool { return m.c.faults.harm.node == m && m.c.faults.harm.struck }

// unwellQuorum says which controller does not vote, or who else does, as the leader of the quorum knows it; "" if all is well.
func (c *cluster) unwellQuorum() string {
	for _, leader := range c.members {
		q := leader.node.Quorum()
		if q == nil || !q.Leading() {
			continue
		}
		voters := q.Describe().Voters
		for _, m := range c.members {
			at := slices.IndexFunc(voters, func(r quorum.Replica) bool { return r.Node == m.id })
			if m.role == brokerRole {
				continue
			}
			if own := m.node.Quorum(); at < 0 || own == nil || !own.Votes() || voters[at].Directory != own.Directory {
				return fmt.Sprintf("%s does not vote: %+v", m.host.Name(), voters)
			}
			voters = slices.Delete(voters, at, at+1)
		}
		if len(voters) > 0 {
			return fmt.Sprintf("nobody is the voters %+v", voters)
		}
	}
	return ""
}

// replacing says whether a voter is being replaced, or some controller has not heard yet that one was.
func (c *cluster) replacing() bool {
	same := func(a, b quorum.Replica) bool { return a.Node == b.Node && a.Directory == b.Directory }
	var first []quorum.Replica
	for _, m := range c.members {
		if m.role == brokerRole {
			continue
		}
		q := m.node.Quorum()
		if q == nil {
			return true // it has not begun
		}
		voters := q.Describe().Voters
		if first == nil {
			first = voters
		}
		own := func(r quorum.Replica) bool { return r.Node == m.id && r.Directory == q.Directory }
		if !slices.EqualFunc(first, voters, same) || !slices.ContainsFunc(voters, own) {
			return true
		}
	}
	return false
}
