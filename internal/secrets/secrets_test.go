package secrets

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestText(t *testing.T) {
	const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
	for _, tt := range []struct{ name, text, want string }{
		{"an OpenAI key in a sentence", "Incorrect API key provided: sk-proj-abc123DEF456.", "Incorrect API key provided: REDACTED."},
		{"a GitHub token", "clone with ghp_0123456789abcdefABCDEF0123456789abcd", "clone with REDACTED"},
		{"a Slack token", "xoxb-123456789012-abcdef", "REDACTED"},
		{"an AWS key id", "id AKIAIOSFODNN7EXAMPLE!", "id REDACTED!"},
		{"a Hugging Face token", "hf_abcdefghijklmnopqrstuvwxyz012345", "REDACTED"},
		{"a JWT", "token " + jwt + " expired", "token REDACTED expired"},
		{"a private key over lines", "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", "a\nREDACTED\nb"},
		{"a private key that was cut", "-----BEGIN PRIVATE KEY-----\nMIIE", "REDACTED"},
		{"who logs in to a URL", "get http://me:pw@h:80/x", "get http://REDACTED@h:80/x"},
		{"a query field that is a key", "/x?model=a&api_key=b&n=1", "/x?model=a&api_key=REDACTED&n=1"},
		{"a signed URL", "https://s/x?sig=abc%2F&se=2026", "https://s/x?sig=REDACTED&se=2026"},
		{"a bearer token", "sent Authorization: Bearer abcdefghijklmnop0123", "sent Authorization: Bearer REDACTED"},

		{"an API version is no secret", "/openai/deployments/x/chat?api-version=2024-06-01", "/openai/deployments/x/chat?api-version=2024-06-01"},
		{"a comment about the first token", "# first token: under 500ms", "# first token: under 500ms"},
		{"an objective", "ttft.p95 < 500ms each 1m for 99%", "ttft.p95 < 500ms each 1m for 99%"},
		{"fields about tokens", "max_tokens: 512, tokenizer=gpt2&output_tokens=3", "max_tokens: 512, tokenizer=gpt2&output_tokens=3"},
		{"words that begin alike", "task-force risk-averse sk-learn eyJ basic auth is missing; Bearer token required", "task-force risk-averse sk-learn eyJ basic auth is missing; Bearer token required"},
		{"a query about keys in plural", "/x?keys=3&monkey=1", "/x?keys=3&monkey=1"},
		{"an image's digest", "repo/vllm@sha256:0123456789abcdef0123456789abcdef", "repo/vllm@sha256:0123456789abcdef0123456789abcdef"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Text(tt.text); got != tt.want {
				t.Errorf("Text(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestMessage(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"an authorization header that a server quotes", "401: Authorization: Bearer short", "401: Authorization: REDACTED"},
		{"a JSON field", `{"api_key": "abc", "code": 401}`, `{"api_key": REDACTED, "code": 401}`},
		{"a setting", "token=abc refused", "token=REDACTED refused"},
		{"a setting with spaces", "token = s3cret refused", "token = REDACTED refused"},
		{"a long word set with spaces", "token = abcdefghijklmnop", "token = REDACTED"},
		{"a sentence with an equals sign", "in one piece, so first token = end: this server does not stream", "in one piece, so first token = end: this server does not stream"},
		{"a time-out of the first token", "first token: nothing came within 30s", "first token: nothing came within 30s"},
		{"an unexpected token", "unexpected token: <", "unexpected token: <"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Message(tt.text); got != tt.want {
				t.Errorf("Message(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	for name, want := range map[string]string{
		"Content-Type": "v", "accept": "v", "X-Request-ID": "v",
		"Authorization": Struck, "Ocp-Apim-Subscription-Key": Struck, "X-Api-Key": Struck, "Cookie": Struck, "X-Something-New": Struck,
	} {
		if got := Header(name, "v"); got != want {
			t.Errorf("Header(%q, v) = %q, want %q", name, got, want)
		}
	}
}

func TestProfile(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a profile without secrets is kept byte for byte", "name:   x   # first token: under 2s\ntarget: {path: '/v1?api-version=1', headers: {Accept: a}}\n\n# end\n",
			"name:   x   # first token: under 2s\ntarget: {path: '/v1?api-version=1', headers: {Accept: a}}\n\n# end\n"},
		{"headers that are not known go, the rest stays", "# mine\nname: x\ntarget:\n  headers: # of every request\n    Accept: a\n    Ocp-Apim-Subscription-Key: 0123 # of the team\n",
			"# mine\nname: x\ntarget:\n  headers: # of every request\n    Accept: a\n    Ocp-Apim-Subscription-Key: REDACTED # of the team\n"},
		{"a number as a header's value", "target:\n  headers: {X-Key: 123}\n", "target:\n  headers: {X-Key: REDACTED}\n"},
		{"a key in a field and in a comment", "name: x # was sk-abcdefgh1234\nrequest: {user: sk-abcdefgh1234}\n", "name: x # was REDACTED\nrequest: {user: REDACTED}\n"},
		{"headers in a list of classes", "classes:\n  - {name: a, headers: {X-Tenant: b}}\n", "classes:\n  - {name: a, headers: {X-Tenant: REDACTED}}\n"},
		{"an empty profile", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Profile([]byte(tt.text))
			if err != nil || string(got) != tt.want {
				t.Errorf("Profile = %v\n%s\nwant\n%s", err, got, tt.want)
			}
		})
	}
	if got, err := Profile([]byte("a: [")); err == nil {
		t.Errorf("what is no YAML is stored: %s", got)
	}
}

func FuzzProfile(f *testing.F) {
	f.Add("name: x\ntarget: {headers: {X: y}}\n")
	f.Add("a: &x {headers: {b: sk-abcdefghijk}}\nc: *x\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Profile([]byte(text))
		if err != nil {
			return
		}
		if err := yaml.Unmarshal(got, new(yaml.Node)); err != nil {
			t.Errorf("Profile(%q) = %q, which is no YAML: %v", text, got, err)
		}
	})
}

// A target as people have them: each hush is a way in which a secret gets there.
const target = `{"apiVersion": "apps/v1", "kind": "Deployment",
 "metadata": {"name": "llm", "labels": {"app": "llm"}, "annotations": {"team/token": "hush", "prometheus.io/port": "8000",
   "kubectl.kubernetes.io/last-applied-configuration": "hush"}, "managedFields": [{"manager": "hush"}]},
 "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "llm"}}, "template": {"metadata": {"labels": {"app": "llm"}}, "spec": {
   "imagePullSecrets": [{"name": "hush"}], "serviceAccountName": "hush", "terminationGracePeriodSeconds": 30, "nodeSelector": {"gpu": "l4"},
   "volumes": [{"name": "hush", "secret": {"secretName": "hush"}}],
   "containers": [{"name": "vllm", "image": "vllm:0.19", "command": ["sh", "-c", "vllm serve --api-key hush"],
     "args": ["--api-key", "hush", "--max-num-seqs", "128", "--port=8000", "--header=hush", "hush", "--model=m"],
     "env": [{"name": "HF_TOKEN", "value": "hush"}], "envFrom": [{"secretRef": {"name": "hush"}}],
     "resources": {"requests": {"cpu": "1", "nvidia.com/gpu": 1}, "limits": {"memory": "2Gi"}},
     "ports": [{"containerPort": 8000, "name": "http"}],
     "readinessProbe": {"httpGet": {"path": "/health", "port": 8000, "httpHeaders": [{"name": "Authorization", "value": "hush"}]}, "periodSeconds": 5},
     "livenessProbe": {"exec": {"command": ["curl", "-H", "hush"]}, "periodSeconds": 10},
     "lifecycle": {"preStop": {"exec": {"command": ["hush"]}}}}]}}},
 "status": {"replicas": 2, "readyReplicas": 2}}`

func TestObjectKeepsWhatAModelNeedsAndNoSecret(t *testing.T) {
	var object, before map[string]any
	for _, into := range []*map[string]any{&object, &before} {
		if err := json.Unmarshal([]byte(target), into); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(Object(object))
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	if strings.Contains(got, "hush") {
		t.Errorf("Object keeps a secret: %s", got)
	}
	for _, want := range []string{`"replicas":2`, `"matchLabels":{"app":"llm"}`, `"prometheus.io/port":"8000"`, `"image":"vllm:0.19"`,
		`"args":["--max-num-seqs","128","--port=8000","--model=m"]`, `"requests":{"cpu":"1","nvidia.com/gpu":1}`, `"limits":{"memory":"2Gi"}`,
		`"httpGet":{"path":"/health","port":8000}`, `"periodSeconds":5`, `"periodSeconds":10`, `"terminationGracePeriodSeconds":30`, `"gpu":"l4"`, `"readyReplicas":2`} {
		if !strings.Contains(got, want) {
			t.Errorf("Object = %s, lost %s", got, want)
		}
	}
	if !reflect.DeepEqual(object, before) {
		t.Error("Object changed its argument")
	}
}
