package sim_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"lignum/core/env"
	"lignum/sim"
)

// orders has the next write get an order.
func orders(d *sim.Disk, order error) {
	d.Inject(func(op sim.Op) error {
		if op.Kind != sim.OpWrite {
			return nil
		}
		d.Inject(nil)
		return order
	})
}

// A phantom write is acknowledged and synced; the medium never has it, and the cache shows it for some time at most.
func TestPhantomWrite(t *testing.T) {
	hidden, wholes := 0, 0
	for seed := range uint64(100) {
		d := sim.NewDisk(sim.DiskOptions{Seed: seed})
		f := open(t, d, "x", env.CreateNew)
		must(t, f.WriteAt(0, fill('a', 4096)), f.Sync(), d.SyncDir("."))
		orders(d, sim.ErrPhantom)
		must(t, f.WriteAt(512, fill('b', 1024)))
		if got := content(t, d, "x"); got[512] != 'b' || got[1535] != 'b' {
			t.Fatal("the write does not even show before the sync")
		}
		must(t, f.Sync())
		if content(t, d, "x")[512:1536] == string(fill('b', 1024)) {
			hidden++
		}
		d.PowerBy(sim.KeepAll())
		got := content(t, d, "x")
		lost := bytes.Count([]byte(got[512:1536]), []byte("a"))
		if lost != 512 && lost != 1024 || got[:512]+got[1536:] != string(fill('a', 3072)) {
			t.Fatalf("seed %d: %d bytes lost", seed, lost)
		}
		if lost == 1024 {
			wholes++
		}
		if d.Happened(sim.FaultPhantom) != 1 {
			t.Fatal("not counted")
		}
	}
	if hidden == 0 || hidden == 100 || wholes == 0 || wholes == 100 {
		t.Errorf("of 100 the cache hid %d, %d lost all", hidden, wholes)
	}
}

// Who writes again has made it good.
func TestPhantomWriteIsOneWrite(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{})
	f := open(t, d, "x", env.CreateNew)
	must(t, d.SyncDir("."))
	orders(d, sim.ErrPhantom)
	must(t, f.WriteAt(0, fill('a', 512)), f.WriteAt(0, fill('b', 512)), f.Sync())
	d.PowerBy(sim.LoseAll())
	if got := content(t, d, "x"); got != string(fill('b', 512)) {
		t.Errorf("content %.20q", got)
	}
}

// A misdirected write leaves the old content where it should be, and stands where it should not.
func TestMisdirectedWrite(t *testing.T) {
	hitX, hitY, nowhere := 0, 0, 0
	for seed := range uint64(200) {
		d := sim.NewDisk(sim.DiskOptions{Seed: seed})
		x, y := open(t, d, "x", env.CreateNew), open(t, d, "y", env.CreateNew)
		must(t, x.WriteAt(0, fill('a', 2048)), x.Sync(), y.WriteAt(0, fill('y', 2048)), y.Sync(), d.SyncDir("."))
		orders(d, sim.ErrMisdirected)
		must(t, x.WriteAt(512, fill('b', 512)), x.Sync())
		d.PowerBy(sim.KeepAll())
		gotX, gotY := content(t, d, "x"), content(t, d, "y")
		if gotX[512:1024] != string(fill('a', 512)) {
			t.Fatalf("seed %d: the place has %.10q", seed, gotX[512:])
		}
		inX, inY := bytes.Count([]byte(gotX), []byte("b")), bytes.Count([]byte(gotY), []byte("b"))
		switch {
		case inX == 512 && inY == 0:
			hitX++
		case inY == 512 && inX == 0:
			hitY++
		case inX == 0 && inY == 0:
			nowhere++
		default:
			t.Fatalf("seed %d: %d and %d bytes astray", seed, inX, inY)
		}
	}
	if hitX < 20 || hitY < 20 {
		t.Errorf("of 200, %d hit the same file, %d the other, %d none", hitX, hitY, nowhere)
	}
}

// Calls that the kernel does in two parts end as whole ones do; between the parts a crash tears them and another's write shows.
func TestShortTransfers(t *testing.T) {
	o := sim.DiskOptions{Rates: sim.Rates{ShortRead: sim.Million, ShortWrite: sim.Million}}
	torn := 0
	for seed := range uint64(50) {
		o.Seed = seed
		d := sim.NewDisk(o)
		f := open(t, d, "x", env.CreateNew)
		must(t, f.WriteAt(0, []byte("abc"), nil, []byte("defgh"), []byte("i")))
		if got := content(t, d, "x"); got != "abcdefghi" {
			t.Fatalf("seed %d: %q", seed, got)
		}
		p := make([]byte, 20)
		if n, err := f.ReadAt(p, 2); n != 7 || err == nil || string(p[:n]) != "cdefghi" {
			t.Fatalf("seed %d: %d, %v, %q", seed, n, err, p[:n])
		}
		if d.Happened(sim.FaultShortRead) == 0 || d.Happened(sim.FaultShortWrite) != 1 {
			t.Fatal("not counted")
		}
		d.CrashAt(2)
		if d.Attempt(func() { _ = f.WriteAt(0, fill('Z', 9)) }) {
			t.Fatal("a short write has one call")
		}
		d.Kill()
		if got := content(t, d, "x"); bytes.Contains([]byte(got), []byte("Z")) && got != string(fill('Z', 9)) {
			torn++
		}
	}
	if torn == 0 {
		t.Error("never torn")
	}
}

