package record

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/sandbox"
	"github.com/hpatune/hpatune/internal/source"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/profiles"
)

// demo and demoKEDA are the names of the sandbox's own profiles.
const demo, demoKEDA = "demo", "demo-keda"

// ProfileNames are the built-in profiles, the sandbox's own first.
func ProfileNames() []string { return append([]string{demo, demoKEDA}, profiles.Names()...) }

// ReadProfile reads a profile: a file, a run folder (the profile that it sent), or a
// built-in name. The source is returned unchanged. An error is of kind failure.Input;
// mistakes in the profile are source.Problems, and are returned with what could be read.
func ReadProfile(name string) (p *profiles.Profile, text []byte, err error) {
	if own := map[string][]byte{demo: sandbox.DemoProfile, demoKEDA: sandbox.DemoProfileKEDA}[name]; own != nil {
		p, err := profiles.Parse(name+".yaml", own, nil)
		return p, own, failure.As(failure.Input, err)
	}
	file, files := profileFile(name)
	if text, err := os.ReadFile(file); err == nil {
		p, err := profiles.Parse(file, text, os.DirFS(files))
		if err != nil {
			return nil, nil, failure.As(failure.Input, err)
		}
		return p, text, nil
	} else if !errors.Is(err, fs.ErrNotExist) || strings.ContainsAny(name, `/\.`) {
		return nil, nil, failure.Inputf("profile %s: %w", name, err)
	}
	if near := source.Nearest(name, ProfileNames()); near != "" && near != name {
		return nil, nil, failure.Inputf("profile %q: not a file and not a built-in profile\nTry: %s", name, near)
	}
	if text, err = fs.ReadFile(profiles.Shipped(), name+".yaml"); err != nil {
		return nil, nil, failure.Inputf("profile %q: not a file and not a built-in profile (%s)", name,
			strings.Join(ProfileNames(), ", "))
	}
	p, err = profiles.Load(name)
	return p, text, failure.As(failure.Input, err)
}

// profileFile is the file of a profile, and the folder of the files that it names. A run
// folder holds the profile that it sent and its files.
func profileFile(name string) (file, files string) {
	file = name
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		file = filepath.Join(name, "profile.yaml")
	}
	files = filepath.Dir(file)
	if _, err := os.Stat(filepath.Join(files, "meta.json")); err == nil {
		files = filepath.Join(files, store.InputsDir)
	}
	return file, files
}

// overridden applies Override and Rate to the profile, and returns the text of the result.
func (a *Ask) overridden(p *profiles.Profile, text []byte) (*profiles.Profile, []byte, error) {
	o := a.Override
	if a.Rate != "" {
		r, err := profiles.ParseRate(a.Rate)
		switch {
		case err != nil:
			return nil, nil, failure.Inputf("--rate: %w\nTry: --rate 5/s", err)
		case r == 0:
			return nil, nil, failure.Inputf("--rate %s: no request would be sent\nTry: --rate 5/s", a.Rate)
		}
		o.Rate = r
	}
	if o.Path != "" && !strings.HasPrefix(o.Path, "/") {
		o.Path = "/" + o.Path
	}
	q, text, err := p.With(o, a.Load, text, p.Files)
	if err != nil {
		return nil, nil, failure.As(failure.Input, err)
	}
	return q, text, nil
}
