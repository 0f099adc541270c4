package scenarios

import (
	"fmt"
	"strconv"
	"time"

	"lignum/core/config"
	"lignum/core/record"
	"lignum/scenarios/ledger"
	"lignum/scenarios/traffic"
	"lignum/sim"
)

// Domains of the draws of this package.
const (
	domainPlan = sim.DomainUser + 1 + iota
	domainSettings
	domainStrikes
	domainCluster
)

// plan is what a seed wants to happen: who takes part, and how the world is.
type plan struct {
	seed      uint64
	length    time.Duration
	network   sim.NetworkOptions
	jobs      sim.JobOptions
	sector    int64
	admin     traffic.AdminOptions
	producers []producerPlan
	consumers []traffic.ConsumerOptions
}

type producerPlan struct {
	traffic.ProducerOptions
	idempotent bool
}

// pick chooses one of the options.
func pick[T any](r *sim.Stream, options ...T) T { return options[r.Below(int64(len(options)))] }

func newPlan(o Options) plan {
	r := sim.NewStream(o.Seed, domainPlan, 0)
	p := plan{seed: o.Seed, length: o.Length}
	if p.length == 0 {
		p.length = usualLength
	}
	p.network = sim.NetworkOptions{
		SplitRate: pick(&r, int64(0), 20_000, 200_000), BreakRate: pick(&r, int64(0), 0, 1_000, 10_000), Unnoticed: 3 * time.Second,
	}
	if r.Below(4) == 0 {
		p.network.Latency = [2]time.Duration{time.Millisecond, 20 * time.Millisecond}
	}
	p.jobs = sim.JobOptions{Speed: pick(&r, int64(100), 100, 20, 500), StuckRate: pick(&r, int64(0), 0, 2_000), Stuck: 2 * time.Second}
	p.sector = pick(&r, int64(512), 4096)
	p.planTopics(&r)
	p.planProducers(&r)
	p.planConsumers(&r)
	return p
}

func (p *plan) planTopics(r *sim.Stream) {
	a := &p.admin
	a.Name, a.Actor, a.Pace = "admin", 1, pick(r, time.Second, 3*time.Second)
	a.DeleteRecords, a.Policies, a.Grow = r.Below(2) == 0, r.Below(4) == 0, r.Below(3) == 0
	for i := range 1 + r.Below(3) {
		a.Topics = append(a.Topics, planTopic(r, fmt.Sprintf("t%d", i)))
	}
	if r.Below(3) == 0 {
		a.Passing = planTopic(r, "passing")
		a.Passing.Partitions, a.Again = 1, r.Below(2) == 0
	}
}

// planTopic draws a topic. Its constants are tiny, so that everything that happens once in a gigabyte happens all the time.
func planTopic(r *sim.Stream, name string) traffic.TopicOptions {
	o := traffic.TopicOptions{
		Name: name, Partitions: 1 + int32(r.Below(3)),
		Settings: ledger.Settings{Async: r.Below(4) == 0, RetentionBytes: -1, RetentionMs: -1, SegmentBytes: pick(r, 4000, 4000, 8000, 100000)},
		Configs: map[string]string{
			"index.interval.bytes": pick(r, "0", "200", "4096"),
			"segment.index.bytes":  pick(r, "32", "1024", "10485760"),
			"file.delete.delay.ms": pick(r, "0", "1000", "60000"),
			"retention.ms":         "-1",
		},
	}
	o.Configs["segment.bytes"] = strconv.Itoa(o.Settings.SegmentBytes)
	if o.Settings.Async {
		o.Configs["lignum.flush.policy"] = "async"
		o.Configs["flush.messages"] = pick(r, "1", "5", "1000000")
		o.Configs["flush.ms"] = pick(r, "100", "5000", "9223372036854775807")
	}
	if r.Below(5) == 0 {
		o.Configs["compression.type"] = pick(r, "uncompressed", "gzip", "snappy", "lz4", "zstd")
		o.Settings.Recompressed = true
	}
	if r.Below(3) == 0 {
		o.Configs["segment.ms"] = pick(r, "500", "5000")
	}
	if r.Below(4) == 0 {
		o.Settings.RetentionBytes = pick(r, int64(3000), 20000, 0)
		o.Configs["retention.bytes"] = strconv.FormatInt(o.Settings.RetentionBytes, 10)
	}
	if r.Below(8) == 0 {
		o.Settings.RetentionMs = pick(r, int64(2000), 20000, 200)
		o.Configs["retention.ms"] = strconv.FormatInt(o.Settings.RetentionMs, 10)
	}
	return o
}

