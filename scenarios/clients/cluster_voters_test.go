package clients

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// quorum runs `lignum quorum` and returns what it printed.
func (c *Cluster) quorum(t *testing.T, arguments ...string) string {
	t.Helper()
	arguments = append([]string{"quorum"}, append(arguments, "--bootstrap-server", c.Bootstrap(), "--timeout", "20s")...)
	out, err := exec.Command(c.binary, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("lignum %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// roles are those that `lignum quorum describe` names, by node.
func (c *Cluster) roles(t *testing.T) (roles map[string]string, cluster string) {
	t.Helper()
	out := c.quorum(t, "describe")
	roles = map[string]string{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) > 2 && words[0] == "cluster" {
			cluster = strings.TrimSuffix(words[1], ",")
		} else if len(words) > 2 && words[0] != "node" {
			roles[words[0]] = words[1]
		}
	}
	return roles, cluster
}

// awaitRoles waits until so many nodes vote, the leader with them, and so many follow.
func (c *Cluster) awaitRoles(t *testing.T, voters, observers int) map[string]string {
	t.Helper()
	var roles map[string]string
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		count := map[string]int{}
		roles, _ = c.roles(t)
		for _, r := range roles {
			count[r]++
		}
		if count["leader"] == 1 && count["voter"] == voters-1 && count["observer"] == observers {
			return roles
		}
		if time.Now().After(deadline) {
			t.Fatalf("want %d voters and %d observers: %v", voters, observers, roles)
		}
	}
}

// TestClusterVoters: a node joins, gets a vote, and takes the place of the leader, whose vote is taken away, while a producer goes on.
func TestClusterVoters(t *testing.T) {
	c := startCluster(t, ClusterOptions{Settings: quick()})
	f, err := openFranz(c.client())
	must(t, err)
	defer f.Close()
	p := startPulses(t, f, 3)
	c.awaitRoles(t, 3, 0)
	_, id := c.roles(t)
	addresses, err := ClusterOptions{}.addresses(3)
	must(t, err)
	var bootstrap []string
	for _, n := range c.Nodes {
		bootstrap = append(bootstrap, n.controller)
	}
	must(t, c.addNode(4, addresses, map[string]string{"controller.quorum.bootstrap.servers": strings.Join(bootstrap, ","), "lignum.cluster.id": id}))
	must(t, c.Nodes[3].launch())
	must(t, c.Nodes[3].awaitConnection())
	c.awaitBrokers(t)
	c.awaitRoles(t, 3, 1)
	c.quorum(t, "add-voter", "--id", "4", "--address", addresses[1])
	c.awaitRoles(t, 4, 0)
	leader := controllerOf(t, f)
	c.quorum(t, "remove-voter", "--id", fmt.Sprint(leader+1))
	roles := c.awaitRoles(t, 3, 1)
	if role := roles[fmt.Sprint(leader+1)]; role != "observer" {
		t.Errorf("node %d was the leader and is %s now, want an observer: %v", leader+1, role, roles)
	}
	must(t, c.Nodes[leader].Kill())
	must(t, c.Nodes[leader].launch())
	c.awaitBrokers(t)
	c.quorum(t, "add-voter", "--id", fmt.Sprint(leader+1), "--address", c.Nodes[leader].controller)
	c.awaitRoles(t, 4, 0)
	p.stop(t)
}

// TestClusterWipe: a node loses its disk. It comes back empty, fetches everything again, and votes again, while a producer goes on.
func TestClusterWipe(t *testing.T) {
	c := startCluster(t, ClusterOptions{Settings: quick()})
	f, err := openFranz(c.client())
	must(t, err)
	defer f.Close()
	p := startPulses(t, f, 3)
	victim := controllerOf(t, f)
	must(t, c.Nodes[victim].Kill())
	must(t, os.RemoveAll(c.Nodes[victim].DataDir))
	must(t, c.Nodes[victim].launch())
	must(t, c.Nodes[victim].awaitConnection())
	c.awaitRoles(t, 3, 0)
	c.awaitBrokers(t)
	awaitSync(t, f, p.topic)
	p.stop(t)
	read, err := f.Read(p.topic, nil)
	must(t, err)
	acked := int64(0)
	for _, one := range p.list {
		acked += one.acked.Load()
	}
	if int64(len(read)) != acked {
		t.Errorf("%d records acknowledged, %d read", acked, len(read))
	}
	must(t, c.Stop())
	c.equal(t, p.topic, len(p.list))
}
