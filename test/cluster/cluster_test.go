//go:build linux

package cluster

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestImageIsWholeAndTheSameEachTime(t *testing.T) {
	dir := t.TempDir()
	program, library := filepath.Join(dir, "server"), filepath.Join(dir, "libx.so")
	for f, text := range map[string]string{program: "ELF…", library: "code"} {
		if err := os.WriteFile(f, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var one, two bytes.Buffer
	for _, w := range []io.Writer{&one, &two} {
		if err := WriteImage(w, "example.test/server:1", program, library); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the same program gave two images")
	}
	// Read it as a runtime does: index → manifest → config and layer, by digest.
	files := untar(t, one.Bytes())
	type descriptor struct {
		Digest string
		Size   int
	}
	blob := func(d descriptor) []byte {
		b, ok := files["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")]
		if !ok || len(b) != d.Size || d.Digest != fmt.Sprintf("sha256:%x", sha256.Sum256(b)) {
			t.Fatalf("blob %+v: missing, or not what it says (%d bytes)", d, len(b))
		}
		return b
	}
	var index struct{ Manifests []descriptor }
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	var config struct {
		Config struct{ Entrypoint []string }
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := errors.Join(json.Unmarshal(files["index.json"], &index), json.Unmarshal(blob(index.Manifests[0]), &manifest), json.Unmarshal(blob(manifest.Config), &config)); err != nil {
		t.Fatal(err)
	}
	layer := untar(t, blob(manifest.Layers[0]))
	if string(layer["server"]) != "ELF…" || string(layer[library[1:]]) != "code" || config.Config.Entrypoint[0] != "/server" {
		t.Errorf("layer has %q, entry point %v", layer, config.Config.Entrypoint)
	}
	if config.Rootfs.DiffIDs[0] != manifest.Layers[0].Digest {
		t.Errorf("diff id %s is not the layer's digest %s", config.Rootfs.DiffIDs[0], manifest.Layers[0].Digest)
	}
}

func untar(t *testing.T, b []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClocksFromTheEnvironment(t *testing.T) {
	env := map[string]string{"HPA_SYNC": "3s", "HPA_DOWN_STABLE": "0s"}
	c, err := FastClocks().FromEnv(func(k string) string { return env[k] })
	want := FastClocks()
	want.HPASync, want.HPADownStable = 3*time.Second, 0
	if err != nil || c != want {
		t.Errorf("FromEnv = %+v, %v, want %+v", c, err, want)
	}
	env = map[string]string{"HPA_SYNC": "often", "METRIC_RESOLUTION": "5s"}
	_, err = FastClocks().FromEnv(func(k string) string { return env[k] })
	if err == nil || !strings.Contains(err.Error(), `HPA_SYNC="often"`) || !strings.Contains(err.Error(), "less than 10s") {
		t.Errorf("FromEnv = %v, want both problems", err)
	}
}

func TestEveryConfigFileHasItsVariables(t *testing.T) {
	s := state{Name: "x", Run: "/r", Bin: "/b", RUNC: "/runc"}
	entries, err := configFiles.ReadDir("config")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if b, err := s.config(e.Name()); err != nil || bytes.Contains(b, []byte("${")) {
			t.Errorf("config/%s: %v", e.Name(), err)
		}
	}
}

func TestAReusedProcessIDIsNotTaken(t *testing.T) {
	from, ok := startTime(os.Getpid())
	if !ok {
		t.Fatal("this process has no start time")
	}
	for _, tt := range []struct {
		name string
		s    state
		want bool
	}{
		{"the process that was recorded", state{InitPID: os.Getpid(), InitFrom: from}, true},
		{"another process with its id", state{InitPID: os.Getpid(), InitFrom: from + "1"}, false},
		{"no process recorded", state{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.s.alive(); got != tt.want {
				t.Errorf("alive() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestFoldersThatCannotWorkAreRefused(t *testing.T) {
	for _, dir := range []string{"/var/lib/ci/run/x", "/run/x", "/" + strings.Repeat("long", 30)} {
		if err := checkRunDir(dir); err == nil || !strings.Contains(err.Error(), "HPACLUSTER_DIR") {
			t.Errorf("checkRunDir(%q) = %v, want a refusal that says what to try", dir, err)
		}
	}
	if err := checkRunDir("/home/me/.cache/hpacluster/run/x"); err != nil {
		t.Error(err)
	}
}

func TestKubeVersionIsGoMods(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "k8s.io/kubernetes v"+kubeVersion+"\n") {
		t.Errorf("go.mod does not require k8s.io/kubernetes v%s, which the programs are told to be", kubeVersion)
	}
}
