package metadata

import "lignum/core/record"

func (*NoOperation) appendFields(*writer)       {}
func (*NoOperation) readFields(*reader, uint64) {}

func (b *BrokerRegistered) appendFields(w *writer) {
	w.varint(int64(b.ID))
	w.varint(int64(b.Epoch))
	w.bytes(b.Incarnation[:])
	appendUUIDs(w, b.Directories)
	w.text(b.Rack)
	w.uvarint(uint64(len(b.Endpoints)))
	for _, e := range b.Endpoints {
		w.text(e.Listener)
		w.text(e.Host)
		w.uvarint(uint64(e.Port))
		w.varint(int64(e.Protocol))
	}
	w.uvarint(uint64(len(b.Features)))
	for _, f := range b.Features {
		w.text(f.Name)
		w.varint(int64(f.Min))
		w.varint(int64(f.Max))
	}
	w.boolean(b.Fenced)
	w.boolean(b.ShuttingDown)
	w.varint(int64(b.Changed))
}

func (b *BrokerRegistered) readFields(r *reader, version uint64) {
	b.ID = narrow[record.NodeID](r)
	b.Epoch = BrokerEpoch(r.varint())
	b.Incarnation = r.uuid()
	b.Directories = readUUIDs(r)
	b.Rack = r.text()
	for range r.count(4) {
		e := Endpoint{Listener: r.text(), Host: r.text()}
		port := r.uvarint()
		if port > 65535 {
			r.fail()
		}
		e.Port, e.Protocol = uint16(port), narrow[int16](r)
		b.Endpoints = append(b.Endpoints, e)
	}
	for range r.count(3) {
		b.Features = append(b.Features, FeatureRange{Name: r.text(), Min: narrow[int16](r), Max: narrow[int16](r)})
	}
	b.Fenced, b.ShuttingDown = r.boolean(), r.boolean()
	b.Changed = record.NoOffset
	if version >= 1 {
		b.Changed = record.Offset(r.varint())
	}
}

func (b *BrokerChanged) appendFields(w *writer) {
	w.varint(int64(b.ID))
	w.varint(int64(b.Epoch))
	w.boolean(b.Fenced)
	w.boolean(b.ShuttingDown)
	appendUUIDs(w, b.Failed)
}

func (b *BrokerChanged) readFields(r *reader, version uint64) {
	b.ID, b.Epoch = narrow[record.NodeID](r), BrokerEpoch(r.varint())
	b.Fenced, b.ShuttingDown = r.boolean(), r.boolean()
	if version >= 1 {
		b.Failed = readUUIDs(r)
	}
}

func (b *BrokerUnregistered) appendFields(w *writer) {
	w.varint(int64(b.ID))
	w.varint(int64(b.Epoch))
}

func (b *BrokerUnregistered) readFields(r *reader, _ uint64) {
	b.ID, b.Epoch = narrow[record.NodeID](r), BrokerEpoch(r.varint())
}

func (t *TopicCreated) appendFields(w *writer) {
	w.bytes(t.ID[:])
	w.text(t.Name)
}

func (t *TopicCreated) readFields(r *reader, _ uint64) {
	t.ID, t.Name = record.TopicID(r.uuid()), r.text()
}

func (t *TopicDeleted) appendFields(w *writer) { w.bytes(t.ID[:]) }

func (t *TopicDeleted) readFields(r *reader, _ uint64) { t.ID = record.TopicID(r.uuid()) }

func (p *PartitionChanged) appendFields(w *writer) {
	w.bytes(p.Topic[:])
	w.varint(int64(p.Index))
	appendNumbers(w, p.Replicas)
	appendUUIDs(w, p.Directories)
	appendNumbers(w, p.ISR)
	appendNumbers(w, p.ELR)
	appendNumbers(w, p.LastKnownELR)
	appendNumbers(w, p.Adding)
	appendNumbers(w, p.Removing)
	w.varint(int64(p.Leader))
	w.varint(int64(p.LeaderEpoch))
	w.varint(int64(p.Epoch))
	w.boolean(p.Recovering)
	w.varint(int64(p.MinISR))
	w.uvarint(uint64(p.Flush))
}

func (p *PartitionChanged) readFields(r *reader, version uint64) {
	p.Topic, p.Index = record.TopicID(r.uuid()), narrow[int32](r)
	p.Replicas = readNumbers[record.NodeID](r)
	p.Directories = readUUIDs(r)
	p.ISR = readNumbers[record.NodeID](r)
	p.ELR = readNumbers[record.NodeID](r)
	p.LastKnownELR = readNumbers[record.NodeID](r)
	p.Adding = readNumbers[record.NodeID](r)
	p.Removing = readNumbers[record.NodeID](r)
	p.Leader = narrow[record.NodeID](r)
	p.LeaderEpoch = narrow[record.Epoch](r)
	p.Epoch = narrow[PartitionEpoch](r)
	p.Recovering = r.boolean()
	p.MinISR = 1
	if version >= 1 {
		p.MinISR = narrow[int32](r)
		flush := r.uvarint()
		if flush > uint64(FlushSynced) {
			r.fail()
		}
		p.Flush = Flush(flush)
	}
}

func (t *TopicConfigured) appendFields(w *writer) {
	w.bytes(t.Topic[:])
	w.text(t.Key)
	w.text(t.Value)
	w.boolean(t.Removed)
}

func (t *TopicConfigured) readFields(r *reader, _ uint64) {
	t.Topic, t.Key, t.Value, t.Removed = record.TopicID(r.uuid()), r.text(), r.text(), r.boolean()
}

func (b *BrokerConfigured) appendFields(w *writer) {
	w.varint(int64(b.Broker))
	w.text(b.Key)
	w.text(b.Value)
	w.boolean(b.Removed)
}

func (b *BrokerConfigured) readFields(r *reader, _ uint64) {
	b.Broker, b.Key, b.Value, b.Removed = narrow[record.NodeID](r), r.text(), r.text(), r.boolean()
}

func (g *GroupConfigured) appendFields(w *writer) {
	w.text(g.Group)
	w.text(g.Key)
	w.text(g.Value)
	w.boolean(g.Removed)
}

func (g *GroupConfigured) readFields(r *reader, _ uint64) {
	g.Group, g.Key, g.Value, g.Removed = r.text(), r.text(), r.text(), r.boolean()
}

func (a *ProducerIDsAllocated) appendFields(w *writer) {
	w.varint(int64(a.Broker))
	w.varint(int64(a.Epoch))
	w.varint(int64(a.Next))
}

func (a *ProducerIDsAllocated) readFields(r *reader, _ uint64) {
	a.Broker, a.Epoch, a.Next = narrow[record.NodeID](r), BrokerEpoch(r.varint()), record.ProducerID(r.varint())
}

func (f *FeatureSet) appendFields(w *writer) {
	w.text(f.Name)
	w.varint(int64(f.Level))
}

func (f *FeatureSet) readFields(r *reader, _ uint64) { f.Name, f.Level = r.text(), narrow[int16](r) }
