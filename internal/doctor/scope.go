package doctor

import (
	"path"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/tuner/manifest"
)

// environments says which files are copies of one another for different clusters or
// namespaces (dev/ and prod/ with the same objects): the contents of one do not affect the
// other.
//
// Two files are apart if their paths part at a folder in whose branches one object (kind,
// namespace, name) exists twice.
type environments map[string]map[[2]string]bool // folder → pairs of its branches, in both orders

// newEnvironments finds the branches that contain the same object. An unknown namespace may
// be any.
func newEnvironments(docs []manifest.Doc) environments {
	type copyOf struct{ file, namespace string }
	out, copies := environments{}, map[[2]string][]copyOf{}
	for i := range docs {
		d := &docs[i]
		id := [2]string{d.Kind, d.Name}
		if d.Name == "" {
			continue
		}
		for _, other := range copies[id] {
			if other.file == d.File || !sameNamespace(other.namespace, d.Namespace) {
				continue
			}
			at, a, b := parting(d.File, other.file)
			if out[at] == nil {
				out[at] = map[[2]string]bool{}
			}
			out[at][[2]string{a, b}], out[at][[2]string{b, a}] = true, true
		}
		if !slices.Contains(copies[id], copyOf{d.File, d.Namespace}) {
			copies[id] = append(copies[id], copyOf{d.File, d.Namespace})
		}
	}
	return out
}

// sameNamespace reports whether two objects may be in one namespace; an unknown one may be
// any.
func sameNamespace(a, b string) bool { return a == b || a == "" || b == "" }

// apart reports whether two files belong to different environments.
func (e environments) apart(a, b string) bool {
	if a == b || len(e) == 0 {
		return false
	}
	at, x, y := parting(a, b)
	return e[at][[2]string{x, y}]
}

// parting is the folder where two paths part, and the next name on each side.
func parting(a, b string) (at, x, y string) {
	as, bs := split(a), split(b)
	n := 0
	for n < len(as) && n < len(bs) && as[n] == bs[n] {
		n++
	}
	name := func(parts []string) string {
		if n < len(parts) {
			return parts[n]
		}
		return ""
	}
	return strings.Join(as[:n], "/"), name(as), name(bs)
}

func split(file string) []string {
	return strings.Split(path.Clean(strings.ReplaceAll(file, `\`, "/")), "/")
}

// near is the number of folders that two files share, from the root.
func near(a, b string) int {
	if a == b {
		return 1 << 20
	}
	at, _, _ := parting(a, b)
	return strings.Count(at, "/") + min(len(at), 1)
}

// of returns the objects of a kind that may exist next to the subject: in its namespace and
// its environment.
func (s *subject) of(kind string) []*manifest.Doc { return s.facts.beside(s.doc, kind) }

func (f *Facts) beside(d *manifest.Doc, kind string) []*manifest.Doc {
	return slices.DeleteFunc(f.of(d.Namespace, kind), func(o *manifest.Doc) bool {
		return f.apart.apart(d.File, o.File)
	})
}

// same reports whether two documents are the same object, written twice.
func same(a, b *manifest.Doc) bool {
	return a.Kind == b.Kind && sameNamespace(a.Namespace, b.Namespace) && a.Name == b.Name
}

// group is the API group of an apiVersion; "" is the core group.
func group(apiVersion string) string {
	g, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return ""
	}
	return g
}
