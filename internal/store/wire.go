package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/hpatune/hpatune/internal/secrets"
	"github.com/hpatune/hpatune/results"
)

// secs is a duration or an instant in records.jsonl: seconds, to the
// nanosecond; null = it did not happen.
type secs time.Duration

func (s secs) MarshalJSON() ([]byte, error) {
	if !results.Happened(time.Duration(s)) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', -1, 64), nil
}

func (s *secs) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*s = secs(results.NotYet)
		return nil
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.Abs(f) > math.MaxInt64/1e9 {
		return fmt.Errorf("seconds: %s is not a number of seconds", b)
	}
	*s = secs(math.Round(f * 1e9))
	return nil
}

// The lines of records.jsonl. A line is {"type": …} and the fields of one of
// these; absent fields are zero or none.
type (
	podLine struct {
		At       secs             `json:"at_s"`
		Name     string           `json:"pod"`
		Phase    results.PodPhase `json:"phase"`
		Node     string           `json:"node,omitempty"`
		Backend  string           `json:"backend,omitempty"`
		Restarts int              `json:"restarts,omitempty"`
	}
	syncLine struct {
		At         secs            `json:"at_s"`
		Spec       int32           `json:"spec_replicas"`
		Status     int32           `json:"status_replicas"`
		Desired    int32           `json:"desired_replicas"`
		Replicas   int32           `json:"replicas"`
		Reason     string          `json:"reason,omitempty"`
		Selector   string          `json:"selector,omitempty"`
		Conditions []conditionLine `json:"conditions,omitempty"`
		Pods       []podStateLine  `json:"pods,omitempty"`
		Metrics    []readingLine   `json:"metrics,omitempty"`
		Err        string          `json:"error,omitempty"`
		Restart    bool            `json:"restart,omitempty"`
	}
	conditionLine struct {
		Type    string `json:"type"`
		Status  string `json:"status"`
		Reason  string `json:"reason,omitempty"`
		Message string `json:"message,omitempty"`
	}
	podStateLine struct {
		Name           string          `json:"pod"`
		Phase          string          `json:"phase,omitempty"`
		Ready          string          `json:"ready,omitempty"`
		ReadySince     secs            `json:"ready_since_s"`
		Started        secs            `json:"started_s"`
		Deleted        bool            `json:"deleted,omitempty"`
		Containers     []containerLine `json:"containers,omitempty"`
		PodCPUMilli    int64           `json:"cpu_milli"`
		PodMemoryBytes int64           `json:"memory_bytes"`
	}
	containerLine struct {
		Name        string `json:"name"`
		CPUMilli    int64  `json:"cpu_milli"`
		MemoryBytes int64  `json:"memory_bytes"`
		Init        bool   `json:"init,omitempty"`
		Sidecar     bool   `json:"sidecar,omitempty"`
	}
	readingLine struct {
		Metric string         `json:"metric"`
		Pods   []podValueLine `json:"pods,omitempty"`
		Values []int64        `json:"values_milli,omitempty"`
		Err    string         `json:"error,omitempty"`
	}
	podValueLine struct {
		Pod       string `json:"pod"`
		Container string `json:"container,omitempty"`
		Milli     int64  `json:"value_milli"`
		At        secs   `json:"at_s"`
		Window    secs   `json:"window_s,omitempty"`
	}
	endpointsLine struct {
		At    secs     `json:"at_s"`
		Ready []string `json:"ready"`
	}
	eventLine struct {
		At      secs   `json:"at_s"`
		Source  string `json:"source,omitempty"`
		Object  string `json:"object"`
		Type    string `json:"event_type,omitempty"`
		Reason  string `json:"reason"`
		Message string `json:"message,omitempty"`
	}
	gapLine struct {
		Source string `json:"source"`
		From   secs   `json:"from_s"`
		To     secs   `json:"to_s"`
		Why    string `json:"why"`
	}
	offsetLine struct {
		At     secs `json:"at_s"`
		Shard  int  `json:"shard"`
		Offset secs `json:"offset_s"`
		Error  secs `json:"error_s"`
	}
	warningLine struct {
		At   secs   `json:"at_s"`
		ID   string `json:"id"`
		Text string `json:"text"`
	}
	nameLine struct {
		Table   results.Table `json:"table"`
		Index   int32         `json:"index"`
		Text    string        `json:"text"`
		Address string        `json:"address,omitempty"`
	}
)

// convert maps a slice, keeping nil.
func convert[A, B any](as []A, f func(A) B) []B {
	if as == nil {
		return nil
	}
	bs := make([]B, len(as))
	for i, a := range as {
		bs[i] = f(a)
	}
	return bs
}

func toSync(s results.Sync) syncLine {
	return syncLine{
		At: secs(
			s.At,
		),
		Spec:       s.Spec,
		Status:     s.Status,
		Desired:    s.Desired,
		Replicas:   s.Replicas,
		Reason:     s.Reason,
		Selector:   s.Selector,
		Conditions: convert(s.Conditions, func(c results.Condition) conditionLine { return conditionLine(c) }),
		Pods: convert(s.Pods, func(p results.PodState) podStateLine {
			return podStateLine{
				p.Name,
				p.Phase,
				p.Ready,
				secs(p.ReadySince),
				secs(p.Started),
				p.Deleted,
				convert(
					p.Containers,
					func(c results.ContainerState) containerLine { return containerLine(c) },
				),
				p.PodCPUMilli,
				p.PodMemoryBytes,
			}
		}),
		Metrics: convert(s.Metrics, func(m results.Reading) readingLine {
			return readingLine{m.Metric, convert(m.Pods, func(v results.PodValue) podValueLine {
				return podValueLine{v.Pod, v.Container, v.Milli, secs(v.At), secs(v.Window)}
			}), m.Values, m.Err}
		}),
		Err:     secrets.Message(s.Err),
		Restart: s.Restart,
	}
}

