package clients

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// upset is one kind of fault.
type upset struct {
	name string
	// one node, or two at a time; 0 of the network as a whole
	begin func(c *Cluster, victim int) error
	end   func(c *Cluster, victim int) error
}

// processUpsets are what happens to processes.
func processUpsets() []upset {
	return []upset{
		{"kill -9", func(c *Cluster, v int) error { return c.Nodes[v].Kill() }, func(c *Cluster, v int) error { return c.Nodes[v].launch() }},
		{"SIGSTOP", func(c *Cluster, v int) error { return c.Nodes[v].signal(syscall.SIGSTOP) }, func(c *Cluster, v int) error { return c.Nodes[v].signal(syscall.SIGCONT) }},
		{"orderly restart", func(c *Cluster, v int) error { return c.stopOne(v) }, func(c *Cluster, v int) error { return c.Nodes[v].launch() }},
	}
}

// stopOne stops one node in good order while others go on.
func (c *Cluster) stopOne(v int) error {
	n := c.Nodes[v]
	stuck := time.AfterFunc(stopLimit, func() { _ = n.process.Process.Kill() })
	err := n.Stop()
	if !stuck.Stop() {
		err = errors.Join(err, fmt.Errorf("node %d did not stop within %v", v+1, stopLimit))
	}
	return err
}

// networkUpsets are what happens to a network. Clients reach all nodes but where it says otherwise: so they hear what one says that is cut off
// from the others.
func networkUpsets(n *Network) []upset {
	heal := func(*Cluster, int) error { n.Heal(); return nil }
	others := func(c *Cluster, victim int, do func(other int)) error {
		for i := range c.Nodes {
			if i != victim {
				do(i + 1)
			}
		}
		return nil
	}
	gone := Link{Loss: 1}
	return []upset{
		{"cut off from the other nodes", func(c *Cluster, v int) error {
			return others(c, v, func(o int) { n.Set(v+1, o, gone); n.Set(o, v+1, gone) })
		}, heal},
		{"not heard by the other nodes", func(c *Cluster, v int) error { return others(c, v, func(o int) { n.Set(v+1, o, gone) }) }, heal},
		{"does not hear the other nodes", func(c *Cluster, v int) error { return others(c, v, func(o int) { n.Set(o, v+1, gone) }) }, heal},
		{"cut off from everybody", func(c *Cluster, v int) error {
			n.Set(v+1, 0, gone)
			n.Set(0, v+1, gone)
			return others(c, v, func(o int) { n.Set(v+1, o, gone); n.Set(o, v+1, gone) })
		}, heal},
		{"cut off from one node", func(c *Cluster, v int) error {
			o := (v+1)%len(c.Nodes) + 1
			n.Set(v+1, o, gone)
			n.Set(o, v+1, gone)
			return nil
		}, heal},
		{"the network loses and delays packets", func(c *Cluster, v int) error {
			for i := range len(c.Nodes) + 1 {
				for j := range len(c.Nodes) + 1 {
					n.Set(i, j, Link{Loss: 0.05 * float64(v+1), Delay: time.Duration(1+2*v) * time.Millisecond})
				}
			}
			return nil
		}, heal},
	}
}

// upsetFor makes one fault after another for a while. Every node runs, and every way is sound, when it returns.
func upsetFor(ctx context.Context, t *testing.T, c *Cluster, dice *rand.Rand, kinds []upset, during time.Duration) {
	t.Helper()
	began := time.Now()
	counts := map[string]int{}
	for round := 0; time.Since(began) < during && ctx.Err() == nil; round++ {
		u := kinds[(round+dice.IntN(2))%len(kinds)]
		victims := []int{dice.IntN(len(c.Nodes))}
		if dice.IntN(5) == 0 { // a majority: nobody can go on until they are back
			victims = append(victims, (victims[0]+1)%len(c.Nodes))
		}
		hold := time.Duration(300+dice.IntN(5200)) * time.Millisecond
		t.Logf("%5.1f s: nodes %v for %v: %s", time.Since(began).Seconds(), numbers(victims), hold, u.name)
		counts[u.name]++
		for _, v := range victims {
			must(t, u.begin(c, v))
		}
		time.Sleep(hold)
		for _, v := range victims {
			must(t, u.end(c, v))
		}
		c.alive(t)
		time.Sleep(time.Duration(dice.IntN(2500)) * time.Millisecond)
	}
	for _, n := range c.Nodes {
		must(t, n.awaitConnection())
	}
	c.alive(t)
	t.Logf("%d kinds of faults: %v", len(counts), counts)
}

// alive fails the test if a node has ended by itself.
func (c *Cluster) alive(t *testing.T) {
	t.Helper()
	for i, n := range c.Nodes {
		if n.process != nil && n.Exited() {
			t.Fatalf("node %d has ended by itself:\n%s", i+1, n.LogTail())
		}
	}
}

func numbers(victims []int) []int {
	var list []int
	for _, v := range victims {
		list = append(list, v+1)
	}
	return list
}

// dice are the test's chances; its seed is in the log, and LIGNUM_CLUSTER_SEED asks for it again. (What the machine does is not repeated.)
func newDice(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano()) % 1e6
	if text := clusterSeed(); text != 0 {
		seed = text
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func clusterSeed() uint64 { return cmp.Or(*seedFlag, 0) }
