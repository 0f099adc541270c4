package sim_test

import (
	"testing"

	"lignum/core/env"
	"lignum/sim"
	"lignum/sim/paritytest"
)

func TestDiskParity(t *testing.T) {
	for _, sector := range []int64{512, 4096} {
		paritytest.Run(t, func(*testing.T) env.Disk {
			return sim.NewDisk(sim.DiskOptions{Seed: 1, SectorSize: sector})
		})
	}
}

func TestTooManyFiles(t *testing.T) {
	paritytest.RunLimited(t, sim.NewDisk(sim.DiskOptions{Seed: 1, MaxOpen: 20}), 20)
}
