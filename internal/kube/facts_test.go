package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// apiServer answers like an API server that serves some paths, and 404 for others;
// "hang" as an answer never comes.
func apiServer(t *testing.T, answers map[string]string) *Cluster {
	t.Helper()
	answers = maps.Clone(answers) // the caller may change his for the next one
	end := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		text, ok := answers[strings.TrimSuffix(r.URL.Path+"?"+r.URL.Query().Get("labelSelector"), "?")]
		status := struct{ Code int }{200}
		switch {
		case !ok:
			status.Code = 404
			text = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"not here"}`
		case text == "hang":
			select {
			case <-end:
			case <-r.Context().Done():
			}
			return
		default:
			_ = json.Unmarshal([]byte(text), &status)
		}
		w.WriteHeader(status.Code)
		fmt.Fprint(w, text)
	}))
	t.Cleanup(func() { close(end); s.Close() })
	c, err := New(&rest.Config{Host: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const fourMetrics = `{"kind":"HorizontalPodAutoscalerList","apiVersion":"autoscaling/v2","items":[{"metadata":{"name":"h","namespace":"ml"},"fieldOfTomorrow":1,
 "spec":{"maxReplicas":4,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"},"metrics":[
 {"type":"External","external":{"metric":{"name":"queue"},"target":{"type":"Value","value":"5"}}},
 {"type":"External","external":{"metric":{"name":"gone","selector":{"matchLabels":{"q":"a"}}},"target":{"type":"Value","value":"5"}}},
 {"type":"Pods","pods":{"metric":{"name":"running"},"target":{"type":"AverageValue","averageValue":"5"}}},
 {"type":"Object","object":{"metric":{"name":"hits"},"describedObject":{"apiVersion":"v1","kind":"Namespace","name":"ml"},"target":{"type":"Value","value":"5"}}}]}}]}`

func answers() map[string]string {
	return map[string]string{
		"/apis/autoscaling/v2/namespaces/ml/horizontalpodautoscalers": fourMetrics,
		"/apis": `{"kind":"APIGroupList","groups":[{"name":"apps","versions":[{"version":"v1"}]},{"name":"external.metrics.k8s.io","versions":[{"version":"v1beta1"}]},{"name":"custom.metrics.k8s.io","versions":[{"version":"v1beta2"},{"version":"v1beta1"}]}]}`,
		"/apis/apps/v1/namespaces/ml/deployments": `{"kind":"DeploymentList","apiVersion":"apps/v1","items":[{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"d","namespace":"ml"},"spec":{"selector":{"matchLabels":{"app":"d"}}}},
			{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"another","namespace":"ml"},"spec":{}}]}`,
		"/api/v1/nodes": `{"kind":"NodeList","apiVersion":"v1","items":[]}`,
		"/api/v1/namespaces/ml/pods": `{"kind":"PodList","apiVersion":"v1","items":[
			{"metadata":{"name":"d-1","namespace":"ml","labels":{"app":"d"}},"spec":{"containers":[{"name":"c","image":"i","env":[{"name":"TOKEN","value":"s3cret"}],"args":["--key=s3cret"]}]}},
			{"metadata":{"name":"other-1","namespace":"ml","labels":{"app":"other"}},"spec":{"containers":[{"name":"c"}]}}]}`,
		"/apis/external.metrics.k8s.io/v1beta1/namespaces/ml/queue":              `{"items":[{"metricName":"queue","value":"3"},{"metricName":"queue","value":"4"}]}`,
		"/apis/external.metrics.k8s.io/v1beta1/namespaces/ml/gone?q=a":           `{"items":[]}`,
		"/apis/custom.metrics.k8s.io/v1beta2/namespaces/ml/pods/*/running?app=d": `{"items":[{"value":"1"}]}`,
	}
}

func TestFactsAskForMetricsAsTheAutoscalerDoes(t *testing.T) {
	f, err := apiServer(t, answers()).Facts(t.Context(), "ml", "")
	if err != nil {
		t.Fatal(err)
	}
	got := f.Probes["ml/h"]
	for i, want := range []int{2, 0, 1, 0} {
		if p, asked := got[i]; !asked || p.Series != want {
			t.Errorf("metric %d: %+v (asked %v), want %d series", i, p, asked, want)
		}
	}
	if !strings.Contains(got[3].Why, "not here") {
		t.Errorf("a metric that the adapter does not know: %+v, want its words", got[3])
	}
	if f.Served["metrics.k8s.io"] == "" || f.Served["external.metrics.k8s.io"] != "" || len(f.Missed) > 0 {
		t.Errorf("served %v, missed %v, want metrics.k8s.io not served and all read", f.Served, f.Missed)
	}
	if text := string(f.List); !strings.Contains(text, "d-1") || strings.Contains(text, "other-1") || strings.Contains(text, "another") || strings.Contains(text, "s3cret") {
		t.Errorf("the objects are to be those of the HPA, and without what pods are told:\n%s", text)
	}
	facts, err := f.Doctor()
	if err != nil || !facts.Live || len(facts.Docs) != 3 || facts.Probes["ml/h"][0].Series != 2 {
		t.Errorf("for the doctor: %d objects, %v, %v; want the HPA, its target and its pod", len(facts.Docs), facts.Probes, err)
	}
}

func TestFactsSayWhatCouldNotBeRead(t *testing.T) {
	refused := func(what string) string {
		return `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"x is forbidden: User \"u\" cannot ` + what + ` in the namespace \"ml\""}`
	}
	a := answers()
	a["/api/v1/namespaces/ml/pods"] = refused(`list resource \"pods\" in API group \"\"`)
	a["/apis/external.metrics.k8s.io/v1beta1/namespaces/ml/queue"] = refused(`list resource \"queue\" in API group \"external.metrics.k8s.io\"`)
	a["/apis/external.metrics.k8s.io/v1beta1/namespaces/ml/gone?q=a"] = refused(`list resource \"gone\" in API group \"external.metrics.k8s.io\"`)
	f, err := apiServer(t, a).Facts(t.Context(), "ml", "")
	if err != nil || len(f.Missed) != 2 || !strings.Contains(f.Missed[0], "needs verb list on ") || !strings.HasPrefix(f.Missed[1], "pods: needs verb list on pods in ml: hpatune rbac doctor") {
		t.Errorf("missed %q, %v, want the verbs for pods and, once, for external metrics", f.Missed, err)
	}

	a = answers()
	a["/api/v1/namespaces/ml/pods"] = "hang"
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	f, err = apiServer(t, a).Facts(ctx, "ml", "")
	if err != nil || !strings.Contains(strings.Join(f.Missed, "\n"), "pods: time ran out") || !strings.Contains(strings.Join(f.Missed, "\n"), "4 metrics were not read") || !strings.Contains(string(f.List), `"d"`) {
		t.Errorf("missed %q, %v, want what there was no time for, and the rest", f.Missed, err)
	}

	delete(a, "/apis/autoscaling/v2/namespaces/ml/horizontalpodautoscalers")
	if _, err := apiServer(t, a).Facts(t.Context(), "ml", ""); err == nil {
		t.Error("HPAs that cannot be read are no empty list")
	}
}

