package reference

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hpatune/hpatune/test/conformance/gen"
)

// reasons lists the reasons that conditions and events can have, except for
// AmbiguousSelector (it needs a second HPA, and a scenario has one) and
// InvalidMetricSourceType (the API server refuses such an HPA).
var reasons = []string{
	"AbleToScale=True SucceededGetScale", "AbleToScale=True ReadyForNewScale", "AbleToScale=True ScaleDownStabilized",
	"AbleToScale=True ScaleUpStabilized", "AbleToScale=True SucceededRescale", "AbleToScale=False FailedGetScale", "AbleToScale=False FailedUpdateScale",
	"ScalingActive=True ValidMetricFound", "ScalingActive=False FailedGetResourceMetric", "ScalingActive=False FailedGetContainerResourceMetric",
	"ScalingActive=False FailedGetPodsMetric", "ScalingActive=False FailedGetObjectMetric", "ScalingActive=False FailedGetExternalMetric",
	"ScalingActive=False InvalidSelector", "ScalingActive=False ScalingDisabled",
	"ScalingLimited=True ScaleUpLimit", "ScalingLimited=True ScaleDownLimit", "ScalingLimited=True TooManyReplicas", "ScalingLimited=True TooFewReplicas",
	"ScalingLimited=False DesiredWithinRange", "ScaledToZero=True ScaledToZero", "ScaledToZero=False NotScaledToZero",
	"event SuccessfulRescale", "event FailedGetScale", "event SelectorRequired", "event InvalidSelector", "event FailedGetResourceMetric",
	"event FailedGetContainerResourceMetric", "event FailedGetPodsMetric", "event FailedGetObjectMetric", "event FailedGetExternalMetric",
	"event FailedComputeMetricsReplicas", "event FailedRescale", "event FailedUpdateStatus",
}

// Every generated scenario can be run: the API server's part accepts it, and each
// observation is exactly one reconcile. Together they produce every reason that the
// controller can give.
func TestScenariosRun(t *testing.T) {
	heard := map[string]bool{}
	for n := range uint64(300) {
		b, err := json.Marshal(gen.New(1, n))
		if err != nil {
			t.Fatal(err)
		}
		s, err := gen.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			results, err := Run(s, synctest.Wait)
			if err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			for _, r := range results {
				for _, c := range r.Conditions {
					heard[c.Type+"="+c.Status+" "+c.Reason] = true
				}
				for _, e := range r.Events {
					heard["event "+e.Reason] = true
				}
			}
		})
	}
	for _, r := range reasons {
		if !heard[r] {
			t.Errorf("no scenario made the controller say %q", r)
		}
	}
}

// Two controllers return the same for the same scenario, whatever the order of maps.
func TestSameScenarioSameResults(t *testing.T) {
	for n := range uint64(20) {
		var runs [2][]gen.Result
		for i := range runs {
			synctest.Test(t, func(t *testing.T) {
				r, err := Run(gen.New(2, n), synctest.Wait)
				if err != nil {
					t.Fatal(err)
				}
				runs[i] = r
			})
		}
		for i := range runs[0] {
			a, b := runs[0][i], runs[1][i]
			if a.Replicas != b.Replicas || a.DesiredReplicas != b.DesiredReplicas || len(a.Conditions) != len(b.Conditions) {
				t.Errorf("scenario %d, observation %d: %+v, then %+v", n, i, a, b)
			}
		}
	}
}

// A time that the real controller's queue does not allow is refused, not adjusted.
func TestObservationsBeforeTheQueueAreRefused(t *testing.T) {
	s := gen.New(1, 0)
	s.Observations = s.Observations[:2]
	*s.Observations[1].At = *s.Observations[0].At + 1
	s.Observations[1].HPA = nil
	synctest.Test(t, func(t *testing.T) {
		if _, err := Run(s, synctest.Wait); err == nil || !strings.Contains(err.Error(), "the queue releases the next reconcile at") {
			t.Errorf("Run = %v, want the time at which the queue releases it", err)
		}
	})
}
