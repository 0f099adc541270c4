package planted

import (
	"errors"
	"hash/crc32"
	"slices"
	"strings"
)

// Read only: errors and tables.
var (
	errGone    = errors.New("gone")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	names      = [...]string{"none", "gzip"}
	byName     = map[string]struct{ code int16 }{"none": {0}}
	columns    = []func(int) int{func(n int) int { return n }}
	_          = castagnoli
	zeroes     [16]byte
	weights    = map[int]int{}
	steps      = []int{3, 1, 2}
	total      int
	shared     cell
	errLater   error
)

var pool = new(cell) // want state

var hook = func() {} // want state

var anything any = 1 // want state

var replacer = strings.NewReplacer("a", "b") // want state

var rows = map[string]*cell{} // want state

type cell struct{ n int }

func (c *cell) bump()     { c.n++ }
func (c cell) value() int { return c.n }

func change(by map[int]int) {
	total++                       // want write
	weights[1] = 2                // want write
	zeroes[0], by[3] = 1, 2       // want write
	shared.n += 1                 // want write
	shared.bump()                 // want write
	p := &total                   // want write
	slices.Sort(steps)            // want write
	delete(weights, 1)            // want write
	copy(zeroes[4:], "x")         // want write
	steps = append(steps[:1], *p) // want write
	errLater = errGone            // want write
	for total = range 3 {         // want write
		clear(weights) // want write
	}
	crc32.IEEETable[0] = 1 // want write
	_ = &names             // want write
}

func read(i int) (int, string, error) {
	local := shared
	local.bump()
	local.n++
	zeroes := zeroes
	zeroes[0] = 1
	return columns[0](int(byName["none"].code)) + shared.value(), names[i], errGone
}
