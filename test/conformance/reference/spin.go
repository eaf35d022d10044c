package reference

import (
	"context"
	"errors"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	scaleclient "k8s.io/client-go/scale"

	"github.com/hpatune/hpatune/test/conformance/gen"
)

// Spin lets the real controller reconcile the scenario's first observation n times, as fast as
// its own queue allows (a sync period of 1 ns), and returns how long that took on the wall clock.
// All answers are in memory, so this is the controller's own time: queue, metrics client,
// decision, status and events. A write of the scale succeeds but is not stored, so an
// observation that scales does so each time.
func Spin(s *gen.Scenario, n int) (time.Duration, error) {
	w, err := newWorld(s)
	if err != nil {
		return 0, err
	}
	utilruntime.ErrorHandlers = nil
	spin := &spinning{scales: scales{w}, left: n, done: make(chan struct{})}
	w.scales, w.sync, w.i = spin, time.Nanosecond, 0
	w.start = time.Now().Truncate(time.Second)
	if err := w.setPods(s.Observations[0].Pods); err != nil {
		return 0, err
	}
	w.startController()
	defer func() { w.stop() }()
	select {
	case <-spin.done:
		return time.Since(spin.begin), nil
	case <-time.After(time.Minute):
		return 0, errors.New("the controller did not finish in a minute")
	}
}

type spinning struct {
	scales
	begin time.Time
	left  int
	done  chan struct{}
}

func (s *spinning) Scales(string) scaleclient.ScaleInterface { return s }

// Get is called only by the one worker that has the HPA.
func (s *spinning) Get(
	_ context.Context,
	_ schema.GroupResource,
	name string,
	_ metav1.GetOptions,
) (*autoscalingv1.Scale, error) {
	if s.begin.IsZero() {
		s.begin = time.Now()
	}
	if s.left == 0 {
		close(s.done)
	}
	s.left--
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec:       autoscalingv1.ScaleSpec{Replicas: s.w.s.InitialReplicas},
		Status:     autoscalingv1.ScaleStatus{Replicas: s.w.s.InitialReplicas, Selector: "app=" + targetName},
	}, nil
}

func (s *spinning) Update(
	_ context.Context,
	_ schema.GroupResource,
	scale *autoscalingv1.Scale,
	_ metav1.UpdateOptions,
) (*autoscalingv1.Scale, error) {
	return scale, nil
}