// customAnswers are those of a cluster whose HPA scales a LeaderWorkerSet, which only discovery
// knows, and was made by KEDA.
func customAnswers() map[string]string {
	return map[string]string{
		"/apis/autoscaling/v2/namespaces/ml/horizontalpodautoscalers":            `{"kind":"HorizontalPodAutoscalerList","apiVersion":"autoscaling/v2","items":[` + kedaHPA + `]}`,
		"/apis/autoscaling/v2/namespaces/ml/horizontalpodautoscalers/keda-hpa-d": kedaHPA,
		"/api":    `{"kind":"APIVersions","versions":["v1"]}`,
		"/apis":   `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"leaderworkerset.x-k8s.io","versions":[{"groupVersion":"leaderworkerset.x-k8s.io/v1","version":"v1"}],"preferredVersion":{"groupVersion":"leaderworkerset.x-k8s.io/v1","version":"v1"}},{"name":"keda.sh","versions":[{"groupVersion":"keda.sh/v1alpha1","version":"v1alpha1"}]}]}`,
		"/api/v1": `{"kind":"APIResourceList","groupVersion":"v1","resources":[]}`,
		"/apis/leaderworkerset.x-k8s.io/v1": `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"leaderworkerset.x-k8s.io/v1","resources":[{"name":"leaderworkersets","singularName":"leaderworkerset","namespaced":true,"kind":"LeaderWorkerSet","verbs":["get","list"]},
			{"name":"leaderworkersets/scale","namespaced":true,"group":"autoscaling","version":"v1","kind":"Scale","verbs":["get"]}]}`,
		"/apis/keda.sh/v1alpha1": `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"keda.sh/v1alpha1","resources":[{"name":"scaledobjects","namespaced":true,"kind":"ScaledObject","verbs":["get"]}]}`,
		"/apis/leaderworkerset.x-k8s.io/v1/namespaces/ml/leaderworkersets/d": `{"kind":"LeaderWorkerSet","apiVersion":"leaderworkerset.x-k8s.io/v1","metadata":{"name":"d","namespace":"ml"},
			"spec":{"replicas":2,"leaderWorkerTemplate":{"size":2,"workerTemplate":{"spec":{"containers":[{"name":"c","image":"i"}]}}}}}`,
		"/apis/leaderworkerset.x-k8s.io/v1/namespaces/ml/leaderworkersets/d/scale": `{"kind":"Scale","apiVersion":"autoscaling/v1","spec":{"replicas":2},"status":{"replicas":2,"selector":"lws=d,worker-index=0"}}`,
		"/api/v1/nodes":                  `{"kind":"NodeList","apiVersion":"v1","items":[]}`,
		"/api/v1/namespaces/ml/services": `{"kind":"ServiceList","apiVersion":"v1","items":[]}`,
		"/api/v1/namespaces/ml/pods": `{"kind":"PodList","apiVersion":"v1","items":[
			{"metadata":{"name":"d-0","namespace":"ml","labels":{"lws":"d","worker-index":"0"}},"spec":{"containers":[{"name":"c","image":"i"}]}},
			{"metadata":{"name":"d-0-1","namespace":"ml","labels":{"lws":"d","worker-index":"1"}},"spec":{"containers":[{"name":"c","image":"i"}]}}]}`,
		"/api/v1/namespaces/ml/pods?lws=d,worker-index=0": `{"kind":"PodList","apiVersion":"v1","items":[
			{"metadata":{"name":"d-0","namespace":"ml","labels":{"lws":"d","worker-index":"0"}},"spec":{"containers":[{"name":"c","image":"i"}]}}]}`,
		"/apis/keda.sh/v1alpha1/namespaces/ml/scaledobjects":   `{"kind":"ScaledObjectList","apiVersion":"keda.sh/v1alpha1","items":[` + kedaObject + `]}`,
		"/apis/keda.sh/v1alpha1/namespaces/ml/scaledobjects/d": kedaObject,
	}
}

