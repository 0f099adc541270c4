package traffic

import (
	"strconv"

	"lignum/core/record"
	"lignum/sim"
)

// payload makes batches. No two of a run are alike, for every record says who wrote it and how many he wrote before.
type payload struct {
	name    string
	rand    sim.Stream
	builder *record.Builder
	written uint64
	value   []byte
	biggest int64
}

func newPayload(s *Stage, name string, actor uint64, codec record.Codec, biggest int64) *payload {
	return &payload{name: name, rand: s.World.Stream(domainPayload, actor), builder: record.NewBuilder(codec), biggest: biggest}
}

// enough is how large a batch gets before it takes no more records: two fit into the smallest segment.
const enough = 1500

// tooMuch is more than the smallest segment takes: such a batch is refused there.
const tooMuch = 5000

// batch makes a batch of some records.
func (p *payload) batch(wall int64, producer record.ProducerID, epoch record.ProducerEpoch, sequence int32) record.Batch {
	p.builder.Reset()
	p.builder.SetProducer(producer, epoch, sequence)
	n := 1 + p.rand.Below(4)
	limit := enough
	switch p.rand.Below(64) {
	case 0, 1, 2, 3:
		n += p.rand.Below(30)
	case 4:
		n, limit = 100, tooMuch
	}
	for i := int64(0); i < n && p.builder.Size() < limit; i++ {
		p.written++
		p.value = append(p.value[:0], p.name...)
		p.value = append(p.value, '-')
		p.value = strconv.AppendUint(p.value, p.written, 10)
		for range p.rand.Below(p.biggest / 8) {
			p.value = append(p.value, byte(p.rand.Uint64()), byte(i), 0, 0, 1, 2, 3, byte(p.written))
		}
		r := record.Record{Timestamp: wall + i, Value: p.value}
		if p.rand.Below(2) == 0 {
			r.Key = p.value[:min(len(p.value), 5)]
		}
		p.builder.Append(r)
	}
	return p.builder.Build()
}
