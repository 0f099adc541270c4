package traffic

import (
	"maps"
	"slices"
	"time"

	"lignum/core/record"
	"lignum/core/wire"
	"lignum/scenarios/ledger"
	"lignum/sim"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// LastReader looks at every partition once the faults have ended: acks=all is accepted, the high watermark reaches the log end, and
// everything can be read from the start to the end (V2). What it read closes the books.
type LastReader struct {
	stage    *Stage
	rand     sim.Stream
	payload  *payload
	actor    uint64
	deadline int64
	targets  []*Target
	at       int
	routes   *routes
	done     func()

	start, written record.Offset // of the partition at hand; written: behind its own batch, -1 before
	cursor         ledger.Cursor
	reading        bool
	problem        string
	silent         bool  // the problem says nothing
	enough         int64 // when a partition that may be unavailable is left alone
}

// respite is how long a last reader tries a partition that may be unavailable.
const respite = 3 * time.Second

// NewLastReader starts a last reader, which has so much time. done is called when it is through, or has given up.
func NewLastReader(s *Stage, actor uint64, patience time.Duration, done func()) *LastReader {
	r := &LastReader{stage: s, rand: s.World.Stream(domainConsumer, actor), actor: actor, deadline: s.now() + int64(patience), done: done}
	r.routes = s.routes("last-reader", actor, nil)
	r.payload = newPayload(s, "last-"+string(rune('a'+actor%26)), actor, record.None, 64)
	r.targets = s.open()
	r.begin()
	r.step()
	return r
}

// begin turns to a partition.
func (r *LastReader) begin() {
	r.start, r.written, r.reading, r.problem = -1, -1, false, "no answer"
	r.silent, r.enough = false, r.stage.now()+int64(respite)
	if r.at < len(r.targets) {
		r.targets[r.at].Books.BeginFinal()
	}
}

// soon takes the next step in a moment, after something that went wrong.
func (r *LastReader) soon(problem string) {
	r.problem, r.silent = problem, false
	r.stage.tell("last", "%s: %s", r.targets[r.at].Books.Name, problem)
	r.stage.World.After(r.rand.Between(10*time.Millisecond, 100*time.Millisecond), r.step)
}

// step does what is next for the partition at hand.
func (r *LastReader) step() {
	if r.at == len(r.targets) {
		r.routes.close()
		r.done()
		return
	}
	t := r.targets[r.at]
	if r.stage.now() > r.enough && r.excused(t) {
		r.leave(t)
		return
	}
	if r.stage.now() > r.deadline {
		r.stage.Books.Check("V2", false, "%s: cannot be written and read to its end although the faults have ended: %s", t.Books.Name, r.problem)
		r.routes.close()
		r.done()
		return
	}
	at := r.routes.place(t)
	if at == nowhere {
		r.soon("nobody knows the leader")
		return
	}
	from := r.routes.link(at)
	switch {
	case !from.ready:
		r.soon(r.problem)
	case r.written < 0:
		r.write(t, from)
	case r.start < 0:
		r.stage.listOffsets(from, r.routes, int(r.actor), t, wire.EarliestTimestamp, func(o record.Offset, ok bool) {
			if !ok {
				r.soon("no log start")
				return
			}
			r.start = o
			r.cursor.Seek(o)
			r.step()
		})
	default:
		r.read(t, from)
	}
}

func (r *LastReader) excused(t *Target) bool { return r.stage.Excused != nil && r.stage.Excused(t) }

// leave turns to the next partition, for this one may be unavailable, and has said so (L7).
func (r *LastReader) leave(t *Target) {
	r.stage.tell("last", "%s: is left alone: %s", t.Books.Name, r.problem)
	t.Books.Leave()
	r.stage.Books.Check("L7", !r.silent, "%s: nothing says why it cannot be read: %s", t.Books.Name, r.problem)
	r.at++
	r.begin()
	r.step()
}

func (p *peer) closeIfAny() {
	if p != nil {
		p.close()
	}
}

// write appends one batch with acks=all.
func (r *LastReader) write(t *Target, from *peer) {
	b := r.payload.batch(r.stage.wallNow(), record.NoProducer, record.NoProducerEpoch, record.NoSequence)
	load := []parcel{{target: t, bytes: b, books: t.Books.Plan(b, -1)}}
	request := produceRequest(-1, 5*time.Second, load)
	try := load[0].books.Try()
	const v = 9
	from.send(wire.Produce, v, 10*time.Second, func(dst []byte) []byte { return request.AppendTo(dst, v) }, func(body []byte) {
		results, ok := from.produced(v, load, body)
		switch {
		case !ok:
			r.soon("no answer to a produce request")
		case !try.Answered(results[0].Error, record.Offset(results[0].BaseOffset)):
			r.routes.stale(t, results[0].Error)
			r.soon("a produce request is refused with " + results[0].Error.String())
		default:
			r.written = record.Offset(results[0].BaseOffset) + record.Offset(b.Count())
			r.step()
		}
	})
}

// read fetches on, until the high watermark and everything that was written is reached.
func (r *LastReader) read(t *Target, from *peer) {
	const v = 13
	request := fetchRequest(v, []*Target{t}, func(*Target) (record.Offset, bool) { return r.cursor.Position, true }, 1<<20)
	request.SessionEpoch, request.MaxBytes = -1, 1<<20
	view := r.stage.Books.Look(int(r.actor))
	from.send(wire.Fetch, v, 10*time.Second, func(dst []byte) []byte { return request.AppendTo(dst, v) }, func(body []byte) {
		var answer wire.FetchResponse
		switch {
		case body == nil:
			r.soon("no answer to a fetch")
			return
		case answer.Decode(body, v) != nil || len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1:
			r.soon("a fetch is answered with " + answer.Error.String())
			return
		}
		got := &answer.Topics[0].Partitions[0]
		if got.Error != wire.None {
			if got.Error == wire.OffsetOutOfRange {
				t.Books.OutOfRange(view, r.cursor.Position)
				r.start = -1
			}
			r.routes.stale(t, got.Error)
			r.soon("a fetch is refused with " + got.Error.String())
			return
		}
		n := t.Books.Fetched(view, &r.cursor, ledger.Fetched{
			HighWatermark: record.Offset(got.HighWatermark), LastStable: record.Offset(got.LastStable), LogStart: record.Offset(got.LogStart),
			Records: got.Records, Final: true,
		})
		mark := record.Offset(got.HighWatermark)
		switch {
		case r.cursor.Broken:
			r.problem = "what is read is broken"
			r.leave(t)
		case r.cursor.Position >= mark && r.cursor.Position >= r.written:
			r.settle(t, mark)
		case n == 0:
			r.soon("a fetch below the high watermark gets nothing")
			r.silent = true
		default:
			r.step()
		}
	})
}

// settle closes the books of the partition at hand and turns to the next one.
func (r *LastReader) settle(t *Target, mark record.Offset) {
	books := r.stage.Books
	books.Check("V2", mark >= r.written, "%s: the high watermark is %d, but everything below %d was acknowledged", t.Books.Name, mark, r.written)
	t.Books.Settle(r.start, mark)
	r.at++
	r.begin()
	r.step()
}
