package api

import (
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/wire"
)

// listOffsetsCall counts the partitions that are still being looked up on disk.
type listOffsetsCall struct {
	call     *Call
	response wire.ListOffsetsResponse
	waiting  int
}

// listOffsets finds offsets by time. API key 2, versions 1 to 10.
//
//	v2   isolation level
//	v4   leader epochs
//	v5   a new leader says so if it does not know the end of the partition yet (KIP-207); before it is as if there were no leader
//	v6   flexible encoding
//	v7   the offset of the greatest timestamp (-3)
//	v8   the first local offset (-4); v9 the last tiered one (-5): there is no tiered storage, so -5 finds none
//
// It replies once every partition is known; timestamps may need a look at the disk.
func (h *Handlers) listOffsets(c *Call, r *wire.ListOffsetsRequest) {
	l := &listOffsetsCall{call: c, waiting: 1}
	l.response.Topics = make([]wire.ListOffsetsTopicResult, len(r.Topics))
	for i := range r.Topics {
		t := &r.Topics[i]
		to := &l.response.Topics[i]
		to.Name = h.Partitions.NameOf(t.Name)
		to.Partitions = make([]wire.ListOffsetsResult, len(t.Partitions))
		for j := range t.Partitions {
			h.listOne(l, t.Name, &t.Partitions[j], r.IsolationLevel, &to.Partitions[j])
		}
	}
	c.dropFrame()
	l.done()
}

func (l *listOffsetsCall) done() {
	if l.waiting--; l.waiting == 0 {
		l.call.Answer(&l.response)
	}
}

func (h *Handlers) listOne(l *listOffsetsCall, name []byte, ask *wire.ListOffsetsPartition, isolation int8, out *wire.ListOffsetsResult) {
	p, code := h.byName(name, ask.Index)
	if code == wire.None {
		code = p.Available()
	}
	if code == wire.None {
		code = p.CheckEpoch(record.Epoch(ask.LeaderEpoch))
	}
	*out = wire.NewListOffsetsResult(ask.Index, code)
	if code != wire.None {
		return
	}
	upTo := p.HighWatermark()
	if isolation == readCommitted {
		upTo = p.LastStable()
	}
	switch {
	case (ask.Timestamp == wire.LatestTimestamp || ask.Timestamp == wire.MaxTimestamp) && !p.Settled():
		out.Error = l.unsettled()
	case ask.Timestamp == wire.LatestTimestamp:
		h.found(p, upTo, out)
	case ask.Timestamp == wire.EarliestTimestamp, ask.Timestamp == wire.EarliestLocalTimestamp:
		h.found(p, p.StartOffset(), out)
	case ask.Timestamp == wire.LatestTieredTimestamp:
	case ask.Timestamp == wire.MaxTimestamp, ask.Timestamp >= 0:
		h.lookUp(l, p, ask.Timestamp, upTo, out)
	default:
		out.Error = wire.UnsupportedVersion
	}
}

// unsettled is the error of a leader whose high watermark may lie below that of the leader before (H4).
func (l *listOffsetsCall) unsettled() wire.ErrorCode {
	if l.call.Header.Version < 5 {
		return wire.LeaderNotAvailable
	}
	return wire.OffsetNotAvailable
}

func (h *Handlers) found(p *partition.Partition, o record.Offset, out *wire.ListOffsetsResult) {
	out.Offset = int64(o)
	out.LeaderEpoch = int32(p.EpochAt(o))
}

// lookUp finds the first record at or after a timestamp, or the first one with the greatest.
func (h *Handlers) lookUp(l *listOffsetsCall, p *partition.Partition, timestamp int64, upTo record.Offset, out *wire.ListOffsetsResult) {
	l.waiting++
	if timestamp == wire.MaxTimestamp {
		at, read, err := p.MaxTimestamp(upTo)
		h.located(l, p, out, at, read, err)
		return
	}
	at, read, err := p.OffsetForTime(timestamp, upTo)
	h.located(l, p, out, at, read, err)
}

// located notes what was found, or goes on on the disk.
func (h *Handlers) located(l *listOffsetsCall, p *partition.Partition, out *wire.ListOffsetsResult, at partition.At, read *partition.TimeRead, err error) {
	if read != nil {
		h.Jobs.Start(readLane(out.Index), func() func() {
			read.Run()
			return func() {
				at, next, err := read.Finish()
				h.located(l, p, out, at, next, err)
			}
		})
		return
	}
	switch {
	case err != nil:
		out.Error = wire.KafkaStorageError
	case at.Found:
		out.Offset, out.Timestamp, out.LeaderEpoch = int64(at.Offset), at.Timestamp, int32(at.Epoch)
	case !p.Settled():
		out.Error = l.unsettled()
	}
	l.done()
}
