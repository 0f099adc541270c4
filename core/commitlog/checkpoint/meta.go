package checkpoint

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"lignum/core/invariant"
	"lignum/core/record"
)

// DirectoryID names a log directory for good, so that an empty disk is never taken for the one that was there (I6).
type DirectoryID [16]byte

// IsZero reports whether there is none.
func (d DirectoryID) IsZero() bool { return d == DirectoryID{} }

// String is the same text as a topic id's.
func (d DirectoryID) String() string { return record.TopicID(d).String() }

// ParseDirectoryID reads the text that String writes.
func ParseDirectoryID(s string) (DirectoryID, error) {
	id, err := record.ParseTopicID(s)
	return DirectoryID(id), err
}

// Meta is whose log directory it is.
type Meta struct {
	ClusterID string
	NodeID    record.NodeID
	// Directory is zero in the directories of Kafka before version 3.7.
	Directory DirectoryID
	// Quorum is the directory by which the metadata quorum knows this node, if that is not Directory: the metadata log was made anew in a
	// directory that had lost it. Otherwise zero.
	Quorum DirectoryID
}

// Keys of meta.properties. Version 1 is that of brokers without ZooKeeper.
const (
	metaVersion   = "version"
	metaCluster   = "cluster.id"
	metaNode      = "node.id"
	metaDirectory = "directory.id"
	metaQuorum    = "lignum.quorum.directory.id"
)

// EncodeMeta makes a meta.properties of version 1.
func EncodeMeta(m Meta) []byte {
	if m.ClusterID == "" || m.NodeID < 0 {
		invariant.Violated("meta.properties of node %d in cluster %q", m.NodeID, m.ClusterID)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s=%d\n", metaNode, m.NodeID)
	if !m.Directory.IsZero() {
		fmt.Fprintf(&out, "%s=%s\n", metaDirectory, m.Directory)
	}
	if !m.Quorum.IsZero() {
		fmt.Fprintf(&out, "%s=%s\n", metaQuorum, m.Quorum)
	}
	fmt.Fprintf(&out, "%s=1\n", metaVersion)
	fmt.Fprintf(&out, "%s=%s\n", metaCluster, escape(m.ClusterID))
	return []byte(metaSeal + sum(out.String()) + "\n" + out.String())
}

// ParseMeta reads a meta.properties of version 1. Keys that it does not know are passed over.
func ParseMeta(p []byte) (Meta, error) {
	m, err := parseMeta(p)
	if first, rest, _ := strings.Cut(string(p), "\n"); strings.HasPrefix(first, metaSeal) && err == nil {
		err = checkSum(first[len(metaSeal):], rest)
	}
	if err != nil {
		return Meta{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, MetaFile, err)
	}
	return m, nil
}

func parseMeta(p []byte) (Meta, error) {
	properties, err := parseProperties(string(p))
	if err != nil {
		return Meta{}, err
	}
	for _, key := range [...]string{metaVersion, metaCluster, metaNode} {
		if properties[key] == "" {
			return Meta{}, fmt.Errorf("no %s", key)
		}
	}
	if v := properties[metaVersion]; v != "1" {
		return Meta{}, fmt.Errorf("version %.40q, want 1", v)
	}
	node, err := Number(properties[metaNode], math.MaxInt32)
	if err != nil {
		return Meta{}, fmt.Errorf("%s: %w", metaNode, err)
	}
	m := Meta{ClusterID: properties[metaCluster], NodeID: record.NodeID(node)}
	if text, ok := properties[metaDirectory]; ok {
		if m.Directory, err = ParseDirectoryID(text); err != nil {
			return Meta{}, fmt.Errorf("%s: %w", metaDirectory, err)
		}
	}
	if text, ok := properties[metaQuorum]; ok {
		if m.Quorum, err = ParseDirectoryID(text); err != nil {
			return Meta{}, fmt.Errorf("%s: %w", metaQuorum, err)
		}
	}
	return m, nil
}

const special = "\\:=#! "

// escape writes a value as java.util.Properties does.
func escape(s string) string {
	var out strings.Builder
	for _, r := range s {
		switch {
		case strings.ContainsRune(special, r):
			out.WriteByte('\\')
			out.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&out, "\\u%04X", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// parseProperties reads the format of java.util.Properties, except that a value ends with its line: no program
// writes longer ones here.
func parseProperties(s string) (map[string]string, error) {
	all := make(map[string]string)
	for line := range strings.Lines(s) {
		line = strings.TrimLeft(strings.TrimRight(line, "\r\n"), " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, rest, err := unescape(line, "=: \t\f")
		if err != nil {
			return nil, err
		}
		rest = strings.TrimLeft(rest, " \t\f")
		if rest != "" && (rest[0] == '=' || rest[0] == ':') {
			rest = strings.TrimLeft(rest[1:], " \t\f")
		}
		value, _, err := unescape(rest, "")
		if err != nil {
			return nil, err
		}
		if _, ok := all[key]; ok {
			return nil, fmt.Errorf("%.40q is in it twice", key)
		}
		all[key] = value
	}
	return all, nil
}

var errEscape = errors.New("bad escape")

// unescape reads up to the first of the characters in end that is not escaped.
func unescape(s, end string) (text, rest string, err error) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '\\' {
			if strings.IndexByte(end, c) >= 0 {
				return out.String(), s[i:], nil
			}
			out.WriteByte(c)
			continue
		}
		if i++; i == len(s) {
			return "", "", errEscape
		}
		switch s[i] {
		case 't':
			out.WriteByte('\t')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 'f':
			out.WriteByte('\f')
		case 'u':
			if len(s)-i <= 4 {
				return "", "", errEscape
			}
			u, err := strconv.ParseUint(s[i+1:i+5], 16, 16)
			if err != nil {
				return "", "", errEscape
			}
			out.WriteRune(rune(u))
			i += 4
		default:
			out.WriteByte(s[i])
		}
	}
	return out.String(), "", nil
}
