package main

import "testing"

func TestRead(t *testing.T) {
	var o outcome
	o.read([]byte("seed 7 at 12.000000001s  D1: t0-0: gone: replay with: lignum\nseed 9 at 1.5s broker panic: nil: x\nseeds      12 (2 with\n"))
	if !o.found || o.invariant != "D1" || o.white || o.seeds != 12 || o.replay != "seed 7" {
		t.Errorf("%+v", o)
	}
	o = outcome{}
	o.read([]byte("seed 9 at 1.5s broker violation: x: y\n"))
	if o.invariant != "violation" || !o.white {
		t.Errorf("%+v", o)
	}
	o = outcome{}
	o.read([]byte("seed 2 at 3.000000000s  P4: white box: t0-0: the snapshot\n"))
	if o.invariant != "P4" || !o.white {
		t.Errorf("%+v", o)
	}
}

func TestReadTest(t *testing.T) {
	var o outcome
	o.readTest([]byte("--- FAIL: TestBadDays (0.44s)\n    cluster_test.go:476: seed 7: member 4 has voted for 4 and 3 in term 4 (M1)\nFAIL\n"), 2)
	if !o.found || o.invariant != "M1" || o.seeds != 6 || o.replay != "seed 7" {
		t.Errorf("%+v", o)
	}
	o = outcome{}
	if o.readTest([]byte("PASS\n"), 0); o.found {
		t.Errorf("%+v", o)
	}
}

func TestReadModel(t *testing.T) {
	var o outcome
	o.readModel([]byte("--- FAIL: TestReplicasKeepTheirPromises (0.4s)\n    --- FAIL: sync\n        cluster_test.go:18: [rapid] failed after 38 tests: I2: node 1 lacks\n"))
	if !o.found || o.invariant != "I2" || o.seeds != 39 {
		t.Errorf("%+v", o)
	}
	o = outcome{}
	o.readModel([]byte("--- FAIL: TestScript (0.00s)\n    x_test.go:1: 3 are committed\n"))
	if !o.found || o.invariant != "test" || o.seeds != 1 {
		t.Errorf("%+v", o)
	}
	o = outcome{}
	if o.readModel([]byte("PASS\n")); o.found {
		t.Errorf("%+v", o)
	}
}
