package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestInferDetectsLanguagesOnceLoaded(t *testing.T) {
	s := newServer(2, 1) // English and German
	srv := httptest.NewServer(s.handler())
	defer srv.Close()
	do := func(method, path, body string) (int, string) {
		req, _ := http.NewRequest(method, srv.URL+path, strings.NewReader(body))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	ask := `{"id":"7","inputs":[{"name":"text","shape":[2],"datatype":"BYTES","data":["languages are awesome","Sprachen sind großartig"]}]}`
	if code, _ := do("GET", "/v2/health/live", ""); code != 200 {
		t.Errorf("live while loading = %d, want 200", code)
	}
	if code, _ := do("GET", "/v2/models/lingua/ready", ""); code != 503 {
		t.Errorf("ready while loading = %d, want 503", code)
	}
	if code, _ := do("POST", "/v2/models/lingua/infer", ask); code != 503 {
		t.Errorf("infer while loading = %d, want 503", code)
	}
	s.load()
	if code, _ := do("GET", "/v2/health/ready", ""); code != 200 {
		t.Errorf("ready when loaded = %d, want 200", code)
	}
	code, body := do("POST", "/v2/models/lingua/infer", ask)
	var got struct {
		ID      string
		Outputs []struct {
			Name string
			Data []any
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 {
		t.Fatalf("infer = %d %s (%v)", code, body, err)
	}
	if o := got.Outputs[0]; got.ID != "7" || o.Name != "language" || o.Data[0] != "EN" || o.Data[1] != "DE" {
		t.Errorf("infer = %s, want EN and DE under id 7", body)
	}
	for _, tt := range []struct{ name, path, body, says string }{
		{"a shape that is not the data's", "/v2/models/lingua/infer", `{"inputs":[{"name":"text","shape":[2],"datatype":"BYTES","data":["x"]}]}`, "shape [2], but 1"},
		{"another input", "/v2/models/lingua/infer", `{"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":["x"]}]}`, "named text"},
		{"another model", "/v2/models/ocr/infer", ask, "not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if code, body := do("POST", tt.path, tt.body); code < 400 || code > 404 || !strings.Contains(body, tt.says) {
				t.Errorf("POST %s = %d %s, want 4xx with %q", tt.path, code, body, tt.says)
			}
		})
	}
	if _, body := do("GET", "/metrics", ""); !strings.Contains(body, `request_predict_total{code="200"} 1`) {
		t.Errorf("/metrics does not count the one good answer:\n%s", body)
	}
}