const kedaHPA = `{"kind":"HorizontalPodAutoscaler","apiVersion":"autoscaling/v2","metadata":{"name":"keda-hpa-d","namespace":"ml","ownerReferences":[{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject","name":"d","uid":"u","controller":true}]},
	"spec":{"maxReplicas":4,"scaleTargetRef":{"apiVersion":"leaderworkerset.x-k8s.io/v1","kind":"LeaderWorkerSet","name":"d"},"metrics":[{"type":"External","external":{"metric":{"name":"s0-prometheus","selector":{"matchLabels":{"scaledobject.keda.sh/name":"d"}}},"target":{"type":"AverageValue","averageValue":"5"}}}]}}`

const kedaObject = `{"kind":"ScaledObject","apiVersion":"keda.sh/v1alpha1","metadata":{"name":"d","namespace":"ml","managedFields":[{"manager":"x"}]},
	"spec":{"scaleTargetRef":{"apiVersion":"leaderworkerset.x-k8s.io/v1","kind":"LeaderWorkerSet","name":"d"},"maxReplicaCount":4,
	"triggers":[{"type":"prometheus","metadata":{"serverAddress":"http://p","query":"sum(x)","threshold":"5","customHeaders":"X-Key=s3cret"},"authenticationRef":{"name":"a"}}]},"status":{"hpaName":"keda-hpa-d"}}`

