package scenarios

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"lignum/core/config"
	"lignum/scenarios/traffic"
	"lignum/sim"
)

// clusterPlan is what a seed wants of a cluster.
type clusterPlan struct {
	plan
	roles  []string // of the nodes 1, 2, ...
	wipes  bool     // one node may lose its disk
	rots   bool     // the medium of one node lies
	harms  bool     // the medium of one controller lies about its metadata log
	nearer bool     // consumers may read from followers
	// removes: brokers are unregistered, and come back.
	removes bool
	// tune changes the settings of a life, if it is not nil.
	tune func(life uint64, c *config.Broker)
	// session is how long the controller counts on a broker that it does not hear of. All nodes have to agree on it.
	session string
}

// Roles that a node can have.
const (
	bothRoles      = "broker,controller"
	brokerRole     = "broker"
	controllerRole = "controller"
)

func newClusterPlan(o Options) clusterPlan {
	p := clusterPlan{plan: newPlan(o)}
	r := sim.NewStream(o.Seed, domainCluster, 0)
	p.roles = []string{bothRoles, bothRoles, bothRoles}
	if r.Below(4) == 0 {
		p.roles = pick(&r,
			[]string{bothRoles, bothRoles, bothRoles, bothRoles, bothRoles},
			[]string{bothRoles, bothRoles, bothRoles, brokerRole, brokerRole},
			[]string{controllerRole, bothRoles, bothRoles, brokerRole, brokerRole},
			[]string{controllerRole, controllerRole, controllerRole, brokerRole, brokerRole, brokerRole},
		)
	}
	p.session = pick(&r, "1000", "2000", "3000")
	p.wipes, p.nearer = r.Below(3) == 0, r.Below(2) == 0
	if x := sim.NewStream(o.Seed, domainCluster, 1); !p.wipes && x.Below(4) == 0 {
		p.rots = true
		p.admin.Policies = false
	}
	x := sim.NewStream(o.Seed, domainCluster, 2)
	p.removes = x.Below(4) == 0
	if x := sim.NewStream(o.Seed, domainCluster, 3); !p.wipes && !p.rots {
		p.harms = x.Below(3) == 0
	}
	a := &p.admin
	a.Elect, a.Reassign, a.MinISR = r.Below(2) == 0, r.Below(3) == 0, r.Below(4) == 0 && !p.wipes && !p.rots
	for i := range a.Topics {
		p.replicate(&r, &a.Topics[i])
	}
	if a.Passing.Name != "" {
		p.replicate(&r, &a.Passing)
	}
	for i := range p.consumers {
		if p.nearer {
			p.consumers[i].Rack = fmt.Sprintf("r%d", r.Below(2))
		}
	}
	return p
}

// replicate draws how many copies a topic has. Where a node may lose its disk there are enough of everything (D1).
func (p *clusterPlan) replicate(r *sim.Stream, t *traffic.TopicOptions) {
	t.Replicas = pick(r, int16(1), 2, 3, 3, 3)
	minimum := pick(r, 1, 1, 2, 2, 3)
	if p.wipes || p.rots {
		t.Replicas, minimum = 3, 2
	}
	minimum = min(minimum, int(t.Replicas))
	t.Settings.Replicas, t.Settings.MinISR = int(t.Replicas), minimum
	t.Configs = maps.Clone(t.Configs)
	t.Configs["min.insync.replicas"] = strconv.Itoa(minimum)
	if p.rots {
		t.Settings.Async = false
		for _, key := range []string{"lignum.flush.policy", "flush.messages", "flush.ms"} {
			delete(t.Configs, key)
		}
	}
}

// settings are the configuration of a node in one life.
func (p *clusterPlan) settings(id int, life uint64) *config.Broker {
	actor := uint64(id) << 32
	r := sim.NewStream(p.seed, domainSettings, actor|life)
	if first := sim.NewStream(p.seed, domainSettings, actor); first.Below(2) == 0 {
		r = first // this operator leaves the settings alone
	}
	var voters []string
	for i, role := range p.roles {
		if role != brokerRole {
			voters = append(voters, fmt.Sprintf("%d@n%d:9093", i+1, i+1))
		}
	}
	values := map[string]string{
		"node.id": strconv.Itoa(id), "log.dirs": "/data", "process.roles": p.roles[id-1],
		"controller.quorum.voters":                        strings.Join(voters, ","),
		"broker.rack":                                     fmt.Sprintf("r%d", id%2),
		"broker.session.timeout.ms":                       p.session,
		"broker.heartbeat.interval.ms":                    pick(&r, "100", "200", "500"),
		"controller.quorum.election.timeout.ms":           pick(&r, "200", "500", "1000"),
		"controller.quorum.election.backoff.max.ms":       pick(&r, "100", "500"),
		"controller.quorum.fetch.timeout.ms":              pick(&r, "500", "1000", "2000"),
		"replica.lag.time.max.ms":                         pick(&r, "1000", "2000", "5000"),
		"replica.fetch.wait.max.ms":                       pick(&r, "100", "500"),
		"replica.fetch.backoff.ms":                        pick(&r, "50", "300"),
		"replica.fetch.max.bytes":                         pick(&r, "300", "5000", "1048576"),
		"num.replica.fetchers":                            pick(&r, "1", "2"),
		"replica.socket.timeout.ms":                       pick(&r, "1000", "3000"),
		"leader.imbalance.check.interval.seconds":         pick(&r, "1", "5"),
		"auto.leader.rebalance.enable":                    pick(&r, "true", "false"),
		"log.flush.offset.checkpoint.interval.ms":         pick(&r, "300", "3000", "60000"),
		"replica.high.watermark.checkpoint.interval.ms":   pick(&r, "500", "5000"),
		"log.retention.check.interval.ms":                 pick(&r, "300", "3000"),
		"metadata.log.max.record.bytes.between.snapshots": pick(&r, "1000", "10000", "20971520"),
		"metadata.log.segment.bytes":                      pick(&r, "1000", "10000", "1073741824"),
		"lignum.io.lanes":                                 pick(&r, "1", "3", "8"),
		"max.incremental.fetch.session.cache.slots":       pick(&r, "1", "2", "1000"),
	}
	if p.nearer {
		values["replica.selector.class"] = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
	}
	listen(values, id, p.roles[id-1])
	c, err := config.Parse(values)
	if err != nil {
		panic(err) // the table above is wrong
	}
	// Below what a configuration file may say.
	c.JournalFileBytes = pick(&r, int64(16<<10), 64<<10, 1<<20)
	c.JournalFiles = pick(&r, int32(2), 3, 4)
	c.ChunkCacheBytes = pick(&r, int64(64<<10), 1<<20, 32<<20)
	if p.tune != nil {
		p.tune(actor|life, c)
	}
	return c
}

// listen gives a node the listeners of its roles.
func listen(values map[string]string, id int, role string) {
	clients, quorum := fmt.Sprintf("PLAINTEXT://n%d:9092", id), fmt.Sprintf("CONTROLLER://n%d:9093", id)
	switch role {
	case brokerRole:
		values["listeners"] = clients
	case controllerRole:
		values["listeners"], values["controller.listener.names"] = quorum, "CONTROLLER"
	default:
		values["listeners"], values["controller.listener.names"] = clients+","+quorum, "CONTROLLER"
		values["advertised.listeners"] = clients
	}
}