func fromSync(s syncLine) results.Sync {
	return results.Sync{
		At: time.Duration(
			s.At,
		),
		Spec:       s.Spec,
		Status:     s.Status,
		Desired:    s.Desired,
		Replicas:   s.Replicas,
		Reason:     s.Reason,
		Selector:   s.Selector,
		Conditions: convert(s.Conditions, func(c conditionLine) results.Condition { return results.Condition(c) }),
		Pods: convert(s.Pods, func(p podStateLine) results.PodState {
			return results.PodState{
				Name:       p.Name,
				Phase:      p.Phase,
				Ready:      p.Ready,
				ReadySince: time.Duration(p.ReadySince),
				Started:    time.Duration(p.Started),
				Deleted:    p.Deleted,
				Containers: convert(
					p.Containers,
					func(c containerLine) results.ContainerState { return results.ContainerState(c) },
				),
				PodCPUMilli:    p.PodCPUMilli,
				PodMemoryBytes: p.PodMemoryBytes,
			}
		}),
		Metrics: convert(s.Metrics, func(m readingLine) results.Reading {
			return results.Reading{Metric: m.Metric, Pods: convert(m.Pods, func(v podValueLine) results.PodValue {
				return results.PodValue{
					Pod:       v.Pod,
					Container: v.Container,
					Milli:     v.Milli,
					At:        time.Duration(v.At),
					Window:    time.Duration(v.Window),
				}
			}), Values: m.Values, Err: m.Err}
		}),
		Err:     s.Err,
		Restart: s.Restart,
	}
}

// writeLine appends r as one line.
func writeLine(b *bytes.Buffer, r results.Record) error {
	switch r := r.(type) {
	case results.Pod:
		return line(b, "pod", podLine{secs(r.At), r.Name, r.Phase, r.Node, r.Backend, r.Restarts})
	case results.Sync:
		return line(b, "sync", toSync(r))
	case results.Endpoints:
		return line(b, "endpoints", endpointsLine{secs(r.At), r.Ready})
	case results.Event:
		return line(b, "event", eventLine{secs(r.At), r.Source, r.Object, r.Type, r.Reason, secrets.Message(r.Message)})
	case results.Gap:
		return line(b, "gap", gapLine{string(r.Source), secs(r.From), secs(r.To), secrets.Message(r.Why)})
	case results.Offset:
		return line(b, "offset", offsetLine{secs(r.At), r.Shard, secs(r.Offset), secs(r.Error)})
	case results.Warning:
		return line(b, "warning", warningLine{secs(r.At), string(r.ID), secrets.Message(r.Text)})
	case results.Name:
		r.Text = secrets.Message(r.Text)
		return line(b, "name", nameLine(r))
	}
	return fmt.Errorf("record %T has no line", r)
}

// line writes {"type":"kind", …the fields of v}.
func line(b *bytes.Buffer, kind string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	fmt.Fprintf(b, `{"type":%q,`, kind)
	b.Write(data[1:])
	b.WriteByte('\n')
	return nil
}

// readLine adds the record of one line to run; names go to the tables. Kinds of later
// versions are skipped.
func readLine(data []byte, run *results.Run, t *tables) error {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return err
	}
	switch head.Type {
	case "pod":
		return take(data, &run.Pods, func(l podLine) results.Pod {
			return results.Pod{
				At:       time.Duration(l.At),
				Name:     l.Name,
				Phase:    l.Phase,
				Node:     l.Node,
				Backend:  l.Backend,
				Restarts: l.Restarts,
			}
		})
	case "sync":
		return take(data, &run.Syncs, fromSync)
	case "endpoints":
		return take(data, &run.Endpoints, func(l endpointsLine) results.Endpoints {
			return results.Endpoints{At: time.Duration(l.At), Ready: l.Ready}
		})
	case "event":
		return take(data, &run.Events, func(l eventLine) results.Event {
			return results.Event{
				At:      time.Duration(l.At),
				Source:  l.Source,
				Object:  l.Object,
				Type:    l.Type,
				Reason:  l.Reason,
				Message: l.Message,
			}
		})
	case "gap":
		return take(data, &run.Gaps, func(l gapLine) results.Gap {
			return results.Gap{
				Source: results.GapSource(l.Source),
				From:   time.Duration(l.From),
				To:     time.Duration(l.To),
				Why:    l.Why,
			}
		})
	case "offset":
		return take(data, &run.Offsets, func(l offsetLine) results.Offset {
			return results.Offset{
				At:     time.Duration(l.At),
				Shard:  l.Shard,
				Offset: time.Duration(l.Offset),
				Error:  time.Duration(l.Error),
			}
		})
	case "warning":
		return take(data, &run.Warnings, func(l warningLine) results.Warning {
			return results.Warning{At: time.Duration(l.At), ID: results.WarningID(l.ID), Text: l.Text}
		})
	case "name":
		var n nameLine
		if err := json.Unmarshal(data, &n); err != nil {
			return err
		}
		t.name(results.Name(n))
	}
	return nil
}

func take[L, R any](data []byte, list *[]R, from func(L) R) error {
	var l L
	if err := json.Unmarshal(data, &l); err != nil {
		return err
	}
	*list = append(*list, from(l))
	return nil
}
