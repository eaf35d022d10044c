package results

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// shards deals a run out to n load generators, each with tables and a clock of
// its own.
func shards(r *Run, n int) []*Run {
	out := make([]*Run, n)
	for k := range out {
		s := &Run{Meta: r.Meta}
		s.Meta.Start = r.Meta.Start.Add(time.Duration(k) * time.Second)
		s.Meta.Errors, s.Meta.Backends = nil, nil
		errs, backends := map[string]int32{}, map[string]int32{}
		for _, q := range r.Requests {
			if q.Arrival%n != k {
				continue
			}
			for _, d := range []*time.Duration{&q.Scheduled, &q.Sent, &q.First, &q.Last, &q.Done} {
				*d = moved(*d, -time.Duration(k)*time.Second)
			}
			if q.Err >= 0 {
				q.Err = intern(&s.Meta.Errors, errs, r.Meta.Errors[q.Err], r.Meta.Errors[q.Err])
			}
			if q.Backend >= 0 {
				q.Backend = intern(&s.Meta.Backends, backends, r.Meta.Backends[q.Backend].Name, r.Meta.Backends[q.Backend])
			}
			s.Requests = append(s.Requests, q)
		}
		out[k] = s
	}
	return out
}

func TestMergedShardsAreTheRun(t *testing.T) {
	whole := scaled(0.5)
	whole.Meta.Errors = []string{"EOF", "refused"}
	for i := range 20 {
		whole.Requests[i*31].Outcome, whole.Requests[i*31].Err = Reset, int32(i%2)
	}
	parts := shards(whole, 3)
	merged, err := Merge(parts...)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range merged.Requests {
		want := whole.Requests[i]
		if want.Err >= 0 && merged.Meta.Errors[got.Err] == whole.Meta.Errors[want.Err] {
			got.Err = want.Err
		}
		if want.Backend >= 0 && merged.Meta.Backends[got.Backend].Name == whole.Meta.Backends[want.Backend].Name {
			got.Backend = want.Backend
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("request %d: %+v, want %+v", i, got, want)
		}
	}
	if _, err := Merge(parts[0], parts[2]); err == nil || !strings.Contains(err.Error(), "333 arrivals are missing, the first is 1;") {
		t.Errorf("without a shard: %v", err)
	}
	if _, err := Merge(append(parts, parts[1])...); err == nil || !strings.Contains(err.Error(), "333 arrivals are there twice, the first is 1;") {
		t.Errorf("a shard twice: %v", err)
	}
	other := shards(whole, 3)
	other[1].Meta.Seed = 9
	if _, err := Merge(other...); err == nil || !strings.Contains(err.Error(), "profile or seed differs") {
		t.Errorf("another seed: %v", err)
	}
}

func TestAWarningOfSeveralShardsIsSaidOnce(t *testing.T) {
	one := func(id WarningID, text string) Warning { return Warning{At: time.Minute, ID: id, Text: text} }
	for _, tt := range []struct {
		name   string
		shards [3][]Warning
		want   []Warning
	}{
		{"each has it, with its own numbers", [3][]Warning{
			{one("not-streamed", "66 of 70 streamed answers came in one piece")},
			{one("not-streamed", "61 of 64 streamed answers came in one piece")},
			{one("not-streamed", "9 of 66 streamed answers came in one piece")},
		}, []Warning{one("not-streamed",
			"3 of 3 load generators report this, the first: 66 of 70 streamed answers came in one piece")}},
		{"one has it", [3][]Warning{{}, {one("odd-frames", "2 answers")}, {}}, []Warning{one("odd-frames", "2 answers")}},
		{"what one shard has twice stays", [3][]Warning{{one("x", "at 1 s"), one("x", "at 2 s")}, {}, {}},
			[]Warning{one("x", "at 1 s"), one("x", "at 2 s")}},
		{"other words stay apart", [3][]Warning{
			{one("observer-blind", "kube/pods: EOF")}, {one("observer-blind", "kube/hpa: EOF")}, {one("other", "kube/hpa: EOF")},
		}, []Warning{one("observer-blind", "kube/pods: EOF"), one("observer-blind", "kube/hpa: EOF"), one("other", "kube/hpa: EOF")}},
		{"names with numbers in them stay apart", [3][]Warning{
			{one("lost", "pod chat-7d9f-x1 is gone")}, {one("lost", "pod chat-7d9f-x2 is gone")}, {},
		}, []Warning{one("lost", "pod chat-7d9f-x1 is gone"), one("lost", "pod chat-7d9f-x2 is gone")}},
	} {
		parts := shards(scaled(0.5), 3)
		for k := range parts {
			parts[k].Meta.Start = parts[0].Meta.Start
			parts[k].Warnings = tt.shards[k]
		}
		merged, err := Merge(parts...)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(merged.Warnings, tt.want) {
			t.Errorf("%s: warnings %+v, want %+v", tt.name, merged.Warnings, tt.want)
		}
	}
}
