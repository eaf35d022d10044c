package store

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hpatune/hpatune/results"
)

// tables turns the indices of records into names and back. Files hold names:
// they can be read without meta.json, and by others.
type tables struct {
	errors   []string
	backends []results.Backend
	classes  []string

	// bytes caches the names as parquet wants them.
	errorBytes, backendBytes, classBytes [][]byte
	errorIndex, backendIndex, classIndex map[string]int32
}

func newTables(meta results.Meta) *tables {
	t := &tables{errorIndex: map[string]int32{}, backendIndex: map[string]int32{}, classIndex: map[string]int32{}}
	t.adopt(meta)
	return t
}

// adopt takes over the tables of meta, if it has them.
func (t *tables) adopt(meta results.Meta) {
	for i, text := range meta.Errors {
		t.name(results.Name{Table: results.ErrorTable, Index: int32(i), Text: text})
	}
	for i, b := range meta.Backends {
		t.name(results.Name{Table: results.BackendTable, Index: int32(i), Text: b.Name, Address: b.Address})
		t.backends[i].ReadyAtS = b.ReadyAtS
	}
	for i := len(t.classes); i < len(meta.Classes); i++ {
		t.intern(&t.classes, &t.classBytes, t.classIndex, int32(i), meta.Classes[i])
	}
}

// maxTable bounds a table against a damaged index.
const maxTable = 1 << 20

// name puts one entry into its table.
func (t *tables) name(n results.Name) {
	if n.Index < 0 || n.Index >= maxTable {
		return
	}
	switch n.Table {
	case results.ErrorTable:
		t.intern(&t.errors, &t.errorBytes, t.errorIndex, n.Index, n.Text)
	case results.BackendTable:
		for int(n.Index) >= len(t.backends) {
			t.backends = append(t.backends, results.Backend{Name: placeholder(int32(len(t.backends)))})
		}
		b := &t.backends[n.Index]
		b.Name = n.Text
		if n.Address != "" {
			b.Address = n.Address
		}
		names := backendNames(t.backends)
		t.intern(&names, &t.backendBytes, t.backendIndex, n.Index, n.Text)
	}
}

func backendNames(bs []results.Backend) []string {
	names := make([]string, len(bs))
	for i, b := range bs {
		names[i] = b.Name
	}
	return names
}

func (t *tables) intern(list *[]string, bytes *[][]byte, index map[string]int32, i int32, text string) {
	for int(i) >= len(*list) {
		*list = append(*list, placeholder(int32(len(*list))))
	}
	(*list)[i] = text
	for len(*bytes) < len(*list) {
		*bytes = append(*bytes, []byte((*list)[len(*bytes)]))
	}
	(*bytes)[i] = []byte(text)
	if _, taken := index[text]; !taken {
		index[text] = i
	}
}

// placeholder stands in the file for an entry i whose name is not known yet: "#i".
func placeholder(i int32) string { return "#" + strconv.Itoa(int(i)) }

// lookup returns the bytes of entry i; ok is false for "none".
func lookup(names [][]byte, i int32) ([]byte, bool) {
	switch {
	case i < 0:
		return nil, false
	case int(i) < len(names):
		return names[i], true
	}
	return []byte(placeholder(i)), true
}

// find returns the index of a name read from a file, which it adds if it is new.
func (t *tables) find(table results.Table, name []byte) int32 {
	index := t.errorIndex
	size := len(t.errors)
	if table == results.BackendTable {
		index, size = t.backendIndex, len(t.backends)
	}
	if i, ok := index[string(name)]; ok {
		return i
	}
	text := string(name)
	if digits, ok := strings.CutPrefix(text, "#"); ok {
		if n, err := strconv.ParseInt(digits, 10, 32); err == nil && n >= 0 && n < maxTable {
			if int(n) >= size {
				t.name(results.Name{Table: table, Index: int32(n), Text: text})
			}
			return int32(n)
		}
	}
	t.name(results.Name{Table: table, Index: int32(size), Text: text})
	return int32(size)
}

func (t *tables) findClass(name []byte) int16 {
	if i, ok := t.classIndex[string(name)]; ok {
		return int16(i)
	}
	text := string(name)
	if digits, ok := strings.CutPrefix(text, "#"); ok {
		if n, err := strconv.ParseInt(digits, 10, 16); err == nil {
			return int16(n)
		}
	}
	i := int32(len(t.classes))
	t.intern(&t.classes, &t.classBytes, t.classIndex, i, text)
	return int16(i)
}

// into gives meta the tables.
func (t *tables) into(meta *results.Meta) {
	meta.Errors, meta.Backends, meta.Classes = slices.Clone(t.errors), slices.Clone(t.backends), slices.Clone(t.classes)
}
