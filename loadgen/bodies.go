package loadgen

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"iter"
	"mime"
	"mime/multipart"
	"net/textproto"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/profiles"
)

// A payload is a body that is sent as it is.
type payload struct {
	body        []byte
	contentType string
}

// maxBodies limits the memory for bodies from files.
const maxBodies = 512 << 20

// contentType returns the type of a file by its name; mime's own tables come
// from the machine, so the ones that matter are fixed.
func contentType(name string) string {
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".json", ".jsonl":
		return "application/json"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".webp":
		return "image/webp"
	case ".wav":
		return "audio/wav"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}

// fileBodies reads the bodies of Target.Body or Target.Files: templates where
// the file is one text with marks in it, else payloads that go as they are;
// both nil where the profile names no file.
func fileBodies(t profiles.Target, files fs.FS) (fixed []payload, tmpl *template, err error) {
	if t.Body == "" && t.Files == "" {
		return nil, nil, nil
	}
	if files == nil {
		return nil, nil, fmt.Errorf("target body %s%s: the profile has no folder to read it from", t.Body, t.Files)
	}
	if t.Files != "" {
		fixed, err = folder(t, files)
		return fixed, nil, err
	}
	text, err := fs.ReadFile(files, t.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("target body: %w", err)
	}
	ct := t.ContentType
	if ct == "" {
		ct = contentType(t.Body)
	}
	if path.Ext(t.Body) != ".jsonl" {
		if tmpl, err = newTemplate(text, ct); tmpl != nil || err != nil {
			if err != nil {
				err = fmt.Errorf("target body %s: %w", t.Body, err)
			}
			return nil, tmpl, err
		}
		return []payload{{text, ct}}, nil, nil
	}
	for n, line := range linesOf(text) {
		if !json.Valid(line) {
			return nil, nil, fmt.Errorf("target body %s:%d: not JSON; want one JSON value per line", t.Body, n)
		}
		fixed = append(fixed, payload{bytes.Clone(line), ct})
	}
	if len(fixed) == 0 {
		return nil, nil, fmt.Errorf("target body %s: empty; want one JSON value per line", t.Body)
	}
	return fixed, nil, nil
}

// linesOf yields the lines of text that are not blank, without the space around them,
// with their numbers from 1.
func linesOf(text []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		n := 0
		for line := range bytes.Lines(text) {
			n++
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(n, line) {
				return
			}
		}
	}
}

// folder reads the files of a folder, by name; raw, or each as a form upload.
func folder(t profiles.Target, files fs.FS) (fixed []payload, err error) {
	list, err := fs.ReadDir(files, path.Clean(t.Files))
	if err != nil {
		return nil, fmt.Errorf("target files: %w", err)
	}
	total := 0
	for _, e := range list {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		b, err := fs.ReadFile(files, path.Join(path.Clean(t.Files), e.Name()))
		if err != nil {
			return nil, fmt.Errorf("target files: %w", err)
		}
		if total += len(b); total > maxBodies {
			return nil, fmt.Errorf("target files %s: more than %d MB; try fewer or smaller files", t.Files, maxBodies>>20)
		}
		p := payload{b, t.ContentType}
		if p.contentType == "" {
			p.contentType = contentType(e.Name())
		}
		if t.Multipart != "" {
			p = upload(t.Multipart, e.Name(), p)
		}
		fixed = append(fixed, p)
	}
	if len(fixed) == 0 {
		return nil, fmt.Errorf("target files %s: the folder is empty", t.Files)
	}
	return fixed, nil
}

// upload wraps a file as the one part of a form. The boundary is a digest of
// the file: same file, same bytes.
func upload(field, name string, file payload) payload {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	// The lengths and characters of a boundary are ours: it cannot be refused.
	_ = w.SetBoundary(fmt.Sprintf("hpatune-%x", sha256.Sum256(file.body))[:40])
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	part, _ := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {
			fmt.Sprintf(`form-data; name="%s"; filename="%s"`, quote.Replace(field), quote.Replace(name)),
		},
		"Content-Type": {file.contentType},
	}) // a bytes.Buffer takes all
	_, _ = part.Write(file.body)
	_ = w.Close()
	return payload{b.Bytes(), w.FormDataContentType()}
}

// A template is a body with marks in it, each replaced for every arrival:
//
//	{{prompt}}         text of the arrival's prompt length, to stand inside quotes
//	{{messages}}       the conversation as a JSON array of chat messages
//	{{max_tokens}}     output tokens asked for; 0 where no class says
//	{{prompt_tokens}}  the prompt's length in tokens
//	{{arrival}}        the arrival's number
//	{{class}}          the class's number
//	{{model}}          the profile's model, to stand inside quotes
type template struct {
	texts       []string // one more than marks
	marks       []string
	contentType string
}

var marks = []string{"prompt", "messages", "max_tokens", "prompt_tokens", "arrival", "class", "model"}

// mark is what a mark looks like; "{{" may stand in any JSON, but not before a
// bare word.
var mark = regexp.MustCompile(`\{\{ *([A-Za-z_]+) *\}\}`)

// newTemplate reads a template; nil where the text has no marks.
func newTemplate(text []byte, contentType string) (*template, error) {
	t := &template{contentType: contentType}
	from := 0
	for _, m := range mark.FindAllSubmatchIndex(text, -1) {
		name := string(text[m[2]:m[3]])
		if !slices.Contains(marks, name) {
			return nil, fmt.Errorf("mark {{%s}} is unknown; try one of {{%s}}", name, strings.Join(marks, "}}, {{"))
		}
		t.texts = append(t.texts, string(text[from:m[0]]))
		t.marks = append(t.marks, name)
		from = m[1]
	}
	if len(t.marks) == 0 {
		return nil, nil
	}
	t.texts = append(t.texts, string(text[from:]))
	return t, nil
}

// write writes the body of an item.
func (t *template) write(dst []byte, it item, w *writer, model string) []byte {
	for i, m := range t.marks {
		dst = append(dst, t.texts[i]...)
		switch m {
		case "prompt":
			dst = w.text(dst, it)
		case "messages":
			dst = w.chat(dst, it)
		case "max_tokens":
			dst = appendInt(dst, it.Max)
		case "prompt_tokens":
			dst = appendInt(dst, it.Prompt)
		case "arrival":
			dst = appendInt(dst, it.Index)
		case "class":
			dst = appendInt(dst, int(it.Class))
		case "model":
			dst = appendEscaped(dst, model)
		}
	}
	return append(dst, t.texts[len(t.texts)-1]...)
}
