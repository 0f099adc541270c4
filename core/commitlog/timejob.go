package commitlog

import (
	"errors"

	"lignum/core/record"
)

// TimeJob looks for a record by its time in the files of some segments.
type TimeJob struct {
	query      timeQuery
	places     []timePlace
	generation uint64
	result     TimeResult
	err        error
}

// timePlace is one segment to look in: its file, and behind it what is still in memory.
type timePlace struct {
	view     view
	tail     ReadResult
	next     record.Offset
	maxTime  int64
	maxLast  record.Offset
	badIndex bool
}

// Run does the work. Jobs only.
func (j *TimeJob) Run() {
	for i := range j.places {
		p := &j.places[i]
		if j.err == nil && p.view.size > 0 {
			j.err = p.view.open()
		}
		if j.err == nil {
			j.err = j.look(p)
		}
		p.view.done()
	}
}

func (j *TimeJob) look(p *timePlace) error {
	if j.query.max {
		return j.lookMax(p)
	}
	return j.lookAt(p)
}

// lookAt finds the first record that is not before the time.
func (j *TimeJob) lookAt(p *timePlace) error {
	start, err := p.startAt(j.query)
	if err != nil {
		return err
	}
	return p.each(start, func(h header, load func() (record.Batch, error)) (bool, error) {
		if h.BaseOffset() >= j.query.upTo {
			return false, nil
		}
		if h.MaxTimestamp() < j.query.at || h.LastOffset() < j.query.from {
			return true, nil
		}
		b, err := load()
		if err != nil {
			return false, err
		}
		return !j.result.Found, j.pick(b, j.query.at)
	})
}

// startAt is where to start to look for a time: behind the batches that the time index knows to be before it.
func (p *timePlace) startAt(q timeQuery) (int64, error) {
	v := &p.view
	if v.size == 0 {
		return 0, nil
	}
	o := q.from
	var e []byte
	if v.times > 0 {
		var err error
		if v.files.times, err = v.table(timesSuffix); err != nil {
			return 0, err
		}
		e, err = floor(v.files.times, v.times, timesEntry, make([]byte, searchBytes), func(e []byte) bool {
			t, _ := timeAt(e, v.base)
			return t < q.at
		})
		p.badIndex = err != nil
	}
	if e != nil {
		_, last := timeAt(e, v.base)
		o = max(o, last)
	}
	return p.seek(o)
}

// seek is where the batch that reaches an offset starts in the file; the file's end if it is not there.
func (p *timePlace) seek(o record.Offset) (int64, error) {
	if o <= p.view.base || p.view.size == 0 {
		return 0, nil
	}
	pos, n, err := p.view.seek(o, make([]byte, searchBytes), &p.badIndex)
	if n == 0 {
		pos = p.view.size
	}
	return pos, err
}

// lookMax finds the greatest timestamp of a place and keeps it if it is greater than what was found before.
func (j *TimeJob) lookMax(p *timePlace) error {
	q := j.query
	best, last := int64(record.NoTimestamp), record.NoOffset
	if !p.view.loose && p.maxLast >= q.from && p.maxLast < q.upTo {
		best, last = p.maxTime, p.maxLast
	} else {
		err := p.each(0, func(h header, _ func() (record.Batch, error)) (bool, error) {
			if h.LastOffset() >= q.from && h.NextOffset() <= q.upTo && h.MaxTimestamp() > best {
				best, last = h.MaxTimestamp(), h.LastOffset()
			}
			return h.NextOffset() < q.upTo, nil
		})
		if err != nil {
			return err
		}
	}
	// Among equals the first segment wins; segments that had to be walked come before those that had not.
	if r := j.result; best < 0 || (r.Found && (best < r.Timestamp || (best == r.Timestamp && last > r.Offset))) {
		return nil
	}
	start, err := p.seek(last)
	if err != nil {
		return err
	}
	return p.each(start, func(h header, load func() (record.Batch, error)) (bool, error) {
		if h.LastOffset() < last {
			return true, nil
		}
		b, err := load()
		if err != nil {
			return false, err
		}
		j.result.Found = false
		return false, j.pick(b, best)
	})
}

// pick keeps the first record of the batch that is not before the time nor below the range.
func (j *TimeJob) pick(b record.Batch, at int64) error {
	return b.Each(record.Limits{}, func(r record.Record) error {
		o := b.BaseOffset() + record.Offset(r.OffsetDelta)
		if r.Timestamp < at || o < j.query.from {
			return nil
		}
		j.result = TimeResult{Found: true, Offset: o, Timestamp: r.Timestamp, Epoch: b.LeaderEpoch()}
		return record.ErrStop
	})
}

// errStop ends a walk.
var errStop = errors.New("stop")

// each visits the batches from a position in the file on, and then those in memory.
func (p *timePlace) each(start int64, visit func(h header, load func() (record.Batch, error)) (bool, error)) error {
	err := walkFile(p.view.files.log, start, p.view.size, func(h header, at int64) (bool, error) {
		if h.NextOffset() > p.next {
			return false, nil // what a truncation is about to cut
		}
		more, err := visit(h, func() (record.Batch, error) { return readBatch(p.view.files.log, h, at) })
		if err == nil && !more {
			err = errStop
		}
		return more, err
	})
	if err == errStop {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range p.tail.n {
		for rest := p.tail.Span(i).Bytes; len(rest) > 0; {
			h := header(rest)
			b := record.Batch(rest[:h.size()])
			rest = rest[h.size():]
			more, err := visit(h, func() (record.Batch, error) { return b, nil })
			if err != nil || !more {
				return err
			}
		}
	}
	return nil
}
