package sim

// Walk goes through all the ways that a power cut can end, one after another, like an odometer:
//
//	for w := (sim.Walk{}); w.Next(); {
//		d := build()          // the same calls each time
//		d.PowerBy(&w)
//		check(d)
//	}
//
// A tear has one place only, the middle. Disks for it are made with NoWriteback.
type Walk struct {
	// Whole leaves tears out: everything is kept or lost. With 12 things at stake that is 4,096 ways, not half a million.
	Whole bool

	path   []turn
	at     int
	begun  bool
	visits int
}

type turn struct{ choice, options int64 }

// Next prepares the next run; false if all have been.
func (w *Walk) Next() bool {
	w.at = 0
	if !w.begun {
		w.begun = true
		w.visits++
		return true
	}
	for n := len(w.path); n > 0; n = len(w.path) {
		if last := &w.path[n-1]; last.choice+1 < last.options {
			last.choice++
			w.visits++
			return true
		}
		w.path = w.path[:n-1]
	}
	return false
}

// Choose follows the present path, and takes the first option where it ends.
func (w *Walk) Choose(d Decision, n int64) int64 {
	if d == DecideTear {
		return n / 2
	}
	if w.Whole {
		n = min(n, 2)
	}
	if w.at == len(w.path) {
		w.path = append(w.path, turn{options: n})
	}
	w.at++
	return w.path[w.at-1].choice
}

// Runs is how many runs there were so far.
func (w *Walk) Runs() int { return w.visits }

// Choices is how many choices the present run had.
func (w *Walk) Choices() int { return w.at }
