package partition

import (
	"errors"

	"lignum/core/commitlog"
	"lignum/core/commitlog/producers"
	"lignum/core/record"
)

// ReadRequest asks for batches.
type ReadRequest = commitlog.ReadRequest

// Records are what a read has found, in memory or in a file. Whoever gets them gives the references back.
type Records = commitlog.ReadResult

// Producer is what a partition remembers of an idempotent producer.
type Producer = producers.Info

// ColdRead is a read that has to go to the disk.
type ColdRead struct {
	log *commitlog.Log
	job *commitlog.ReadJob
}

// Run does the work; jobs only.
func (c *ColdRead) Run() { c.job.Run() }

// Finish is called on the loop after Run, always. Like Read it returns records, or another read where there were none.
func (c *ColdRead) Finish() (Records, *ColdRead, error) {
	found, job, err := c.log.Finish(c.job)
	return found, coldRead(c.log, job), err
}

// Read finds batches: at once if they are in memory, otherwise by a ColdRead. The error is commitlog's ErrOutOfRange (see
// OutOfRange) or one of the disk.
func (p *Partition) Read(r ReadRequest) (Records, *ColdRead, error) {
	found, job, err := p.log.Read(r)
	return found, coldRead(p.log.Log, job), err
}

func coldRead(log *commitlog.Log, job *commitlog.ReadJob) *ColdRead {
	if job == nil {
		return nil
	}
	return &ColdRead{log, job}
}

// OutOfRange reports whether a read failed because the offset is not, or no longer, in the log.
func OutOfRange(err error) bool { return errors.Is(err, commitlog.ErrOutOfRange) }

// EpochEnd is the greatest leader epoch of the log that is not above e, and where it ends (KIP-279); NoEpoch if there is none.
func (p *Partition) EpochEnd(e record.Epoch) (record.Epoch, record.Offset) { return p.log.EpochEnd(e) }

// EpochAt is the leader epoch in which the record at an offset was written, for the offset that comes next the present one.
func (p *Partition) EpochAt(o record.Offset) record.Epoch { return p.log.EpochAt(o) }

// Producers lists the idempotent producers that the partition remembers, by id.
func (p *Partition) Producers() []Producer { return p.log.Producers().All() }

// Size is the number of bytes in the log; 0 if there is none.
func (p *Partition) Size() int64 {
	if p.log == nil {
		return 0
	}
	return p.log.Size()
}

// At is a record that was found by its time.
type At = commitlog.TimeResult

// TimeRead is a look-up by time that has to go to the disk.
type TimeRead struct {
	partition *Partition
	log       *commitlog.Log
	job       *commitlog.TimeJob
}

// Run does the work; jobs only.
func (t *TimeRead) Run() { t.job.Run() }

// Finish is called on the loop after Run, always. It looks at whole batches, so it may find that the log is damaged.
func (t *TimeRead) Finish() (At, *TimeRead, error) {
	found, job, err := t.log.FinishTime(t.job)
	if p := t.partition; err != nil && p.log != nil && p.log.Log == t.log {
		p.ReadFailed(err)
	}
	return found, t.partition.timeRead(t.log, job), err
}

// OffsetForTime finds the first record below upTo whose timestamp is not below the given one.
func (p *Partition) OffsetForTime(timestamp int64, upTo record.Offset) (At, *TimeRead, error) {
	found, job, err := p.log.OffsetForTime(timestamp, upTo)
	return found, p.timeRead(p.log.Log, job), err
}

// MaxTimestamp finds the first record below upTo with the greatest timestamp.
func (p *Partition) MaxTimestamp(upTo record.Offset) (At, *TimeRead, error) {
	found, job, err := p.log.MaxTimestamp(upTo)
	return found, p.timeRead(p.log.Log, job), err
}

func (p *Partition) timeRead(log *commitlog.Log, job *commitlog.TimeJob) *TimeRead {
	if job == nil {
		return nil
	}
	return &TimeRead{p, log, job}
}
