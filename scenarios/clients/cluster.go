package clients

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Cluster is three brokers, or as many as it has nodes: each a process of its own that is broker and controller. Node i has the id i+1.
type Cluster struct {
	Nodes   []*Broker
	dir     string
	binary  string
	network *Network
	common  map[string]string // settings of every node
}

// ClusterOptions choose what a cluster is like.
type ClusterOptions struct {
	Nodes int
	// Settings go into every node's configuration file, over what the cluster needs for itself.
	Settings map[string]string
	// Network puts each node into a network namespace of its own. Without it all are on loopback.
	Network *Network
}

// StartCluster starts a cluster with its data under dir and waits until every node serves clients.
func StartCluster(binary, dir string, o ClusterOptions) (*Cluster, error) {
	c := &Cluster{dir: dir, binary: binary, network: o.Network, common: o.Settings}
	addresses, voters := make([][2]string, o.Nodes), make([]string, o.Nodes)
	for i := range addresses {
		var err error
		if addresses[i], err = o.addresses(i); err != nil {
			return nil, err
		}
		voters[i] = fmt.Sprintf("%d@%s", i+1, addresses[i][1])
	}
	for i, a := range addresses {
		if err := c.addNode(i+1, a, map[string]string{"controller.quorum.voters": strings.Join(voters, ",")}); err != nil {
			return nil, err
		}
	}
	for _, n := range c.Nodes {
		if err := n.launch(); err != nil {
			return c, errors.Join(err, c.Stop())
		}
	}
	for _, n := range c.Nodes {
		if err := n.awaitConnection(); err != nil {
			return c, errors.Join(err, c.Stop())
		}
	}
	return c, nil
}

// addNode writes the configuration of one more node, with its addresses for clients and for the other controllers. It is not started.
func (c *Cluster) addNode(id int, addresses [2]string, quorum map[string]string) error {
	data, file := filepath.Join(c.dir, fmt.Sprint(id)), filepath.Join(c.dir, fmt.Sprintf("%d.properties", id))
	settings := map[string]string{
		"node.id": fmt.Sprint(id), "process.roles": "broker,controller", "controller.listener.names": "CONTROLLER",
		"listeners":                      "PLAINTEXT://" + addresses[0] + ",CONTROLLER://" + addresses[1],
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "log.dirs": data,
		"default.replication.factor": "3", "min.insync.replicas": "2", "broker.rack": fmt.Sprintf("rack-%d", id),
	}
	maps.Copy(settings, quorum)
	maps.Copy(settings, c.common)
	if err := writeProperties(file, settings); err != nil {
		return err
	}
	command := append(c.network.within(id), c.binary, "serve", "--config", file)
	c.Nodes = append(c.Nodes, &Broker{Address: addresses[0], DataDir: data, command: command, logFile: data + ".log", controller: addresses[1]})
	return nil
}

// addresses are the i-th node's for clients and for the other controllers.
func (o ClusterOptions) addresses(i int) (pair [2]string, err error) {
	if o.Network != nil {
		ip := o.Network.address(i + 1)
		return [2]string{ip + ":9092", ip + ":9093"}, nil
	}
	for j := range pair {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return pair, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		pair[j] = l.Addr().String()
	}
	return pair, nil
}

func writeProperties(file string, settings map[string]string) error {
	var text strings.Builder
	for key, value := range settings {
		fmt.Fprintf(&text, "%s=%s\n", key, value)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text.String()), 0o644)
}

// Bootstrap is where clients begin: all nodes.
func (c *Cluster) Bootstrap() string {
	var list []string
	for _, n := range c.Nodes {
		list = append(list, n.Address)
	}
	return strings.Join(list, ",")
}

// client is the cluster as the drivers of clients take it: an address, or several. It is not theirs to stop.
func (c *Cluster) client() *Broker { return &Broker{Address: c.Bootstrap()} }

// Stop ends all nodes in good order, those that hang with kill -9. All are told at once: nobody is left to hand over to.
func (c *Cluster) Stop() error {
	ends := make(chan error)
	running := 0
	for _, n := range c.Nodes {
		if n.process == nil {
			continue
		}
		running++
		stuck := time.AfterFunc(stopLimit, func() { _ = n.process.Process.Kill() })
		go func() {
			began := time.Now()
			err := n.Stop()
			if !stuck.Stop() {
				err = errors.Join(err, fmt.Errorf("%s did not stop within %v: %s", n.Address, time.Since(began), n.LogTail()))
			}
			ends <- err
		}()
	}
	var failed error
	for range running {
		failed = errors.Join(failed, <-ends)
	}
	return failed
}

// stopLimit bounds how long an orderly stop may take: a broker that cannot hand over gives up after half a minute.
const stopLimit = 60 * time.Second

// residentBytes is the memory of the process.
func (b *Broker) residentBytes() (int64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", b.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	var total, resident int64
	if _, err := fmt.Sscan(string(statm), &total, &resident); err != nil {
		return 0, err
	}
	return resident * int64(os.Getpagesize()), nil
}