// TestFactsOfAnyKindWithAScale: a target that only discovery knows is read, and its pods by the
// selector of its scale.
func TestFactsOfAnyKindWithAScale(t *testing.T) {
	f, err := apiServer(t, customAnswers()).Facts(t.Context(), "ml", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range f.Missed {
		if strings.Contains(m, "LeaderWorkerSet") {
			t.Errorf("missed %q, want it read", m)
		}
	}
	if text := string(f.List); !strings.Contains(text, `"kind":"LeaderWorkerSet"`) || !strings.Contains(text, `"d-0"`) || strings.Contains(text, `"d-0-1"`) {
		t.Errorf("want the LeaderWorkerSet and the pods that its scale selects:\n%s", text)
	}

	a := customAnswers()
	delete(a, "/apis/leaderworkerset.x-k8s.io/v1/namespaces/ml/leaderworkersets/d/scale")
	if f, err = apiServer(t, a).Facts(t.Context(), "ml", ""); err != nil || !strings.Contains(strings.Join(f.Missed, "\n"), "scale of target LeaderWorkerSet/d in ml") {
		t.Errorf("without a scale: missed %q, %v, want that said", f.Missed, err)
	}
	a = customAnswers()
	delete(a, "/apis/leaderworkerset.x-k8s.io/v1")
	if f, err = apiServer(t, a).Facts(t.Context(), "ml", ""); err != nil || !strings.Contains(strings.Join(f.Missed, "\n"), "targets of kind LeaderWorkerSet: the cluster does not serve") {
		t.Errorf("a kind that is not served: missed %q, %v, want that said", f.Missed, err)
	}
}

// TestEveryWayLeadsToTheScaledObject: the HPA by its name, and its target by a kind that only
// discovery knows; the run keeps the object, without what its triggers are told of keys.
func TestEveryWayLeadsToTheScaledObject(t *testing.T) {
	c := apiServer(t, customAnswers())
	for name, find := range map[string]func() (*Subject, error){
		"--hpa": func() (*Subject, error) { return c.FindHPA(t.Context(), "ml", "keda-hpa-d") },
		"--target": func() (*Subject, error) {
			return c.FindTarget(t.Context(), "ml", "LeaderWorkerSet.v1.leaderworkerset.x-k8s.io/d")
		},
	} {
		s, err := find()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Scaled == nil || s.Scaled.GetName() != "d" || s.HPAOwner.Name != "d" || len(s.Pods) != 1 {
			t.Errorf("%s: ScaledObject %v (%v), owner %v, %d pods", name, s.Scaled, s.ScaledWhy, s.HPAOwner, len(s.Pods))
			continue
		}
		d, err := c.Describe(t.Context(), s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text := string(d.Files["scaledobject.yaml"])
		if !strings.Contains(text, "threshold: \"5\"") || !strings.Contains(text, "name: a") || strings.Contains(text, "s3cret") || strings.Contains(text, "managedFields") {
			t.Errorf("%s: the run keeps\n%s", name, text)
		}
	}
	a := customAnswers()
	delete(a, "/apis/keda.sh/v1alpha1/namespaces/ml/scaledobjects/d")
	s, err := apiServer(t, a).FindHPA(t.Context(), "ml", "keda-hpa-d")
	if err != nil || s.Scaled != nil || s.ScaledWhy == nil {
		t.Errorf("a ScaledObject that cannot be read: %v, %v, want the run to go on and say so", s, err)
	}
}
