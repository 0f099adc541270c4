package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestMain makes the binary a member of a group where the environment says so.
func TestMain(m *testing.M) {
	name := os.Getenv(envMember)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := runMember(name); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runMember(name string) error {
	p, err := beMember(os.Stdin)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		<-p.ended
		stop()
	}()
	switch name {
	case "franz":
		return p.franz(ctx)
	case "sarama":
		return p.sarama(ctx)
	case "kafka-go":
		return p.kafkaGo(ctx)
	}
	return fmt.Errorf("no client %q", name)
}

// The times of members of classic groups.
const (
	memberSession   = 6 * time.Second
	memberHeartbeat = 500 * time.Millisecond
	commitLimit     = 5 * time.Second
)

func (p *memberProcess) franz(ctx context.Context) error {
	life := context.Background() // longer than ctx: for the orderly end
	if p.Protocol == "consumer" {
		life = context.WithValue(life, "opt_in_kafka_next_gen_balancer_beta", true) //nolint:staticcheck // the client's own key
	}
	o := []kgo.Opt{
		kgo.WithContext(life), kgo.SeedBrokers(strings.Split(p.Broker, ",")...), kgo.ConsumerGroup(p.Group), kgo.ConsumeTopics(p.Topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(memberSession), kgo.HeartbeatInterval(memberHeartbeat), kgo.FetchMaxWait(100 * time.Millisecond),
	}
	if p.Instance != "" {
		o = append(o, kgo.InstanceID(p.Instance))
	}
	c, err := kgo.NewClient(o...)
	if err != nil {
		return err
	}
	defer c.Close()
	for ctx.Err() == nil {
		var values []string
		c.PollRecords(ctx, 100).EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
		if len(values) == 0 {
			continue
		}
		if err := p.say(values); err != nil {
			return err
		}
		// It may fail while there is no coordinator: what was read is read again then, or committed with what comes next.
		limit, cancel := context.WithTimeout(life, commitLimit)
		_ = c.CommitUncommittedOffsets(limit)
		cancel()
	}
	return nil
}

func (p *memberProcess) sarama(ctx context.Context) error {
	c := saramaConfig()
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Group.Session.Timeout, c.Consumer.Group.Heartbeat.Interval = memberSession, memberHeartbeat
	c.Consumer.Group.InstanceId = p.Instance
	group, err := sarama.NewConsumerGroup(strings.Split(p.Broker, ","), p.Group, c)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{p.Topic}, saramaMember{p}); err != nil && !errors.Is(err, sarama.ErrClosedConsumerGroup) {
			fmt.Fprintln(os.Stderr, "consume:", err)
			time.Sleep(200 * time.Millisecond)
		}
	}
	return group.Close()
}

// saramaMember handles what sarama reads.
type saramaMember struct{ *memberProcess }

func (saramaMember) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (s saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			if err := s.say([]string{string(m.Value)}); err != nil {
				return err
			}
			session.MarkMessage(m, "")
			session.Commit()
		case <-session.Context().Done():
			return nil
		}
	}
}

func (p *memberProcess) kafkaGo(ctx context.Context) error {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: strings.Split(p.Broker, ","), GroupID: p.Group, Topic: p.Topic, StartOffset: kafka.FirstOffset, MaxWait: 100 * time.Millisecond,
		SessionTimeout: memberSession, HeartbeatInterval: memberHeartbeat, RebalanceTimeout: 10 * time.Second, JoinGroupBackoff: 200 * time.Millisecond, MaxAttempts: 100,
	})
	for ctx.Err() == nil {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			if ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "fetch:", err)
				time.Sleep(200 * time.Millisecond)
			}
			continue
		}
		if err := p.say([]string{string(m.Value)}); err != nil {
			return err
		}
		limit, cancel := context.WithTimeout(context.Background(), commitLimit)
		_ = r.CommitMessages(limit, m) // as above
		cancel()
	}
	return r.Close()
}
