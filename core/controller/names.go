package controller

import (
	"errors"
	"fmt"
	"strings"
)

// maxTopicName leaves room for "-<partition>" within the 255 bytes of a file name, up to 99999; the name of a directory on its way out is cut.
const maxTopicName = 249

// MetadataTopic is the name under which the metadata log is known; no topic may have it.
const MetadataTopic = "__cluster_metadata"

// ValidTopicName returns what is wrong with a topic's name, nil if nothing.
func ValidTopicName(name string) error {
	switch {
	case name == "":
		return errors.New("topic name is empty")
	case name == "." || name == "..":
		return fmt.Errorf("topic name %q stands for a directory", name)
	case len(name) > maxTopicName:
		return fmt.Errorf("topic name %.20q... has %d characters, at most %d are allowed", name, len(name), maxTopicName)
	}
	for i := range len(name) {
		if !nameByte(name[i]) {
			return fmt.Errorf("topic name %q has a character that is not an ASCII letter or digit, '.', '_' or '-'", name)
		}
	}
	return nil
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// unified is what a topic's name becomes where '.' is written as '_', as in names of metrics. Two topics must not become the same.
func unified(name string) string { return strings.ReplaceAll(name, ".", "_") }
