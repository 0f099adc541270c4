package broker

import (
	"strconv"
	"strings"
	"time"

	"lignum/core/env"
	"lignum/core/partition"
	"lignum/core/peer"
	"lignum/core/record"
	"lignum/core/replication"
	"lignum/core/wire"
)

// newReplication makes what keeps this broker's followers and in-sync sets going. A broker that is a cluster by itself has none of it.
func (b *Broker) newReplication() {
	millis := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	lag := func() time.Duration { return millis(b.config.ReplicaLagMillis) }
	b.replication = replication.New(replication.Ports{
		Clock: b.Clock, Timers: &b.timers, Log: b.Log, Fetch: b.fetchFrom, Control: b.askController, Renew: b.renew,
		BrokerEpoch: func() int64 { return int64(b.member.epoch) },
		Partitions:  b.partitions.All,
	}, replication.Options{
		Node: b.node, ClusterID: b.store.Meta().ClusterID, Directory: b.store.Meta().Directory, Fetchers: int(b.config.ReplicaFetchers),
		MinBytes: b.config.ReplicaFetchMinBytes, MaxBytes: b.config.ReplicaFetchMaxBytes, ResponseMaxBytes: b.config.ReplicaFetchResponseBytes,
		Wait: millis(b.config.ReplicaFetchWaitMillis), Backoff: millis(b.config.ReplicaFetchBackoffMillis),
		Timeout: millis(b.config.ReplicaSocketTimeoutMillis), Lag: lag,
	})
	b.cluster = &partition.Cluster{
		Clock: b.Clock, AlterISR: b.replication.AlterISR, Fetchable: b.replication.Fetchable, Damaged: b.replication.Damaged, Lag: lag,
		Session: func() time.Duration { return millis(b.config.SessionTimeoutMillis) },
		BrokerEpoch: func(id record.NodeID) int64 {
			if other := b.image.Broker(id); other != nil {
				return int64(other.Epoch)
			}
			return -1
		},
		Active: b.image.Active,
		Leased: b.leased, Resigned: func() bool { return b.member.resigned },
	}
	b.replication.Start()
}

// fetchFrom sends a follower's fetch to its leader, on the listener that brokers use among themselves.
func (b *Broker) fetchFrom(leader record.NodeID, fetcher int, r *wire.FetchRequest, timeout time.Duration, done func([]byte, error)) bool {
	other := b.image.Broker(leader)
	if other == nil {
		return false
	}
	e, ok := other.Endpoint(b.config.InterBrokerListener)
	if !ok {
		return false
	}
	body := func(dst []byte) []byte { return r.AppendTo(dst, replication.FetchVersion) }
	link := b.peers.Link(leader, peer.Fetch+peer.Purpose(fetcher), hostPort(e.Host, e.Port))
	link.Call(wire.Fetch, replication.FetchVersion, body, timeout, func(reply peer.Reply, err error) { done(reply.Body, err) })
	return true
}

// renew sets the damaged log of a replica aside and gives it an empty one. The cluster knows that this replica has lost what it held.
func (b *Broker) renew(p *partition.Partition) {
	b.store.SetAside(p.ID, func(to string, err error) {
		t := b.image.TopicByID(p.ID.Topic)
		if t == nil || b.partitions.Get(p.ID) != p {
			return
		}
		if err != nil {
			b.Log(env.Error, "a damaged log could not be set aside", "topic", p.Topic, "partition", p.ID.Index, "error", err)
			return
		}
		b.Log(env.Warn, "a damaged log was set aside", "topic", p.Topic, "partition", p.ID.Index, "now", to)
		b.open(p, b.topicConfig(t))
	})
}

func hostPort(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}
