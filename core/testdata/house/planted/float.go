package planted

import (
	"math"
	"strconv"
	"time"
)

type ratio float64 // want float

type quota struct {
	share ratio   // want float
	rate  float32 // want float
}

const half = 0.5 // want float

const million = 1e6 // want float

func scaled(n int, d time.Duration) int {
	r := ratio(n)                       // want float
	s := d.Seconds()                    // want float
	t, _ := strconv.ParseFloat("1", 64) // want float
	_ = complex(1, 2)                   // want float
	_ = r                               // want float
	_, _ = s, t                         // want float
	return int(math.Sqrt(4))            // want float
}

func integers(n int) int { return min(n*3/4, math.MaxInt32) }
