package storage

import (
	"slices"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/record"
)

// SetQuorumDirectory writes down by which directory the metadata quorum knows this node from now on. done is called once that is durable.
func (s *Store) SetQuorumDirectory(id checkpoint.DirectoryID, done func(error)) {
	if s.failure != nil {
		done(s.failure)
		return
	}
	meta, disk := s.meta, s.Disk
	meta.Quorum = id
	s.Jobs.Start(laneFiles, func() func() {
		err := checkpoint.Write(disk, rootDir, checkpoint.MetaFile, checkpoint.EncodeMeta(meta))
		return func() {
			if err != nil {
				s.fail(err)
			} else {
				s.meta, err = meta, s.failure
			}
			done(err)
		}
	})
}

// Identify says whose directory it must be that is offline because it does not tell, by its name: there is no other of that name. It can be set
// aside from then on.
func (s *Store) Identify(id record.Partition, topic string) {
	dir := dirName(topic, id.Index)
	at := slices.IndexFunc(s.offline, func(o Offline) bool { return o.Dir == dir && o.ID.Topic == record.TopicID{} })
	if at < 0 {
		return
	}
	s.offline[at].ID, s.offline[at].named = id, true
	s.offline = slices.DeleteFunc(s.offline, func(o Offline) bool { return o.ID == id && o.Dir == "" }) // of what the journal has of it
}
