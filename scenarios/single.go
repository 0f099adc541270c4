package scenarios

import (
	"fmt"
	"strings"
	"time"

	"lignum/core/api"
	"lignum/core/broker"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/scenarios/inspect"
	"lignum/scenarios/ledger"
	"lignum/scenarios/traffic"
	"lignum/sim"
)

// Times of a single run.
const (
	usualLength = time.Minute
	settleTime  = 2 * time.Second // from the end of the faults to the end of the traffic, and again to the last reader
	patience    = time.Minute     // of the last reader: the bound of V2; hundreds of tiny segments take half of it
	wallAtStart = 1_700_000_000_000
)

// single is a run with one broker: of the scenario "single", or of "rot".
type single struct {
	o      Options
	name   string
	lies   bool // the disk's medium lies
	wounds wounds
	plan   plan
	world  *sim.World
	host   *sim.Host
	stage  *traffic.Stage
	books  *ledger.Ledger
	reader *record.Reader
	node   *broker.Broker
	faults faults

	life     uint64 // that was seen last
	ready    bool   // the present life serves
	healed   bool
	finished bool
	readers  int // last readers that are through
	box      whitebox
}

// Single is one broker with all kinds of clients, under crashes, disk faults, pauses, clock jumps and broken connections.
func Single(o Options) Result { return run(o, "single", false) }

func run(o Options, name string, lies bool) Result {
	s := newSingle(o, name, lies)
	defer s.world.Close()
	limit := env.Instant(s.plan.length + 2*settleTime + 8*patience)
	for !s.finished && len(s.world.Findings()) == 0 && s.world.Step(limit) {
	}
	if !s.finished && len(s.world.Findings()) == 0 {
		s.world.Fail("V2", "the run does not come to its end")
	}
	return s.result()
}

func newSingle(o Options, name string, lies bool) *single {
	s := &single{o: o, name: name, lies: lies, plan: newPlan(o), wounds: wounds{dirs: map[string]bool{}, hints: map[string]bool{}, unnamed: map[string]bool{}}}
	s.world = sim.NewWorld(sim.Options{Seed: o.Seed, Network: s.plan.network, Jobs: s.plan.jobs})
	s.reader = record.NewReader(record.Limits{})
	s.host = s.world.AddHost(sim.HostOptions{
		Name: "broker", Boot: s.boot, Wall: wallAtStart, InFlight: 16,
		Decode: func(_ env.ConnInfo, frame env.Buffer) (env.Request, error) { return api.Decode(frame, s.reader) },
		Disk:   sim.DiskOptions{SectorSize: s.plan.sector},
	})
	s.books = ledger.New(ledger.World{
		Now: func() int64 { return int64(s.world.Now()) }, Losses: s.losses, Fail: s.fail,
	})
	s.stage = traffic.NewStage(s.world, []traffic.Node{{ID: 1, Host: s.host}}, "PLAINTEXT", s.books, wallAtStart)
	if lies {
		s.host.Disk().OnWound(s.struck)
		s.stage.Excused = s.excused
	}
	if o.Tell != nil {
		s.stage.Tell = s.tell
		s.world.Tell(func(l sim.Line) {
			who := "event"
			if l.Error != "" {
				who = "disk"
			}
			s.tell(who, l.Words())
		})
	}
	s.faults.begin(s)
	s.box.begin(s)
	s.tellPlan()
	s.host.Start()
	s.life = s.host.Life()
	s.watch()
	s.plan.admin.Ready = s.openGates
	traffic.NewAdmin(s.stage, s.plan.admin)
	s.world.At(env.Instant(s.plan.length), s.heal)
	return s
}

// tellPlan tells what the seed has chosen.
func (s *single) tellPlan() {
	if s.o.Tell == nil {
		return
	}
	for _, t := range append(s.plan.admin.Topics, s.plan.admin.Passing) {
		s.tell("plan", fmt.Sprintf("topic %s: %d partitions, %v", t.Name, t.Partitions, t.Configs))
	}
	for _, p := range s.plan.producers {
		s.tell("plan", fmt.Sprintf("producer %s: idempotent %v, %+v", p.Name, p.idempotent, p.ProducerOptions))
	}
	for _, c := range s.plan.consumers {
		s.tell("plan", fmt.Sprintf("consumer %+v", c))
	}
	for _, kind := range s.faults.on {
		s.tell("plan", "strikes with "+kind.name)
	}
}

func (s *single) tell(who, text string) {
	if s.o.Tell != nil {
		s.o.Tell(Line{s.world.Now(), who, text})
	}
}

func (s *single) fail(name, format string, args ...any) {
	s.tell("check", name+": "+fmt.Sprintf(format, args...))
	s.world.Fail(name, format, args...)
}

