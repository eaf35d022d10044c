// Package manifests reads the files, folders and standard input that -f names, and
// reports what it skipped in them.
package manifests

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// Set is the objects of files and folders, and what was skipped.
type Set struct {
	Docs     []manifest.Doc
	Problems source.Problems   // of the objects that were read; objects with problems are not judged
	Texts    map[string][]byte // by file, as written
	skipped  []skipped
}

// skipped is a file, or a part of one, that holds no object to judge.
type skipped struct{ file, why string }

// The reasons for passing over a file.
const (
	notObjects = "no Kubernetes object"
	isTemplate = "a template: render it first (helm template . | hpatune … -f -)"
	isPatch    = "a patch: render it first (kubectl kustomize . | hpatune … -f -)"
)

// Read reads files and folders ("-" = stdin), each file on its own, so that findings keep
// their file and line. Files of a folder without objects (kustomization.yaml, Chart.yaml,
// values, profiles), and templates and patches that are not objects yet, are skipped; a
// file that is named explicitly is not.
func Read(stdin io.Reader, names []string) (*Set, error) {
	m := &Set{Texts: map[string][]byte{}}
	for _, name := range names {
		paths, folder, err := filesOf(name)
		if err != nil {
			return nil, err
		}
		patches := map[string]bool{}
		for _, p := range paths {
			data, err := bytesOf(stdin, p)
			if err != nil {
				return nil, err
			}
			if m.Texts[p] = data; folder && isKustomization(p) {
				for _, patch := range patchesOf(data) {
					patches[filepath.Join(filepath.Dir(p), filepath.FromSlash(patch))] = true
				}
			}
		}
		for _, p := range paths {
			if err := m.read(p, m.Texts[p], folder, patches[filepath.Clean(p)]); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// filesOf lists the manifests of a folder, or the one file that name is.
func filesOf(name string) (paths []string, folder bool, err error) {
	info, err := os.Stat(name)
	if name == "-" || err != nil || !info.IsDir() {
		return []string{name}, false, nil // what cannot be read is said when it is read
	}
	err = filepath.WalkDir(name, func(p string, d os.DirEntry, err error) error {
		hidden := p != name && strings.HasPrefix(d.Name(), ".")
		switch {
		case err != nil:
			return err
		case d.IsDir() && (hidden || d.Name() == "node_modules"):
			return fs.SkipDir
		case !d.IsDir() && isManifest(p):
			paths = append(paths, p)
		}
		return nil
	})
	if err != nil {
		return nil, true, fmt.Errorf("manifest: %w", err)
	}
	return paths, true, nil
}

// read returns what can be judged in one file.
func (m *Set) read(file string, data []byte, folder, patch bool) error {
	skip := func(why string) { m.skipped = append(m.skipped, skipped{file, why}) }
	if patch {
		skip(isPatch)
		return nil
	}
	docs, broken := manifest.Options{}.Read(file, data)
	odd := len(broken) > 0 || slices.ContainsFunc(docs, func(d manifest.Doc) bool { return len(d.Problems) > 0 })
	switch {
	case folder && odd && manifest.IsTemplate(data):
		skip(isTemplate)
		return nil
	case folder && len(broken) > 0 && !autoscaler.Match(data):
		skip("could not read: " + broken[0].Text)
		return nil
	}
	m.Problems = append(m.Problems, broken...)
	before := len(m.Docs)
	for _, d := range docs {
		switch {
		case d.Kind == "" && d.Name == "" && (folder || len(docs) > 1 || isKustomization(file)):
			continue // said of the whole file, below
		case folder && d.Kind == "Kustomization", folder && d.Kind == "Component" && isKustomization(file):
			continue
		case len(d.Problems) > len(d.Refused): // what KEDA refuses is a finding, not a mistake in YAML
			m.Problems = append(m.Problems, d.Problems...)
		}
		m.Docs = append(m.Docs, d)
	}
	if len(m.Docs) == before && len(docs) > 0 {
		skip(notObjects)
	}
	return nil
}

// autoscaler finds files that were meant to contain what is judged.
var autoscaler = regexp.MustCompile(`(?m)^["\s{]*kind["']?:\s*["']?(HorizontalPodAutoscaler|ScaledObject)\b`)

func isKustomization(p string) bool {
	switch filepath.Base(p) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}

// patchesOf returns the files that a kustomization applies as patches: parts of objects,
// which mean nothing on their own.
func patchesOf(data []byte) (out []string) {
	docs, _ := source.Parse("", data)
	for _, d := range docs {
		for _, field := range []string{"patches", "patchesJson6902", "patchesStrategicMerge"} {
			for _, item := range d.Items(field) {
				for _, path := range []string{"path", ""} {
					if p, ok := item.Text(path); ok && !strings.Contains(p, "\n") {
						out = append(out, p)
						break
					}
				}
			}
		}
	}
	return out
}

// Skipped says what was skipped, one reason each, the first files by name.
func (m *Set) Skipped() (out []string) {
	const named = 5
	var reasons []string
	files := map[string][]string{}
	for _, x := range m.skipped {
		if files[x.why] == nil {
			reasons = append(reasons, x.why)
		}
		files[x.why] = append(files[x.why], x.file)
	}
	for _, why := range reasons {
		list := files[why]
		text := strings.Join(list[:min(len(list), named)], ", ")
		if more := len(list) - named; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		out = append(out, text+": "+why)
	}
	return out
}

// Others names the autoscalers that doctor does not judge.
func (m *Set) Others() (out []string) {
	for i := range m.Docs {
		d := &m.Docs[i]
		if d.HPA != nil {
			continue
		}
		group, _, _ := strings.Cut(d.APIVersion, "/")
		why := map[[2]string]string{
			{"http.keda.sh", "HTTPScaledObject"}: "KEDA's HTTP add-on creates a ScaledObject for it, which scales " +
				"on the requests held by the add-on's interceptor",
			{"keda.sh", "ScaledJob"}: "it creates jobs, not replicas",
			{"serving.knative.dev", "Service"}: "Knative's autoscaler (KPA) scales it on concurrency or requests " +
				"per second; there is an HPA only with class hpa.autoscaling.knative.dev",
			{"serving.knative.dev", "Configuration"}: "Knative's autoscaler (KPA) scales it",
			{"serving.kserve.io", "InferenceService"}: "KServe creates an HPA for it only in raw deployment mode " +
				"(annotations serving.kserve.io/deploymentMode: RawDeployment, autoscalerClass: hpa); otherwise another " +
				"autoscaler scales it",
			{"serving.kserve.io", "LLMInferenceService"}: "KServe creates its workloads; pass the ScaledObject or HPA that " +
				"scales them",
			{"autoscaling.x-k8s.io", "CapacityBuffer"}: "it reserves nodes, not replicas",
			{"autoscaling.aibrix.ai", "PodAutoscaler"}: "AIBrix's autoscaler scales its target (KPA or APA; an HPA only " +
				"with scalingStrategy: HPA)",
			{"ray.io", "RayService"}:          "Ray's autoscaler scales it",
			{"llmd.ai", "VariantAutoscaling"}: "it publishes a metric; pass the HPA or ScaledObject that reads it",
		}[[2]string{group, d.Kind}]
		if why != "" {
			out = append(out, fmt.Sprintf("%s/%s (%s:%d): %s", d.Kind, d.Name, d.File, d.Line, why))
		}
	}
	return out
}

// Nothing is the error where no autoscaler was found.
func (m *Set) Nothing(what string) error {
	text := fmt.Sprintf("no %s in these files (found %s)", what, manifest.Kinds(m.Docs))
	for _, s := range m.Others() {
		text += "\nnot checked: " + s
	}
	for _, s := range m.Skipped() {
		text += "\nskipped " + s
	}
	return errors.New(text)
}

// bytesOf reads a file, or - for stdin.
func bytesOf(stdin io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	if _, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return os.ReadFile(name)
}

func isManifest(p string) bool {
	switch filepath.Ext(p) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// HPAOf reads the one HPA of a manifest (see manifest.One): of a file, a folder, or - for stdin.
// Its errors are of kind failure.Input.
func HPAOf(stdin io.Reader, name string) (manifest.HPA, error) {
	file, data, err := Autoscaler(stdin, name)
	if err != nil {
		return manifest.HPA{}, err
	}
	h, err := manifest.One(file, data)
	return h, failure.As(failure.Input, err)
}

// Autoscaler returns the file that holds the autoscaler, and its text: name itself, - for stdin,
// or the one file of a folder with an HPA or ScaledObject, whatever else is in that folder. Its
// errors are of kind failure.Input.
func Autoscaler(stdin io.Reader, name string) (file string, data []byte, err error) {
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		data, err := bytesOf(stdin, name)
		return name, data, failure.As(failure.Input, err)
	}
	set, err := Read(stdin, []string{name})
	if err == nil {
		err = set.Problems.Sort().Err()
	}
	if err != nil {
		return "", nil, failure.As(failure.Input, err)
	}
	var which []string
	for _, d := range set.Docs {
		if d.HPA == nil || d.Kind == "InferenceService" { // KServe would revert an HPA
			continue
		}
		which = append(which, fmt.Sprintf("%s %s at %s:%d", d.Kind, d.Name, d.File, d.Line))
		file, data = d.File, set.Texts[d.File]
	}
	switch len(which) {
	case 0:
		return "", nil, failure.As(failure.Input, set.Nothing("HorizontalPodAutoscaler or ScaledObject"))
	case 1:
		return file, data, nil
	}
	return "", nil, failure.Inputf("manifest %s: found %d autoscalers, want one: %s\nTry: a file with only one of them",
		name, len(which), strings.Join(which, ", "))
}
