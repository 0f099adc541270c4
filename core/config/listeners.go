package config

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// Listener is one address that the node listens on.
type Listener struct {
	Name string // e.g. PLAINTEXT
	Host string // empty: all interfaces
	Port uint16 // 0: any free port
	// Controller: the listener is for the metadata quorum and not for clients.
	Controller bool
}

// Endpoint is an address that peers are told.
type Endpoint struct {
	Listener string
	Host     string
	Port     uint16
}

// reachable is the host that others on the same machine can use.
func (l Listener) reachable() string {
	if everywhere(l.Host) {
		return "localhost"
	}
	return l.Host
}

// Voter is a member of the metadata quorum as the configuration names it.
type Voter struct {
	ID   int32
	Host string
	Port uint16
}

// Address is the voter's host:port.
func (v Voter) Address() string {
	host := v.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(v.Port))
}

// clusterOf makes the cluster id that voters share who were not given one: 16 bytes in base64url, as Kafka's are.
func clusterOf(voters []Voter) string {
	sorted := slices.SortedFunc(slices.Values(voters), func(a, b Voter) int { return cmp.Compare(a.ID, b.ID) })
	hash := fnv.New128a()
	for _, v := range sorted {
		fmt.Fprintf(hash, "%d@%s,", v.ID, v.Address())
	}
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil))
}

const listenersWanted = "name://host:port for each listener, separated by commas, with each name once"

// parseListeners reads name://host:port,...; ok is false if there is a fault.
func parseListeners(v string) (all []Endpoint, ok bool) {
	for _, item := range splitList(v) {
		name, address, found := strings.Cut(item, "://")
		if !found || !listenerName(name) {
			return nil, false
		}
		host, port, ok := parseHostPort(address)
		if !ok {
			return nil, false
		}
		name = strings.ToUpper(name)
		for _, other := range all {
			if other.Listener == name {
				return nil, false
			}
		}
		all = append(all, Endpoint{Listener: name, Host: host, Port: port})
	}
	return all, len(all) > 0
}

func listenerName(name string) bool {
	for _, c := range name {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	return name != ""
}

// parseHostPort reads host:port and [host]:port, where the host may be empty.
func parseHostPort(v string) (host string, port uint16, ok bool) {
	i := strings.LastIndexByte(v, ':')
	if i < 0 {
		return "", 0, false
	}
	host = v[:i]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	} else if strings.ContainsAny(host, ":[]/@ \t") {
		return "", 0, false
	}
	n, err := strconv.ParseUint(v[i+1:], 10, 16)
	return host, uint16(n), err == nil
}

func listenerList(v string) string {
	if _, ok := parseListeners(v); !ok {
		return listenersWanted
	}
	return ""
}

func advertisedListeners(v string) string {
	all, ok := parseListeners(v)
	if !ok {
		return listenersWanted
	}
	for _, e := range all {
		if everywhere(e.Host) && e.Host != "" {
			return "an address that clients can reach, which " + e.Host + " is not"
		}
	}
	return ""
}

// everywhere reports a host that stands for all interfaces.
func everywhere(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

// parseProtocolMap reads name:protocol,... into pairs.
func parseProtocolMap(v string) (pairs Overrides, want string) {
	for _, item := range splitList(v) {
		name, protocol, found := strings.Cut(item, ":")
		name, protocol = strings.ToUpper(strings.TrimSpace(name)), strings.ToUpper(strings.TrimSpace(protocol))
		switch protocol {
		case "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL":
		default:
			found = false
		}
		if !found || !listenerName(name) {
			return nil, "name:protocol pairs with the protocols PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"
		}
		if _, twice := pairs.Value(name); twice {
			return nil, "each listener name once"
		}
		pairs = pairs.With(name, protocol)
	}
	return pairs, ""
}

func protocolMap(v string) string {
	_, want := parseProtocolMap(v)
	return want
}

// parseVoters reads id@host:port,...
func parseVoters(v string) (voters []Voter, want string) {
	for _, item := range splitList(v) {
		id, address, found := strings.Cut(item, "@")
		n, err := strconv.ParseInt(id, 10, 32)
		host, port, ok := parseHostPort(address)
		if !found || err != nil || n < 0 || !ok || host == "" {
			return nil, "id@host:port for each voter, separated by commas"
		}
		for _, other := range voters {
			if other.ID == int32(n) {
				return nil, fmt.Sprintf("each voter once, but %d is there twice", n)
			}
		}
		voters = append(voters, Voter{ID: int32(n), Host: host, Port: port})
	}
	return voters, ""
}

func quorumVoters(v string) string {
	_, want := parseVoters(v)
	return want
}

func hostPorts(v string) string {
	for _, item := range splitList(v) {
		if host, port, ok := parseHostPort(item); !ok || host == "" || port == 0 {
			return "host:port for each server, separated by commas"
		}
	}
	return ""
}

func queuedBytes(v string) string {
	if n, err := strconv.ParseInt(v, 10, 64); err != nil || n == 0 || n < -1 {
		return "a whole number above 0, or -1"
	}
	return ""
}

// throttledReplicas checks "*" or a list of partition:broker pairs.
func throttledReplicas(v string) string {
	if v == "*" {
		return ""
	}
	for _, item := range splitList(v) {
		partition, broker, found := strings.Cut(item, ":")
		_, err1 := strconv.ParseUint(partition, 10, 31)
		_, err2 := strconv.ParseUint(broker, 10, 31)
		if !found || err1 != nil || err2 != nil {
			return "* or a list of partition:broker pairs"
		}
	}
	return ""
}
