package tuner

import (
	"strings"
	"testing"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

func TestAQuotaBoundsWhatIsRecommended(t *testing.T) {
	quotas := []results.Quota{{Name: "q", Resource: "pods", Hard: 6, PerPod: 1}}
	for _, tt := range []struct {
		sentence    string
		quotas      []results.Quota
		limit, now  int32
		want        int32
		says, lacks string
	}{
		{"no quota", nil, 0, 10, 0, "", "quota"},
		{"a quota below the present maximum", quotas, 0, 10, 6, "at most 6 replicas are admitted; no candidate has more (maxReplicas is 10 now", ""},
		{"a quota above it", quotas, 0, 4, 6, "no candidate has more", "maxReplicas is"},
		{"a lower limit of the user's", quotas, 5, 10, 5, "", "quota"},
		{"a higher one", quotas, 8, 10, 6, "ResourceQuota q allows 6 of pods", ""},
	} {
		o := Options{Space: Space{MaxLimit: tt.limit}, Current: hpa.DefaultConfig(tt.now)}
		said := strings.Join(o.admitted(&results.Run{Meta: results.Meta{Workload: results.Workload{Quotas: tt.quotas}}}), "")
		if o.Space.MaxLimit != tt.want || !strings.Contains(said, tt.says) || tt.lacks != "" && strings.Contains(said, tt.lacks) {
			t.Errorf("%s: at most %d, %q; want %d, %q", tt.sentence, o.Space.MaxLimit, said, tt.want, tt.says)
		}
	}
}

// The replays never have a pod that a quota refuses, whatever the HPA wants.
func TestAQuotaBoundsTheReplays(t *testing.T) {
	b := newBenchOf(t, clockwork(t, 1200, func(w *replay.World) { w.Admitted = 3 }), nil, Options{}, "ttft.p95 < 500ms")
	var s replay.Scratch
	got, want := hoursOf(b.try(sized(9), 1, &s)), 3*1200.0/3600
	if got > want+1e-9 || got < want*0.9 {
		t.Errorf("%v replica-hours of nine wanted pods, want those of the three that are admitted (%v)", got, want)
	}
}
