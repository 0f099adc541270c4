package partition

import (
	"errors"
	"fmt"

	"lignum/core/commitlog"
	"lignum/core/commitlog/producers"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/wire"
)

// Acks is how safe a record has to be before its producer is answered.
type Acks int16

// The values of acks.
const (
	AcksNone   Acks = 0  // no answer; for the broker itself, which bounds what is under way, as AcksLeader
	AcksLeader Acks = 1  // in the leader's log, as safe as the page cache
	AcksAll    Acks = -1 // on the whole ISR
)

// Refusal is why a batch was not appended. The batch will never become visible (guarantee D2).
type Refusal struct {
	Code    wire.ErrorCode
	Message string // for people; empty if the code says it all
	Record  int32  // the record at fault, counted from 0; -1 if it is the batch
}

// Appended is where a batch went.
type Appended struct {
	First      record.Offset
	AppendTime env.Millis // -1 unless the topic stamps its records
	Start      record.Offset
}

// Produce appends one batch that the edge has verified, as leader. If it is appended, to is settled later, or at once if the batch is as safe already: after a retry, say.
// It may be nil.
//
// The batch may be changed in place; its memory is not used after the call.
func (p *Partition) Produce(b record.Batch, facts record.Facts, acks Acks, wall env.Millis, to Appender, index int) (Appended, *Refusal) {
	if r := p.admit(b, facts, acks, wall); r != nil {
		return Appended{}, r
	}
	verdict, err := p.log.Producers().Check(b)
	if err != nil {
		return Appended{}, &Refusal{Code: producerCode(err), Message: err.Error(), Record: -1}
	}
	done := Appended{AppendTime: -1, Start: p.log.ReadableStart()}
	var end record.Offset
	if verdict.Duplicate {
		done.First, end = verdict.FirstOffset, verdict.LastOffset+1
		if p.settings.TimestampType == config.LogAppendTime {
			done.AppendTime = env.Millis(verdict.Timestamp)
		}
	} else {
		if p.settings.TimestampType == config.LogAppendTime {
			b.SetLogAppendTime(int64(wall))
			done.AppendTime = wall
		}
		done.First, err = p.log.Append(b, commitlog.AppendInfo{Epoch: p.state.LeaderEpoch, Wall: wall})
		if err != nil {
			return Appended{}, &Refusal{Code: appendCode(err), Message: err.Error(), Record: -1}
		}
		end = p.log.EndOffset()
		p.ends.wake()
	}
	p.await(end, acks, to, index)
	return done, nil
}

// Codec is the codec that the topic has for itself; false if it keeps batches as producers send them.
func (p *Partition) Codec() (record.Codec, bool) {
	switch p.settings.Compression {
	case config.Uncompressed:
		return record.None, true
	case config.Gzip:
		return record.Gzip, true
	case config.Snappy:
		return record.Snappy, true
	case config.LZ4:
		return record.LZ4, true
	case config.Zstd:
		return record.Zstd, true
	}
	return record.None, false
}

// await settles now or later, if anybody waits.
func (p *Partition) await(end record.Offset, acks Acks, to Appender, index int) {
	if to == nil {
		return
	}
	wait := pendingProduce{end: end, to: to, index: index}
	switch acks {
	case AcksNone, AcksLeader:
		p.produces.one.push(wait)
		p.produces.written(p.log.WrittenEnd())
	default:
		p.produces.all.push(wait)
		p.produces.committed(p.log.HighWatermark())
	}
}

// admit checks what depends on the topic and on this replica's role.
func (p *Partition) admit(b record.Batch, f record.Facts, acks Acks, wall env.Millis) *Refusal {
	if code := p.appendable(); code != wire.None {
		return &Refusal{Code: code, Record: -1}
	}
	t := &p.settings
	switch {
	case acks == AcksAll && !p.enough():
		return refuse(wire.NotEnoughReplicas, "%d of the %d in-sync replicas that min.insync.replicas asks for", len(p.state.ISR), p.minInSync())
	case b.Size() > int(t.MaxMessageBytes):
		return refuse(wire.MessageTooLarge, "batch of %d bytes, max.message.bytes is %d", b.Size(), t.MaxMessageBytes)
	case f.NullKeys && t.CleanupCompact:
		r := refuse(wire.InvalidRecord, "record %d has no key, which a compacted topic needs", f.FirstNullKey)
		r.Record = f.FirstNullKey
		return r
	case t.TimestampType == config.LogAppendTime || f.MaxTimestamp == record.NoTimestamp:
	case f.MaxTimestamp-int64(wall) > t.TimestampAfterMaxMillis:
		return refuse(wire.InvalidTimestamp, "timestamp %d is further ahead of the broker's clock than message.timestamp.after.max.ms=%d", f.MaxTimestamp, t.TimestampAfterMaxMillis)
	case int64(wall)-f.MinTimestamp > t.TimestampBeforeMaxMillis:
		return refuse(wire.InvalidTimestamp, "timestamp %d is further behind the broker's clock than message.timestamp.before.max.ms=%d", f.MinTimestamp, t.TimestampBeforeMaxMillis)
	}
	return nil
}

func refuse(code wire.ErrorCode, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...), Record: -1}
}

func appendCode(err error) wire.ErrorCode {
	switch {
	case errors.Is(err, commitlog.ErrTooLarge):
		return wire.RecordListTooLarge
	case errors.Is(err, commitlog.ErrRebuilding):
		return wire.NotLeaderOrFollower // retriable: it will be over soon
	}
	return wire.KafkaStorageError
}

func producerCode(err error) wire.ErrorCode {
	switch {
	case errors.Is(err, producers.ErrOutOfOrderSequence):
		return wire.OutOfOrderSequenceNumber
	case errors.Is(err, producers.ErrInvalidProducerEpoch):
		return wire.InvalidProducerEpoch
	case errors.Is(err, producers.ErrUnknownProducer):
		return wire.UnknownProducerID
	case errors.Is(err, producers.ErrInvalidTransaction):
		return wire.InvalidTxnState
	case errors.Is(err, producers.ErrCoordinatorFenced):
		return wire.TransactionCoordinatorFenced
	}
	return wire.UnknownServerError
}
