package api

import "lignum/core/wire"

// distinct keeps the first of each, in their order. An element of a request is short, and what answers it may be long: who asks for the same thing a
// million times is told it once.
func distinct[T any, K comparable](list []T, key func(*T) K) []T {
	if len(list) < 2 {
		return list
	}
	seen := make(map[K]struct{}, len(list))
	keep := list[:0]
	for i := range list {
		k := key(&list[i])
		if _, twice := seen[k]; !twice {
			seen[k] = struct{}{}
			keep = append(keep, list[i])
		}
	}
	return keep
}

// same is the key of what is its own.
func same(s *string) string { return *s }

// topicIndex names a partition as clients do.
type topicIndex struct {
	topic string
	index int32
}

// maxUnknown is how many partitions that there are not a fetch may ask for: one that has not heard of them all, or of new ones already, does. Each takes a few hundred
// bytes for as long as the request waits.
const maxUnknown = 10_000

// plausible reports whether a client may want so many partitions.
func (h *Handlers) plausible(n int) bool {
	if n <= maxUnknown {
		return true
	}
	for _, t := range h.Image.Topics() {
		n -= len(t.Partitions)
	}
	return n <= maxUnknown
}

// numberWanted is how many partitions a fetch names.
func numberWanted(r *wire.FetchRequest) (n int) {
	for i := range r.Topics {
		n += len(r.Topics[i].Partitions)
	}
	return n
}
