package traffic

import (
	"time"

	"lignum/core/record"
	"lignum/core/wire"
)

// loyal is a client that does not hear of elections: it asks one broker for the end of a partition, and goes on asking it. A broker that may have
// been deposed must not tell it any (F7).
type loyal struct {
	stage  *Stage
	routes *routes
	client int
	t      *Target
	place  int
	pace   time.Duration
	until  int64
}

// firstLoyal is the number of the first such client; the others' are smaller, those of last readers too.
const firstLoyal = 2000

// Linger has a client ask one broker for the end of a partition for a while.
func (s *Stage) Linger(id record.Partition, broker int32, length time.Duration) {
	for _, t := range s.Targets {
		if t.ID != id.Topic || t.Index != id.Index || t.Books.Closed() || s.placeOf(broker) == nowhere {
			continue
		}
		client := firstLoyal + s.loyals
		s.loyals++
		l := &loyal{stage: s, routes: s.routes("loyal", uint64(client), nil), client: client, t: t, place: s.placeOf(broker), until: s.now() + int64(length)}
		l.pace = l.routes.rand.Between(20*time.Millisecond, 300*time.Millisecond)
		l.ask()
	}
}

func (l *loyal) ask() {
	if l.stage.Quiet || l.stage.now() > l.until || l.t.Books.Closed() {
		l.routes.close()
		return
	}
	from := l.routes.link(l.place)
	if !from.ready {
		l.later()
		return
	}
	l.stage.listOffsets(from, l.routes, l.client, l.t, wire.LatestTimestamp, func(record.Offset, bool) { l.later() })
}

func (l *loyal) later() { l.stage.World.After(l.pace, l.ask) }
