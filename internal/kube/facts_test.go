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
	if err != nil || !strings.Contains(strings.Join(f.Missed, "\n"), "pods: the time ran out") || !strings.Contains(strings.Join(f.Missed, "\n"), "4 metrics were not asked for") || !strings.Contains(string(f.List), `"d"`) {
		t.Errorf("missed %q, %v, want what there was no time for, and the rest", f.Missed, err)
	}

	delete(a, "/apis/autoscaling/v2/namespaces/ml/horizontalpodautoscalers")
	if _, err := apiServer(t, a).Facts(t.Context(), "ml", ""); err == nil {
		t.Error("HPAs that cannot be read are no empty list")
	}
}
