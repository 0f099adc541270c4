package commitlog

import (
	"lignum/core/record"
)

// TimeResult answers a lookup by time: a record, its timestamp and the leader epoch of its batch.
type TimeResult struct {
	Found     bool
	Offset    record.Offset
	Timestamp int64
	Epoch     record.Epoch
}

// timeQuery is what a lookup by time is after, among records with offsets in [from, upTo).
type timeQuery struct {
	from, upTo record.Offset
	at         int64 // the first record with a timestamp not below
	max        bool  // the first record with the greatest timestamp
}

// OffsetForTime finds the first record below upTo, from the log start on, whose timestamp is not below the given one. If it cannot be
// answered at once a job is returned, to be run on a reader's lane and given to FinishTime.
func (l *Log) OffsetForTime(at int64, upTo record.Offset) (TimeResult, *TimeJob, error) {
	return l.nextTime(timeQuery{from: l.ReadableStart(), upTo: min(upTo, l.end), at: at}, 0)
}

// MaxTimestamp finds the first record below upTo, from the log start on, with the greatest timestamp there is.
func (l *Log) MaxTimestamp(upTo record.Offset) (TimeResult, *TimeJob, error) {
	q := timeQuery{from: l.ReadableStart(), upTo: min(upTo, l.end), max: true}
	if l.failure != nil {
		return TimeResult{}, nil, l.failure
	}
	best := int64(record.NoTimestamp)
	var unsure, sure []*segment // sure: the one whose greatest timestamp is known to be within the range
	for _, s := range l.segments {
		switch {
		case s.next <= q.from || s.base >= q.upTo || s.size == 0:
		case s.settled() && s.maxLast >= q.from && s.maxLast < q.upTo:
			if s.maxTime > best {
				best, sure = s.maxTime, append(sure[:0], s)
			}
		default:
			unsure = append(unsure, s)
		}
	}
	var candidates []*segment
	for _, s := range append(unsure, sure...) {
		if s.maxTime >= best || !s.settled() {
			candidates = append(candidates, s)
		}
	}
	if len(candidates) == 0 {
		return TimeResult{}, nil, nil
	}
	return TimeResult{}, l.timeJob(q, candidates), nil
}

// nextTime makes the job for the first segment from an offset on that may have an answer.
func (l *Log) nextTime(q timeQuery, from record.Offset) (TimeResult, *TimeJob, error) {
	if l.failure != nil {
		return TimeResult{}, nil, l.failure
	}
	for _, s := range l.segments {
		if s.next <= max(from, q.from) || s.size == 0 || (s.settled() && s.maxTime < q.at) {
			continue
		}
		if s.base >= q.upTo {
			break
		}
		return TimeResult{}, l.timeJob(q, []*segment{s}), nil
	}
	return TimeResult{}, nil, nil
}

// timeJob gathers what a job needs of the segments: files, and those bytes that may not be in the files yet.
func (l *Log) timeJob(q timeQuery, segments []*segment) *TimeJob {
	j := &TimeJob{query: q, generation: l.generation}
	for _, s := range segments {
		p := timePlace{view: l.view(s), next: s.next, maxTime: s.maxTime, maxLast: s.maxLast}
		for _, c := range l.ring.chunks {
			if c.segment != s || c.pos+int64(c.used) <= s.written {
				continue
			}
			if p.tail.n == 0 {
				p.view.size = min(p.view.size, c.pos)
			}
			p.tail.add(c, 0, c.used)
		}
		j.places = append(j.places, p)
	}
	return j
}

// FinishTime takes back a job that has run. Like OffsetForTime it returns a result or another job.
func (l *Log) FinishTime(j *TimeJob) (TimeResult, *TimeJob, error) {
	gone := j.generation != l.generation
	for i := range j.places {
		p := &j.places[i]
		p.tail.Release()
		gone = l.landedView(&p.view, j.generation, p.badIndex) == nil || gone
	}
	q := j.query
	q.from, q.upTo = max(q.from, l.ReadableStart()), min(q.upTo, l.end)
	switch {
	case j.err != nil && gone && q.max:
		return l.MaxTimestamp(q.upTo)
	case j.err != nil && gone:
		return l.nextTime(q, q.from)
	case j.err != nil:
		return TimeResult{}, nil, j.err
	case j.result.Found:
		if j.result.Offset >= q.upTo {
			return TimeResult{}, nil, nil
		}
		return j.result, nil, nil
	case q.max:
		return TimeResult{}, nil, nil
	}
	return l.nextTime(q, j.places[0].next)
}
