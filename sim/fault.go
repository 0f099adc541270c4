package sim

import "lignum/core/env"

// OpKind is one of the calls of env.Disk and env.File.
type OpKind uint8

// The calls.
const (
	OpOpen OpKind = iota + 1
	OpRemove
	OpRename
	OpMkdir
	OpReadDir
	OpSyncDir
	OpUsage
	OpRead
	OpWrite
	OpTruncate
	OpSize
	OpSync
	OpClose
)

var opNames = [...]string{"", "open", "remove", "rename", "mkdir", "readdir", "syncdir", "usage", "read", "write", "truncate",
	"size", "sync", "close"}

// String is the call's name.
func (k OpKind) String() string { return opNames[k] }

// Op is one call on the disk, as fault hooks see it.
type Op struct {
	Kind     OpKind
	Number   uint64 // counts the calls on this disk from 1
	Path, To string // To: of a rename
	Off, Len int64

	file *file
	data [][]byte
}

// File identifies the file that a call on an open one is about. Path is the name under which that was opened: a rename does not change it, and
// another file may have the name since. It is nil for calls by name.
func (op Op) File() any {
	if op.file == nil {
		return nil
	}
	return op.file.ino
}

// crashed is what a call panics with in which the machine dies.
type crashed struct{}

// begin is the gate that every call passes: here it may be delayed, fail, or be the machine's last.
func (d *Disk) begin(op Op) error {
	d.calls++
	op.Number = d.calls
	if d.schedule != nil && !d.down {
		d.schedule(op)
	}
	switch d.lie = 0; {
	case d.down || (op.file != nil && op.file.life != d.life):
		return failed(op.Kind, op.Path, ErrDown)
	case d.crashAt != 0 && d.calls >= d.crashAt:
		d.cutOff(op)
		d.crashAt, d.down = 0, true
		panic(crashed{})
	}
	err := d.fault(op)
	if d.observe != nil {
		d.observe(op, err)
	}
	d.watched(op, err)
	if err != nil {
		return failed(op.Kind, op.Path, err)
	}
	return nil
}

// fault decides whether the call fails, and does what a failing call still does.
func (d *Disk) fault(op Op) (err error) {
	if d.inject != nil {
		err = d.inject(op)
	}
	if err == nil {
		err = d.chance(op.Kind)
	}
	if err == nil && op.Kind == OpWrite {
		err = d.lieByChance()
	}
	switch err {
	case nil:
		return nil
	case ErrPhantom, ErrMisdirected:
		d.lie = lieOf(err)
		return nil
	}
	d.faults[op.Kind]++
	d.strike(failureOf(op.Kind, err))
	switch op.Kind {
	case OpWrite:
		d.cutOff(op)
	case OpSync:
		d.lose(op.file.ino)
	}
	return err
}

func (d *Disk) chance(k OpKind) error {
	r := &d.options.Rates
	switch {
	case *r == Rates{}:
		return nil
	case k == OpRead && d.faultRand.Chance(r.Read),
		k == OpWrite && d.faultRand.Chance(r.Write),
		(k == OpSync || k == OpSyncDir) && d.faultRand.Chance(r.Sync),
		k == OpClose && d.faultRand.Chance(r.Close):
		return ErrIO
	case k == OpWrite && d.faultRand.Chance(r.Space):
		return env.ErrNoSpace
	}
	return nil
}

// cutOff lets a write that never returns, or fails, do a part of its work.
func (d *Disk) cutOff(op Op) {
	if op.Kind != OpWrite || op.file.canWrite(op.Off, op.Len) != nil {
		return
	}
	_, _ = op.file.write(op.Off, d.faultRand.Below(op.Len+1), op.data)
}

// Calls is how many calls were made so far.
func (d *Disk) Calls() uint64 { return d.calls }

// Faults is how many calls of a kind were made to fail. Happened counts more finely, and what did not show as a failure.
func (d *Disk) Faults(k OpKind) uint64 { return d.faults[k] }

// CrashAt lets the machine die in the n-th call from now, counted from 1; 0 takes it back. The call does not
// return: it panics with a value that Attempt knows. A write that is cut off may have been done in part. After
// it every call answers ErrDown until Kill or Power.
func (d *Disk) CrashAt(n uint64) {
	d.crashAt = 0
	if n > 0 {
		d.crashAt = d.calls + n
	}
}

// Attempt runs f and says whether it lived to its end: false if the machine died in one of its calls.
func (d *Disk) Attempt(f func()) (finished bool) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case crashed:
			finished = false
		default:
			panic(r)
		}
	}()
	f()
	return !d.down
}

// Inject puts a hook in front of every call; nil takes it away. If it returns an error the call fails with it: a write
// may then have been done in part, and a sync has dropped dirty pages and marked them clean. ErrPhantom and ErrMisdirected
// are no failures but orders: a write that gets one of them succeeds, and so does the next sync, but it is not what the medium has.
func (d *Disk) Inject(hook func(Op) error) { d.inject = hook }