func (p *plan) planProducers(r *sim.Stream) {
	codecs := []record.Codec{record.None, record.None, record.Gzip, record.Snappy, record.LZ4, record.Zstd}
	for i := range 3 + r.Below(3) {
		o := producerPlan{idempotent: i == 0 || r.Below(3) == 0}
		o.Name, o.Actor = fmt.Sprintf("p%d", i), uint64(i)
		o.Acks = pick(r, int16(-1), -1, 1, 0)
		if o.idempotent {
			o.Acks = pick(r, int16(-1), -1, -1, 1)
			o.Bumps = r.Below(2) == 0
		}
		o.Retries = int(r.Below(4))
		o.Pace = pick(r, 100*time.Millisecond, 300*time.Millisecond, time.Second)
		o.Burst = pick(r, int64(1), 4, 8)
		o.InFlight = pick(r, 1, 5, 12)
		o.Codec = codecs[r.Below(int64(len(codecs)))]
		o.Timeout = pick(r, time.Second, 5*time.Second)
		o.Biggest = pick(r, int64(16), 200, 1500)
		p.producers = append(p.producers, o)
	}
}

func (p *plan) planConsumers(r *sim.Stream) {
	for i := range 2 + r.Below(2) {
		p.consumers = append(p.consumers, traffic.ConsumerOptions{
			Name: fmt.Sprintf("c%d", i), Actor: uint64(10 + i),
			Pace: pick(r, 100*time.Millisecond, 400*time.Millisecond), Sessions: r.Below(2) == 0, Committed: r.Below(3) == 0,
			MinBytes: pick(r, int32(0), 1, 5000), MaxBytes: pick(r, int32(1), 2000, 1<<20), PartBytes: pick(r, int32(1), 500, 1<<20),
			Wait: pick(r, 0, 200*time.Millisecond, time.Second), ReRead: pick(r, int64(0), 50, 200),
		})
	}
}

// settings are the broker's configuration in one life.
func (p *plan) settings(life uint64) *config.Broker {
	r := sim.NewStream(p.seed, domainSettings, life)
	if first := sim.NewStream(p.seed, domainSettings, 0); first.Below(2) == 0 {
		r = first // this operator leaves the settings alone
	}
	c, err := config.Parse(map[string]string{
		"node.id": "1", "log.dirs": "/data",
		"listeners": "PLAINTEXT://10.0.0.1:9092", "advertised.listeners": "PLAINTEXT://10.0.0.1:9092",
		"log.flush.offset.checkpoint.interval.ms":         pick(&r, "300", "3000", "60000"),
		"replica.high.watermark.checkpoint.interval.ms":   pick(&r, "500", "5000"),
		"log.retention.check.interval.ms":                 pick(&r, "300", "3000"),
		"metadata.log.max.record.bytes.between.snapshots": pick(&r, "300", "3000", "20971520"),
		"metadata.log.segment.bytes":                      pick(&r, "400", "4000", "1073741824"),
		"lignum.io.lanes":                                 pick(&r, "1", "3", "8"),
		"max.incremental.fetch.session.cache.slots":       pick(&r, "1", "2", "1000"),
		"producer.id.expiration.check.interval.ms":        pick(&r, "1000", "600000"),
	})
	if err != nil {
		panic(err) // the table above is wrong
	}
	// Below what a configuration file may say.
	c.JournalFileBytes = pick(&r, int64(16<<10), 64<<10, 1<<20)
	c.JournalFiles = pick(&r, int32(2), 3, 4)
	c.ChunkCacheBytes = pick(&r, int64(64<<10), 1<<20, 32<<20)
	return c
}
