package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataTopic is the log that the quorum agrees on.
const metadataTopic = "__cluster_metadata"

func quorumCommand() *cobra.Command {
	q := &quorumClient{}
	cmd := &cobra.Command{
		Use:   "quorum",
		Short: "Look at the voters of the metadata quorum, add and remove them",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := cmd.PersistentFlags()
	f.StringSliceVar(&q.servers, "bootstrap-server", []string{defaultListen}, "addresses of brokers, host:port")
	f.DurationVar(&q.timeout, "timeout", 30*time.Second, "how long to wait for the answer")
	cmd.AddCommand(q.describeCommand(), q.addCommand(), q.removeCommand())
	return cmd
}

// quorumClient asks a cluster with Kafka's own requests; any broker passes them on to the active controller.
type quorumClient struct {
	servers []string
	timeout time.Duration
	node    voterFlags
}

// voterFlags name a voter.
type voterFlags struct {
	id                 int32
	directory, address string
}

func (q *quorumClient) describeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "describe",
		Short: "Tell who leads, who votes, who follows, and how far each is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return q.do(cmd.Context(), func(ctx context.Context, client *kgo.Client) error {
				d, err := describeQuorum(ctx, client)
				if err != nil {
					return err
				}
				cluster, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
				if err != nil {
					return fmt.Errorf("ask for the cluster's id: %w", err)
				}
				if cluster.ClusterID != nil {
					fmt.Fprintf(cmd.OutOrStdout(), "cluster %s, ", *cluster.ClusterID)
				}
				return d.print(cmd.OutOrStdout(), time.Now())
			})
		},
	}
}

func (q *quorumClient) addCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add-voter --id N --address HOST:PORT",
		Short: "Make a running controller a voter; returns when it votes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return q.do(cmd.Context(), func(ctx context.Context, client *kgo.Client) error {
				if err := q.add(ctx, client); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "node %d votes\n", q.node.id)
				return err
			})
		},
	}
	q.voterFlagsOf(cmd)
	cmd.Flags().StringVar(&q.node.address, "address", "", "the node's controller listener, host:port")
	_ = cmd.MarkFlagRequired("address") // the flag is there
	return cmd
}

func (q *quorumClient) removeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove-voter --id N",
		Short: "Take a node's vote away; it may be gone for good",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return q.do(cmd.Context(), func(ctx context.Context, client *kgo.Client) error {
				if err := q.remove(ctx, client); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "node %d does not vote any more\n", q.node.id)
				return err
			})
		},
	}
	q.voterFlagsOf(cmd)
	return cmd
}

func (q *quorumClient) voterFlagsOf(cmd *cobra.Command) {
	cmd.Flags().Int32Var(&q.node.id, "id", -1, "the node's id (node.id)")
	cmd.Flags().StringVar(&q.node.directory, "directory", "", "id of its data directory (meta.properties); default: what the quorum knows of the node")
	_ = cmd.MarkFlagRequired("id") // the flag is there
}

// do connects, and bounds the time.
func (q *quorumClient) do(ctx context.Context, what func(context.Context, *kgo.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(q.servers...), kgo.ClientID("lignum-quorum"))
	if err != nil {
		return usageError{err}
	}
	defer client.Close()
	if err := what(ctx, client); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("no answer within %v: %w", q.timeout, err)
		}
		return err
	}
	return nil
}

// quorumState is what DescribeQuorum tells.
type quorumState struct {
	kmsg.DescribeQuorumResponseTopicPartition
	nodes []kmsg.DescribeQuorumResponseNode
}

func describeQuorum(ctx context.Context, client *kgo.Client) (*quorumState, error) {
	r := kmsg.NewPtrDescribeQuorumRequest()
	r.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: metadataTopic, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}
	out, err := r.RequestWith(ctx, client)
	if err == nil {
		err = refusal(out.ErrorCode, out.ErrorMessage)
	}
	if err != nil {
		return nil, fmt.Errorf("describe the quorum: %w", err)
	}
	if len(out.Topics) != 1 || len(out.Topics[0].Partitions) != 1 {
		return nil, errors.New("describe the quorum: the answer is not about the metadata log")
	}
	p := out.Topics[0].Partitions[0]
	if err := refusal(p.ErrorCode, p.ErrorMessage); err != nil {
		return nil, fmt.Errorf("describe the quorum: %w", err)
	}
	return &quorumState{p, out.Nodes}, nil
}

// refusal is the error that an answer tells.
func refusal(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err == nil || message == nil || *message == "" {
		return err
	}
	return fmt.Errorf("%w (%s)", err, *message)
}