// A sector of synced data goes bad, or changes, behind everybody's back; every kind is counted.
func TestMediumGoesBad(t *testing.T) {
	unreadable, rotten := 0, 0
	for seed := range uint64(100) {
		d := sim.NewDisk(sim.DiskOptions{Seed: seed, Rates: sim.Rates{Latent: 300_000, Rot: 300_000}})
		f := open(t, d, "x", env.CreateNew)
		must(t, f.WriteAt(0, fill('a', 8192)), f.Sync())
		d.SetRates(sim.Rates{})
		p := make([]byte, 8192)
		n, err := f.ReadAt(p, 0)
		switch bad := d.Happened(sim.FaultBadSector); {
		case (bad > 0) != errors.Is(err, sim.ErrIO) || (bad > 0) != (d.Happened(sim.FaultUnreadable) > 0):
			t.Fatalf("seed %d: %d bad sectors, read %d: %v", seed, bad, n, err)
		case bad > 0:
			unreadable++
			must(t, f.WriteAt(0, fill('a', 8192)))
			if _, err := f.ReadAt(p, 0); err != nil {
				t.Fatalf("seed %d: written again, yet %v", seed, err)
			}
		case (d.Happened(sim.FaultRot) > 0) == bytes.Equal(p, fill('a', 8192)):
			t.Fatalf("seed %d: %d rotten bits, equal: %v", seed, d.Happened(sim.FaultRot), bytes.Equal(p, fill('a', 8192)))
		case d.Happened(sim.FaultRot) > 0:
			rotten++
		}
	}
	if unreadable < 10 || rotten < 10 {
		t.Errorf("%d unreadable, %d rotten of 100", unreadable, rotten)
	}
}

func TestWhatAPowerCutTookIsCounted(t *testing.T) {
	d := sim.NewDisk(sim.DiskOptions{NoWriteback: true})
	f := open(t, d, "x", env.CreateNew)
	must(t, f.WriteAt(0, fill('a', 1024)), f.Sync(), d.SyncDir("."), f.WriteAt(0, fill('b', 2048)), f.Truncate(100))
	open(t, d, "y", env.CreateNew)
	d.PowerBy(sim.LoseAll())
	want := map[sim.FaultKind]uint64{sim.FaultLostName: 1, sim.FaultLostCut: 1, sim.FaultLostGrowth: 1, sim.FaultLostSector: 1}
	d.EachFault(func(k sim.FaultKind, n uint64) {
		if n != want[k] {
			t.Errorf("%s: %d, want %d", k, n, want[k])
		}
	})
}

// A device that hangs: nothing is acknowledged until the process is killed, or the device comes back.
func TestStuckCalls(t *testing.T) {
	for _, kill := range []bool{true, false} {
		s := newStory(5, ledgerOptions{})
		s.run(time.Second)
		s.host.Disk().SetRates(sim.Rates{Stuck: sim.Million})
		s.run(time.Second)
		_, before := s.lost()
		s.run(20 * time.Second)
		if _, after := s.lost(); after != before || s.host.Stuck() != 1 || s.host.Disk().Happened(sim.FaultStuck) != 1 {
			t.Errorf("%d acknowledged, %d calls stand still", after-before, s.host.Stuck())
		}
		s.host.Disk().SetRates(sim.Rates{})
		if kill {
			s.host.Kill()
			s.host.Start()
		} else {
			s.host.Unstick()
		}
		s.run(time.Second)
		if lost, after := s.lost(); after < before+100 || lost > 0 || s.host.Stuck() != 0 {
			t.Errorf("kill %v: %d acknowledged later, %d lost", kill, after-before, lost)
		}
		s.mustBeSound(t)
		s.world.Close()
	}
}

func TestSlowCalls(t *testing.T) {
	s := newStory(5, ledgerOptions{})
	defer s.world.Close()
	s.host.Disk().SetRates(sim.Rates{Slow: sim.Million})
	s.run(time.Minute)
	if _, acked := s.lost(); acked == 0 || acked > 60 || s.host.Disk().Happened(sim.FaultSlow) < 10 {
		t.Errorf("%d acknowledged in a minute, %d slow calls", acked, s.host.Disk().Happened(sim.FaultSlow))
	}
	s.mustBeSound(t)
}

// The ledger believes what a sync says. The new faults show in what it loses: they bite.
func TestLiesCostRecords(t *testing.T) {
	for name, r := range map[string]sim.Rates{"phantom": {Phantom: 50_000}, "misdirected": {Misdirected: 50_000}, "rot": {Rot: 50_000}} {
		sum := 0
		for seed := range uint64(10) {
			s := newStory(seed, ledgerOptions{})
			s.run(100 * time.Millisecond)
			disk, wounds := s.host.Disk(), uint64(0)
			disk.OnWound(func(w sim.Wound) {
				wounds++
				if size := int64(len(w.Content())); w.Path == "" || w.Len <= 0 || w.Off >= size {
					t.Errorf("%s: %+v of a file of %d bytes", name, w, size)
				}
			})
			disk.SetRates(r)
			s.run(time.Second)
			if lies := disk.Happened(sim.FaultPhantom) + disk.Happened(sim.FaultMisdirected) + disk.Happened(sim.FaultRot); wounds < lies || lies == 0 {
				t.Errorf("%s: %d lies, the hook was told of %d wounds", name, lies, wounds)
			}
			s.host.Power()
			lost, _ := s.lost()
			sum += lost
			s.world.Close()
		}
		if sum == 0 {
			t.Errorf("%s: nothing was lost", name)
		}
	}
}
