package commitlog

import (
	"lignum/core/commitlog/checkpoint"
	"lignum/core/record"
)

// The endings of the files of a partition.
const (
	logSuffix      = ".log"
	indexSuffix    = ".index"
	timesSuffix    = ".timeindex"
	txnsSuffix     = ".txnindex"
	snapshotSuffix = ".snapshot"

	deletedSuffix = ".deleted"
	cleanedSuffix = ".cleaned"
	swapSuffix    = ".swap"
	tempSuffix    = ".tmp"
)

// Files without a base offset.
const (
	truncationFile = "truncation-checkpoint"
	startFile      = "log-start"
	receiptsFile   = "segment-receipts"
)

// nameDigits is the width of the offset in a file name.
const nameDigits = 20

// segmentSuffixes are the files that make a segment.
var segmentSuffixes = [...]string{logSuffix, indexSuffix, timesSuffix, txnsSuffix}

// fileName is the name of a file of a segment, or of a snapshot.
func fileName(base record.Offset, suffix string) string {
	var digits [nameDigits]byte
	for i, rest := nameDigits-1, uint64(base); i >= 0; i, rest = i-1, rest/10 {
		digits[i] = byte('0' + rest%10)
	}
	return string(digits[:]) + suffix
}

// parseName takes a file name apart; ok is false if it does not start with an offset and a dot.
func parseName(name string) (base record.Offset, suffix string, ok bool) {
	if len(name) <= nameDigits || name[nameDigits] != '.' {
		return 0, "", false
	}
	for _, c := range []byte(name[:nameDigits]) {
		if c < '0' || c > '9' || base > (1<<62)/10 {
			return 0, "", false
		}
		base = base*10 + record.Offset(c-'0')
	}
	return base, name[nameDigits:], true
}

// join puts a file name behind its directory.
func join(dir, name string) string { return checkpoint.Join(dir, name) }
