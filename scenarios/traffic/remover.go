package traffic

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/wire"
	"lignum/sim"
)

// Removal describes an administrator who has one broker unregistered.
type Removal struct {
	Broker int32
	// By is the broker that is asked; NoBroker: any.
	By int32
	// Length is for how long it is asked for, Pace the time between two requests.
	Length, Pace time.Duration
	// Hasty: at times the connection ends before the answer comes, and somebody is asked again.
	Hasty bool
	// Greedy: it is asked for to the end, also when the broker was unregistered meanwhile.
	Greedy bool
	// Done is called when the administrator is through.
	Done func()
}

// NoBroker is the id of none.
const NoBroker = -1

// remover is such an administrator.
type remover struct {
	Removal
	stage  *Stage
	routes *routes
	rand   sim.Stream
	until  int64
}

const (
	// firstRemover is the number of the first remover's draws; other clients have other ones.
	firstRemover = 3_000_000
	// removerPatience is how long an answer is waited for.
	removerPatience = 8 * time.Second
)

// Unregister has a broker unregistered.
func (s *Stage) Unregister(o Removal) {
	actor := firstRemover + s.removers
	s.removers++
	r := &remover{Removal: o, stage: s, routes: s.routes("remover", actor, nil), rand: s.World.Stream(domainAdmin, actor), until: s.now() + int64(o.Length)}
	s.tell("remover", "wants broker %d to be unregistered", o.Broker)
	r.ask()
}

func (r *remover) ask() {
	if r.stage.Quiet || r.stage.now() > r.until {
		r.end()
		return
	}
	to := r.connection()
	if !to.ready {
		r.later()
		return
	}
	asked := r.stage.now()
	q := kmsg.NewPtrUnregisterBrokerRequest()
	q.BrokerID = r.Broker
	to.ask(q, 0, removerPatience, func(answer kmsg.Response) { r.answered(asked, answer) })
	if r.Hasty && r.rand.Below(3) == 0 {
		r.stage.World.After(r.rand.Between(0, 30*time.Millisecond), to.close)
	}
}

func (r *remover) connection() *peer {
	if at := r.stage.placeOf(r.By); at != nowhere {
		return r.routes.link(at)
	}
	return r.routes.some()
}

// answered takes an answer in. One that was lost says nothing, and neither does one that nobody can give yet: it is asked again.
func (r *remover) answered(asked int64, answer kmsg.Response) {
	got, ok := answer.(*kmsg.UnregisterBrokerResponse)
	if !ok {
		r.later()
		return
	}
	code := wire.ErrorCode(got.ErrorCode)
	r.stage.tell("remover", "is told of broker %d: %s", r.Broker, code)
	known := code == wire.None || code == wire.RequestTimedOut || code == wire.BrokerIDNotRegistered
	r.stage.Books.Check("V2", known, "unregistering broker %d is refused with %s", r.Broker, code)
	if r.stage.Unregistered != nil {
		r.stage.Unregistered(r.Broker, asked, code)
	}
	if code == wire.RequestTimedOut || r.Greedy {
		r.later()
		return
	}
	r.end()
}

func (r *remover) later() { r.stage.World.After(r.rand.Between(0, 2*r.Pace), r.ask) }

func (r *remover) end() {
	r.routes.close()
	if r.Done != nil {
		r.Done()
	}
}