// print writes one line for each node.
func (d *quorumState) print(out io.Writer, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "leader %d, epoch %d, high watermark %d\n\n", d.LeaderID, d.LeaderEpoch, d.HighWatermark)
	fmt.Fprintln(w, "node\trole\tlog end\tlag\tlast fetch\tcaught up\taddress\tdirectory")
	end := d.HighWatermark
	for _, r := range d.CurrentVoters {
		end = max(end, r.LogEndOffset)
	}
	line := func(r kmsg.DescribeQuorumResponseTopicPartitionReplicaState, role string) {
		if r.ReplicaID == d.LeaderID {
			role = "leader"
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", r.ReplicaID, role, r.LogEndOffset, max(end-r.LogEndOffset, 0),
			ago(now, r.LastFetchTimestamp), ago(now, r.LastCaughtUpTimestamp), d.address(r.ReplicaID), base64.RawURLEncoding.EncodeToString(r.ReplicaDirectoryID[:]))
	}
	for _, r := range d.CurrentVoters {
		line(r, "voter")
	}
	for _, r := range d.Observers {
		line(r, "observer")
	}
	return w.Flush()
}

// ago is a time in milliseconds, as a person takes it.
func ago(now time.Time, millis int64) string {
	if millis < 0 {
		return "-"
	}
	return max(now.Sub(time.UnixMilli(millis)), 0).Round(10*time.Millisecond).String() + " ago"
}

// address is a voter's controller listener.
func (d *quorumState) address(node int32) string {
	for _, n := range d.nodes {
		if n.NodeID == node && len(n.Listeners) > 0 {
			return net.JoinHostPort(n.Listeners[0].Host, strconv.Itoa(int(n.Listeners[0].Port)))
		}
	}
	return "-"
}

// directoryIn finds the directory of a node: as it was given, or else as the quorum knows it.
func (v voterFlags) directoryIn(d *quorumState) (id [16]byte, err error) {
	if v.directory != "" {
		p, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(v.directory, "="))
		if err != nil || len(p) != len(id) {
			return id, usageError{fmt.Errorf("--directory %q: want 22 characters, as in meta.properties", v.directory)}
		}
		return [16]byte(p), nil
	}
	for _, list := range [][]kmsg.DescribeQuorumResponseTopicPartitionReplicaState{d.CurrentVoters, d.Observers} {
		for _, r := range list {
			if r.ReplicaID == v.id {
				return r.ReplicaDirectoryID, nil
			}
		}
	}
	return id, fmt.Errorf("the quorum does not know node %d: start it, or give --directory", v.id)
}

func (q *quorumClient) add(ctx context.Context, client *kgo.Client) error {
	host, port, err := net.SplitHostPort(q.node.address)
	number, faulty := strconv.ParseUint(port, 10, 16)
	if err != nil || faulty != nil || host == "" {
		return usageError{fmt.Errorf("--address %q: want host:port", q.node.address)}
	}
	d, err := describeQuorum(ctx, client)
	if err != nil {
		return err
	}
	r := kmsg.NewPtrAddRaftVoterRequest()
	r.VoterID, r.TimeoutMillis = q.node.id, int32(min(q.timeout.Milliseconds(), 1<<31-1))
	if r.VoterDirectoryID, err = q.node.directoryIn(d); err != nil {
		return err
	}
	l := kmsg.NewAddRaftVoterRequestListener()
	l.Name, l.Host, l.Port = d.listener(), host, uint16(number)
	r.Listeners = append(r.Listeners, l)
	out, err := r.RequestWith(ctx, client)
	if err == nil {
		err = refusal(out.ErrorCode, out.ErrorMessage)
	}
	if err != nil {
		return fmt.Errorf("add voter %d: %w", q.node.id, err)
	}
	return nil
}

// listener is the name of the controllers' listener.
func (d *quorumState) listener() string {
	for _, n := range d.nodes {
		if len(n.Listeners) > 0 {
			return n.Listeners[0].Name
		}
	}
	return "CONTROLLER"
}

// remove asks again if the quorum's leader changes meanwhile, as it does if it is the leader that is removed.
func (q *quorumClient) remove(ctx context.Context, client *kgo.Client) error {
	for asked := false; ; asked = true {
		d, err := describeQuorum(ctx, client)
		if err != nil {
			return err
		}
		if asked && !d.votes(q.node.id) {
			return nil
		}
		r := kmsg.NewPtrRemoveRaftVoterRequest()
		r.VoterID = q.node.id
		if r.VoterDirectoryID, err = q.node.directoryIn(d); err != nil {
			return err
		}
		out, err := r.RequestWith(ctx, client)
		if err == nil {
			err = refusal(out.ErrorCode, out.ErrorMessage)
		}
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, kerr.NotLeaderForPartition) || ctx.Err() != nil:
			return fmt.Errorf("remove voter %d: %w", q.node.id, err)
		}
	}
}

// votes reports whether a node is a voter.
func (d *quorumState) votes(node int32) bool {
	return slices.ContainsFunc(d.CurrentVoters, func(r kmsg.DescribeQuorumResponseTopicPartitionReplicaState) bool { return r.ReplicaID == node })
}