// boot builds the broker of a new life, from its disk and from settings that the seed may change from life to life.
func (s *single) boot(p sim.Ports) env.Node {
	life := s.host.Life()
	s.ready = false
	s.box.born()
	node := broker.New(broker.Ports{
		Clock: p.Clock, Rand: p.Rand, Memory: p.Memory, Disk: p.Disk, Jobs: p.Jobs, Network: p.Network, Log: s.log,
	}, s.plan.settings(life), "/data", broker.Events{
		Ready: func() {
			s.ready = true
			s.box.ready()
			s.tell("broker", fmt.Sprintf("life %d is ready", life))
		},
		Failed: func(err error) { s.gaveUp(life, err) },
	})
	s.node = node
	node.Start()
	return node
}

func (s *single) log(level env.Level, message string, pairs ...any) {
	if s.o.Tell == nil {
		return
	}
	var text strings.Builder
	text.WriteString(message)
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&text, " %v=%v", pairs[i], pairs[i+1])
	}
	s.tell("broker", text.String())
}

// gaveUp is a broker that says it cannot go on: its process ends. It needs a reason.
func (s *single) gaveUp(life uint64, err error) {
	s.tell("broker", fmt.Sprintf("life %d gives up: %v", life, err))
	s.books.Check("V2", s.faults.excuse(), "life %d gives up, although no fault struck its disk: %v", life, err)
	s.world.At(s.world.Now(), func() {
		if s.host.Running() && s.host.Life() == life {
			s.faults.failStop()
		}
	})
}

// losses counts what could have taken data that was not durable.
func (s *single) losses() uint64 { return s.faults.losses() }

// openGates starts the traffic and the faults, once there are topics.
func (s *single) openGates() {
	for _, o := range s.plan.producers {
		if o.idempotent {
			traffic.NewIdempotent(s.stage, o.ProducerOptions)
		} else {
			traffic.NewProducer(s.stage, o.ProducerOptions)
		}
	}
	for _, o := range s.plan.consumers {
		traffic.NewConsumer(s.stage, o)
	}
	s.faults.strikeLater()
}

// watch is the one who starts a process that has ended.
func (s *single) watch() {
	s.world.After(20*time.Millisecond, s.watch)
	s.faults.notice()
	s.faults.freeStuck()
	s.faults.readAgain()
	s.woundEarly()
	if s.host.Running() || s.faults.restarting {
		return
	}
	s.faults.restarting = true
	delay := s.faults.rand.Between(0, 2*time.Second)
	if s.healed {
		delay = 0
	}
	s.world.After(delay, func() {
		s.faults.restarting = false
		s.faults.lifeBegins()
		s.faults.blindStart()
		s.host.Start()
		s.life = s.host.Life()
		s.tell("fault", fmt.Sprintf("life %d begins", s.life))
		s.faults.duringLoad()
	})
}

// heal ends the faults, then the traffic, and then has everything looked at; and once more behind another crash.
func (s *single) heal() {
	s.healed = true
	s.faults.end()
	s.tell("fault", "the faults have ended")
	s.world.After(settleTime, func() {
		s.stage.Quiet = true
		s.world.After(settleTime, s.lookAtAll)
	})
}

func (s *single) lookAtAll() {
	if len(s.stage.Targets) == 0 {
		s.fail("V2", "there is no topic")
		s.finished = true
		return
	}
	traffic.NewLastReader(s.stage, uint64(1000+s.readers), patience, func() {
		s.readers++
		s.inspect()
		s.countEnds()
		if s.readers == 2 || len(s.world.Findings()) > 0 {
			s.finished = true
			return
		}
		s.faults.finalCrash()
		s.world.After(100*time.Millisecond, s.lookAtAll)
	})
}

// inspect looks at the broker's files, while it rests.
func (s *single) inspect() {
	if !s.ready {
		return // a broker that may refuse to start, and does
	}
	if err := inspect.Disk(s.host.Disk(), s.checkFile); err != nil && !s.wounds.vital {
		s.fail("L5", "the files cannot be looked at: %v", err)
	}
}

// checkFile is Check for what is said of a partition's files: in directories that the medium has hit anything may be found.
func (s *single) checkFile(name string, holds bool, format string, args ...any) bool {
	if !holds && len(args) > 0 {
		if dir, ok := args[0].(string); ok && (s.wounds.dirs[dir] || name == "L5" && s.wounds.hints[dir]) {
			return false
		}
	}
	return s.books.Check(name, holds, format, args...)
}

// honest is until when the medium does not lie.
func (s *single) honest() env.Instant { return env.Instant(s.plan.length / 3) }

// result closes the books.
func (s *single) result() Result {
	r := Result{
		Scenario: s.name, Seed: s.o.Seed, length: s.o.Length, Events: s.world.Steps(), Requests: s.stage.Requests, Simulated: time.Duration(s.world.Now()),
		Lives: s.host.Life(), Faults: s.faults.happened(), Totals: s.books.Totals(),
	}
	if len(s.world.Findings()) == 0 {
		r.Judged = judge(s.books)
	}
	r.Checks = s.books.Checks()
	r.Trace = s.world.Trace()
	r.Findings = s.world.Findings()
	return r
}
