package checkpoint

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// Kafka's small files have no checksum, and a bit that rots in one of their numbers makes another number (L7). So Lignum seals what it
// writes, where Kafka does not look: a file of lines with 32 spaces and tabs behind its last line, one for each bit of the CRC-32C, for
// columns end at any white space; meta.properties in a comment; partition.metadata in a third line. What Kafka has written has no seal and is taken as it is.
const (
	sealBits   = 32
	metaSeal   = "#checksum="
	sealedLine = "checksum: "
)

func checksum(text string) uint32 {
	return crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli))
}

// sealLines puts the seal behind the last line of a file that ends with it.
func sealLines(text string) string {
	text = strings.TrimSuffix(text, "\n")
	var out strings.Builder
	out.Grow(len(text) + sealBits + 1)
	out.WriteString(text)
	sum := checksum(text)
	for bit := range sealBits {
		out.WriteByte(" \t"[sum>>bit&1])
	}
	out.WriteByte('\n')
	return out.String()
}

// checkLines checks the seal of a file without its last end of line, if there is one.
func checkLines(text string) error {
	bare := strings.TrimRight(text, " \t")
	seal := text[len(bare):]
	if seal == "" {
		return nil
	}
	sum := uint32(0)
	for bit := 0; bit < len(seal) && bit < sealBits; bit++ {
		if seal[bit] == '\t' {
			sum |= 1 << bit
		}
	}
	if len(seal) != sealBits || sum != checksum(bare) {
		return fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	return nil
}

// sum is a checksum as text.
func sum(text string) string { return fmt.Sprintf("%08x", checksum(text)) }

// checkSum compares a checksum as text.
func checkSum(want, text string) error {
	if n, err := strconv.ParseUint(want, 16, 32); err != nil || len(want) != 8 || uint32(n) != checksum(text) {
		return fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	return nil
}
