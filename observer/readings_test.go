package observer

import (
	"reflect"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hpatune/hpatune/results"
)

// On a real cluster a third of the syncs on a Pods metric had no input, since the
// adapter said something else to the controller than to us.
func TestFindWhatTheControllerWasTold(t *testing.T) {
	pod := func(name string, milli int64, at time.Duration) results.PodValue {
		return results.PodValue{Pod: name, Milli: milli, At: at}
	}
	const sync = 20 * time.Second
	s := results.Sync{At: sync, Status: 3, Pods: []results.PodState{
		{Name: "a", Phase: "Running"}, {Name: "b", Phase: "Running"}, {Name: "new", Phase: "Pending"},
		{Name: "going", Phase: "Running", Deleted: true},
	}}
	x := &metrics{custom: map[int][]customLook{0: {
		{at: 12 * time.Second, pods: []results.PodValue{pod("a", 100, 12*time.Second)}, series: []int64{900}},
		{at: 18 * time.Second, series: []int64{700, 100}, pods: []results.PodValue{
			pod("a", 300, 18*time.Second), pod("b", 500, 18*time.Second), pod("going", 9000, 18*time.Second)}},
	}}}
	pods := &autoscalingv2.MetricSpec{Pods: &autoscalingv2.PodsMetricSource{}}
	external := &autoscalingv2.MetricSpec{External: &autoscalingv2.ExternalMetricSource{}}
	milli := func(v int64) *resource.Quantity { return resource.NewMilliQuantity(v, resource.DecimalSI) }
	average := func(v int64) *autoscalingv2.MetricStatus {
		at := autoscalingv2.MetricValueStatus{AverageValue: milli(v)}
		return &autoscalingv2.MetricStatus{
			Pods: &autoscalingv2.PodsMetricStatus{Current: at}, External: &autoscalingv2.ExternalMetricStatus{Current: at}}
	}
	for _, tt := range []struct {
		name   string
		spec   *autoscalingv2.MetricSpec
		status *autoscalingv2.MetricStatus
		pods   []results.PodValue
		values []int64
	}{
		{"the look whose average is the status's", pods, average(400), x.custom[0][1].pods, nil},
		{"no look has it: each running pod of the nearest look has the average", pods, average(431),
			[]results.PodValue{pod("a", 431, sync), pod("b", 431, sync)}, nil},
		{"an older look has it", pods, average(100), x.custom[0][0].pods, nil},
		{"the look whose sum over the pods is the status's average, rounded up", external, average(267), nil, []int64{700, 100}},
		{"no look has it: the average times the pods", external, average(250), nil, []int64{750}},
		{"a total that no look has", external, &autoscalingv2.MetricStatus{External: &autoscalingv2.ExternalMetricStatus{
			Current: autoscalingv2.MetricValueStatus{Value: milli(123)}}}, nil, []int64{123}},
	} {
		got, ok := x.find(0, tt.spec, tt.status, &s)
		if !ok || !reflect.DeepEqual(got.Pods, tt.pods) || !reflect.DeepEqual(got.Values, tt.values) {
			t.Errorf("%s: %+v %v, want pods %+v or values %v", tt.name, got, ok, tt.pods, tt.values)
		}
	}
	x.custom[0] = append(x.custom[0], customLook{at: 22 * time.Second, pods: []results.PodValue{pod("a", 300, sync), pod("b", 500, sync)}})
	if got, ok := x.find(0, pods, average(431), &s); !ok || len(got.Pods) != 2 {
		t.Errorf("the same pods before and after: %+v %v, want both with the average", got, ok)
	}
	x.custom[0][2].pods = x.custom[0][2].pods[:1]
	if got, ok := x.find(0, pods, average(431), &s); ok {
		t.Errorf("other pods after than before: %+v, want none: it is not known which were counted", got)
	}
	if got, ok := new(metrics).find(0, pods, average(400), &s); ok {
		t.Errorf("without any look: %+v, want none: which pods were counted is not known", got)
	}
}

// A metric that counts is whole: 4 over 6 replicas is told as 667m, and 6·667m is not 4.
func TestTotalOfAnAverage(t *testing.T) {
	external := &autoscalingv2.MetricSpec{External: &autoscalingv2.ExternalMetricSource{}}
	looks := func(milli ...int64) (out []customLook) {
		for i, v := range milli {
			out = append(out, customLook{at: time.Duration(i) * time.Second, series: []int64{v}})
		}
		return out
	}
	for _, tt := range []struct {
		name     string
		average  int64
		replicas int32
		looks    []customLook
		want     int64
	}{
		{"a count over six", 667, 6, looks(3000, 0), 4000},
		{"a count that divides evenly", 1500, 2, looks(0), 3000},
		{"no whole number is near", 671, 6, looks(3000, 0), 4026},
		{"a metric that was no count", 667, 6, looks(3000, 2500), 4002},
		{"nothing was seen of it", 667, 6, nil, 4002},
	} {
		x := &metrics{custom: map[int][]customLook{0: tt.looks}}
		current := autoscalingv2.MetricValueStatus{AverageValue: resource.NewMilliQuantity(tt.average, resource.DecimalSI)}
		got, ok := x.find(0, external, &autoscalingv2.MetricStatus{External: &autoscalingv2.ExternalMetricStatus{Current: current}},
			&results.Sync{At: time.Minute, Status: tt.replicas})
		if !ok || !reflect.DeepEqual(got.Values, []int64{tt.want}) {
			t.Errorf("%s: %v %v, want %d", tt.name, got.Values, ok, tt.want)
		}
	}
}
