package planted

import (
	"maps"
	"slices"
)

type votes map[int]bool

func tally(v votes, m map[string]int) (n int, keys []string) {
	for id := range v { // want order
		n += id
	}
	// want-below order
	//house:anyorder
	for _, c := range m { // want order
		n += c
	}
	//house:anyorder a sum is the same in every order
	for _, c := range m {
		n += c
	}
	for k := range maps.Keys(m) { // want order
		keys = append(keys, k)
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		keys = append(keys, k)
	}
	for i := range keys {
		n += i
	}
	// want-below order
	//house:anyorder not before a loop
	n++
	return n, slices.Collect(maps.Keys(m)) // want order
}

func either[M ~map[K]V, K comparable, V any](m M, s []K) (n int) {
	for range m { // want order
		n++
	}
	for range s {
		n++
	}
	return n
}
