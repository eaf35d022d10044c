package results

import "testing"

func TestQuotaRoom(t *testing.T) {
	gpus := Quota{Name: "gpus", Resource: "requests.nvidia.com/gpu", Hard: 8, Used: 5, Own: 3, PerPod: 1}
	for _, tt := range []struct {
		sentence string
		quotas   []Quota
		room     int32
		says     string // "" = there is none
	}{
		{"no quota", nil, 0, ""},
		{"others take two of eight GPUs", []Quota{gpus}, 6, "ResourceQuota gpus allows 8 of requests.nvidia.com/gpu, others use 2 and a pod takes 1, so at most 6 replicas are admitted"},
		{"the tighter of two", []Quota{gpus, {Name: "all", Resource: "pods", Hard: 4, Used: 3, Own: 3, PerPod: 1}}, 4, "ResourceQuota all allows 4 of pods and a pod takes 1, so at most 4 replicas are admitted"},
		{"tenths of cores do not lose a pod", []Quota{{Name: "cpu", Resource: "requests.cpu", Hard: 0.3, PerPod: 0.1}}, 3, "ResourceQuota cpu allows 0.3 of requests.cpu and a pod takes 0.1, so at most 3 replicas are admitted"},
		{"others have all of it", []Quota{{Name: "q", Resource: "pods", Hard: 4, Used: 9, PerPod: 1}}, 0, "ResourceQuota q allows 4 of pods, others use 9 and a pod takes 1, so at most 0 replicas are admitted"},
		{"what a pod takes none of binds nobody", []Quota{{Name: "q", Resource: "requests.cpu", Hard: 4}}, 0, ""},
	} {
		q, ok := Workload{Quotas: tt.quotas}.Tightest()
		if ok != (tt.says != "") || ok && (q.Room() != tt.room || q.String() != tt.says) {
			t.Errorf("%s: Tightest = %q, %v; want %q", tt.sentence, q, ok, tt.says)
		}
	}
}
