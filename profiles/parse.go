package profiles

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/hpatune/hpatune/internal/source"
)

// Parse reads a profile. name is the file's name in problems; trace, body and prompt files
// are opened in fsys, by the names in the profile (nil = a profile that needs a file is
// rejected).
//
// The error is a source.Problems: every mistake of the profile and of its traces, each with
// file and line.
func Parse(name string, data []byte, fsys fs.FS) (*Profile, error) {
	const most = 1 << 20 // a thousand stages and classes are a fifth of it
	if len(data) > most {
		return nil, source.Problems{
			{
				File: name,
				Text: fmt.Sprintf("%d bytes; a profile has at most %d", len(data), most),
				Try:  "a trace, for many arrivals",
			},
		}
	}
	docs, problems := source.Parse(name, data)
	switch {
	case len(problems) > 0:
		return nil, problems
	case len(docs) == 0:
		return nil, source.Problems{{File: name, Text: "is empty", Try: "hpatune profile show steady"}}
	case len(docs) > 1:
		return nil, source.Problems{
			docs[1].Problem("", "is a second profile in the file; use one file per profile", "a file for each"),
		}
	}
	doc := docs[0]
	var p Profile
	problems = doc.Decode(&p)
	for i := range problems {
		if problems[i].Path == "at_zero" { // quoting a number would not help
			problems[i].Try = "refuse, or hold 60s"
		}
	}
	known := problems
	done, more := p.Complete(fsys)
	for _, q := range more {
		if reported(known, q.Path) {
			continue // a field that could not be read is not missing as well
		}
		if q.File == "" {
			q.File, q.Line = name, doc.Line(q.Path)
		}
		problems = append(problems, q)
	}
	if len(problems) > 0 {
		return nil, problems.Sort()
	}
	return done, nil
}

// reported reports whether a problem at this path, or below or above it, is known.
func reported(known source.Problems, path string) bool {
	for _, k := range known {
		if k.Path != "" && path != "" && (within(k.Path, path) || within(path, k.Path)) {
			return true
		}
	}
	return false
}

// within reports whether path is outer or a part of it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
