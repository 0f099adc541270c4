package config

import "strings"

// UnknownKey is the fault of a key that is not a setting, with the nearest one if there is one that looks like it.
type UnknownKey struct {
	Key     string
	Nearest string // "" if nothing is near
	Reason  string // why the key is refused, if it is one that Kafka has or had
}

// Error makes the fault readable.
func (u UnknownKey) Error() string {
	switch {
	case u.Reason != "":
		return "key " + u.Key + " is not accepted: " + u.Reason
	case u.Nearest != "":
		return "unknown key " + u.Key + ": did you mean " + u.Nearest + "?"
	default:
		return "unknown key " + u.Key
	}
}

// unknown explains a key that is in none of the tables given.
func unknown(name string, table []Key) UnknownKey {
	if reason, ok := refusedKeys[name]; ok {
		return UnknownKey{Key: name, Reason: reason}
	}
	for _, f := range refusedFamilies {
		if strings.HasPrefix(name, f.prefix) && len(name) > len(f.prefix) {
			return UnknownKey{Key: name, Reason: f.reason}
		}
	}
	return UnknownKey{Key: name, Nearest: nearest(name, table)}
}

const longestGuessed = 128 // bytes; a longer name is not compared, so that a hostile one costs little

// nearest returns the key of the table with the least edit distance to name, if that is small beside the name's length.
func nearest(name string, table []Key) string {
	if len(name) > longestGuessed {
		return ""
	}
	// Names that differ by case and by - or _ for a dot are what people write, so those differences are free.
	name = strings.NewReplacer("_", ".", "-", ".").Replace(strings.ToLower(name))
	best, least := "", min(len(name)/3+1, 8)
	for i := range table {
		if difference := len(name) - len(table[i].Name); max(difference, -difference) >= least {
			continue
		}
		if d := editDistance(name, table[i].Name); d < least {
			best, least = table[i].Name, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func editDistance(a, b string) int {
	two, one, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := one[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(one[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one, row = one, row, two
	}
	return one[len(b)]
}
