package inspect

import (
	"bytes"
	"strings"

	"lignum/core/metadata"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/sim"
)

// checkpointEnd is how the names of the metadata log's checkpoints end; see core/quorum.
const checkpointEnd = ".checkpoint"

// Image holds the broker's image of the metadata against the fold of the metadata log, in the directory that Live has just looked at (M5). An image
// may be ahead of its node's log, if the node has asked another one for what was committed.
func (x *Inspector) Image(have *metadata.Image) {
	dir := x.fold.dir
	image, from, err := x.imageOf(dir, have.Offset())
	if err != nil {
		x.check("M5", false, "%s: the newest checkpoint cannot be read: %v", dir, err)
		return
	}
	for _, s := range x.fold.segments {
		content, _ := x.peek(sim.Cached, dir+"/"+segmentName(s.base, logEnd))
		for rest := content; len(rest) > 0; {
			b, after, err := record.Next(rest)
			if err != nil || b.BaseOffset() > have.Offset() {
				break
			}
			if rest = after; b.BaseOffset() <= from {
				continue
			}
			if err := applyEntry(image, b); !x.check("M5", err == nil, "%s: the entry at offset %d cannot be read: %v", dir, b.BaseOffset(), err) {
				return
			}
		}
	}
	if image.Offset() != have.Offset() || image.Epoch() != have.Epoch() {
		return
	}
	x.check("M5", bytes.Equal(image.Snapshot(), have.Snapshot()), "%s: the image as of offset %d is not what the log says", dir, have.Offset())
}

// imageOf reads the newest checkpoint that is not beyond an offset. from is the offset of the last entry in it.
func (x *Inspector) imageOf(dir string, most record.Offset) (image *metadata.Image, from record.Offset, err error) {
	image, from = metadata.New(), record.NoOffset
	for _, name := range x.fold.names {
		if !strings.HasSuffix(name, checkpointEnd) {
			continue
		}
		content, _ := x.peek(sim.Cached, dir+"/"+name)
		index, snapshot, err := quorum.CheckpointImage(content)
		if err != nil {
			return nil, 0, err
		}
		at := record.Offset(index) - 1
		if at > most {
			continue
		}
		if image, err = metadata.DecodeSnapshot(snapshot); err != nil {
			return nil, 0, err
		}
		from = at
	}
	return image, from, nil
}

// applyEntry applies an entry of the metadata log.
func applyEntry(image *metadata.Image, b record.Batch) error {
	return b.Each(record.Limits{}, func(r record.Record) error {
		if len(r.Key) != 2 || r.Key[1] != 0 || len(r.Value) == 0 {
			image.Apply(metadata.Position{Offset: b.BaseOffset(), Epoch: b.LeaderEpoch()}, nil) // the quorum's own
			return nil
		}
		records, err := metadata.DecodeRecords(r.Value)
		if err == nil {
			image.Apply(metadata.Position{Offset: b.BaseOffset(), Epoch: b.LeaderEpoch()}, records)
		}
		return err
	})
}
