package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/printer"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// A mutant is one small change to the package.
type mutant struct {
	id   int
	file string
	line int
	fn   string // the function that contains it; "" at package level
	from string // the expression as written
	to   string // what it becomes
	rule string // comparison, constant, minmax, plusminus
	twin int    // number among equal mutants (same file, function, from, to), from 1
}

// key names a mutant without its line, so that edits elsewhere do not invalidate the list
// of survivors.
func (m *mutant) key() string {
	k := fmt.Sprintf("%s %s: %s -> %s", m.file, m.fn, m.from, m.to)
	if m.twin > 1 {
		k += fmt.Sprintf(" #%d", m.twin)
	}
	return k
}

// A rewriter replaces each expression to which a rule applies by a call, which computes it
// as written or as changed, depending on the number of the active mutant. So all mutants are
// compiled once.
type rewriter struct {
	fset    *token.FileSet
	info    *types.Info
	mutants []*mutant
	file    string
	fn      string
	seen    map[string]int
	done    map[*ast.AssignStmt]bool // assignments made from x++ and x--
}

// rewrite reads the package in dir. It returns its rewritten files, by name, and the mutants.
// A file with //go: lines (embedded pages) is not changed. If only is not nil, it lists the
// files to change.
func rewrite(dir string, only []string) (map[string][]byte, []*mutant, error) {
	r := &rewriter{fset: token.NewFileSet(), seen: map[string]int{}, done: map[*ast.AssignStmt]bool{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, nil, err
	}
	files, asIs := map[string]*ast.File{}, map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		if bytes.Contains(src, []byte("\n//go:")) || bytes.HasPrefix(src, []byte("//go:")) {
			asIs[name] = true // the comments, and so its //go: lines, would be lost
		}
		if only != nil && !slices.Contains(only, filepath.Base(name)) {
			asIs[name] = true
		}
		// Comments are left out: the printer would put them inside the new expressions.
		f, err := parser.ParseFile(r.fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, err
		}
		files[name] = f
	}
	if len(files) == 0 {
		return nil, nil, fmt.Errorf("%s: no Go files", dir)
	}
	order := slices.Sorted(maps.Keys(files))
	var list []*ast.File
	for _, name := range order {
		list = append(list, files[name])
	}
	r.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(r.fset, "source", nil)}
	if _, err := conf.Check(list[0].Name.Name, r.fset, list, r.info); err != nil {
		return nil, nil, err
	}
	out := map[string][]byte{}
	for _, name := range order {
		if asIs[name] {
			continue
		}
		r.file = filepath.Base(name)
		for _, d := range files[name].Decls {
			r.fn = ""
			if f, ok := d.(*ast.FuncDecl); ok {
				r.fn = f.Name.Name
			}
			if g, ok := d.(*ast.GenDecl); ok && g.Tok != token.VAR {
				continue
			}
			r.walk(reflect.ValueOf(d))
		}
		var b bytes.Buffer
		if err := printer.Fprint(&b, r.fset, files[name]); err != nil {
			return nil, nil, err
		}
		out[name] = b.Bytes()
	}
	out[filepath.Join(dir, "zz_mutants.go")] = []byte("package " + list[0].Name.Name + "\n" + support)
	return out, r.mutants, nil
}

// support is compiled into the package. The environment names the active mutant.
const support = `
import (
	"cmp"
	"os"
	"strconv"
	"time"
)

type mutDuration = time.Duration

var mutActive = func() int { n, _ := strconv.Atoi(os.Getenv("HPA_MUTANT")); return n }()

// SetMutant makes another mutant the active one.
func SetMutant(id int) { mutActive = id }

func mutNot(id int, v bool) bool { return v != (mutActive == id) }

func mutLess[T cmp.Ordered](id int, a, b T) bool {
	switch mutActive {
	case id:
		return a <= b
	case id + 1:
		return !(a < b)
	}
	return a < b
}

func mutLessEq[T cmp.Ordered](id int, a, b T) bool {
	switch mutActive {
	case id:
		return a < b
	case id + 1:
		return !(a <= b)
	}
	return a <= b
}

type mutNumber interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

func mutConst[T mutNumber](id int, v T) T {
	switch mutActive {
	case id:
		return v + 1
	case id + 1:
		return v - 1
	}
	return v
}

func mutSpan(id int, v time.Duration) time.Duration {
	switch mutActive {
	case id:
		return v + time.Second
	case id + 1:
		return v - time.Second
	}
	return v
}

func mutPlus[T mutNumber](id int, a, b T) T {
	if mutActive == id {
		return a - b
	}
	return a + b
}

func mutMinus[T mutNumber](id int, a, b T) T {
	if mutActive == id {
		return a + b
	}
	return a - b
}

func mutSign[T mutNumber](id int, v T) T {
	if mutActive == id {
		return -v
	}
	return v
}

func mutMin[T cmp.Ordered](id int, first T, more ...T) T {
	lo, hi := first, first
	for _, v := range more {
		lo, hi = min(lo, v), max(hi, v)
	}
	if mutActive == id {
		return hi
	}
	return lo
}

func mutMax[T cmp.Ordered](id int, first T, more ...T) T {
	lo, hi := first, first
	for _, v := range more {
		lo, hi = min(lo, v), max(hi, v)
	}
	if mutActive == id {
		return lo
	}
	return hi
}
`

func (r *rewriter) text(n ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, r.fset, n); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// add registers the mutants of one expression, and returns the number of the first.
func (r *rewriter) add(at token.Pos, rule, from string, to ...string) *ast.BasicLit {
	first := len(r.mutants) + 1
	for i, t := range to {
		m := &mutant{
			id:   first + i,
			file: r.file,
			line: r.fset.Position(at).Line,
			fn:   r.fn,
			from: from,
			to:   t,
			rule: rule,
			twin: 1,
		}
		r.seen[m.key()]++
		m.twin = r.seen[m.key()]
		r.mutants = append(r.mutants, m)
	}
	return &ast.BasicLit{Kind: token.INT, Value: fmt.Sprint(first)}
}

func call(fn string, args ...ast.Expr) *ast.CallExpr {
	return &ast.CallExpr{Fun: ast.NewIdent(fn), Args: args}
}

var exprType = reflect.TypeFor[ast.Expr]()

// walk replaces the expressions in a node's fields by rewritten ones.
func (r *rewriter) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		if v.Type() == exprType && v.CanSet() {
			v.Set(reflect.ValueOf(r.expr(v.Interface().(ast.Expr))))
			return
		}
		r.walk(v.Elem())
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		switch n := v.Interface().(type) {
		case *ast.ArrayType, *ast.Ident, *ast.ImportSpec, *ast.FuncType, *ast.Object, *ast.Scope:
			return
		case *ast.GenDecl:
			if n.Tok != token.VAR {
				return
			}
		case *ast.ForStmt:
			// The step of a loop is not changed: its mutants would only never end.
			post := n.Post
			n.Post = nil
			r.walk(v.Elem())
			n.Post = post
			return
		case *ast.IncDecStmt:
			return // see stmts
		case *ast.AssignStmt:
			if n.Tok == token.ADD_ASSIGN || n.Tok == token.SUB_ASSIGN {
				from, numeric, at := r.text(n), r.numeric(n.Lhs[0]), n.Pos()
				if r.done[n] {
					return
				}
				n.Rhs[0] = r.expr(n.Rhs[0])
				if numeric {
					other := map[token.Token]string{token.ADD_ASSIGN: "-=", token.SUB_ASSIGN: "+="}[n.Tok]
					n.Rhs[0] = call("mutSign", r.add(at, "plusminus", from, other), n.Rhs[0])
				}
				return
			}
		case *ast.BlockStmt:
			r.stmts(n.List)
		case *ast.CaseClause:
			r.stmts(n.Body)
		}
		r.walk(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			r.walk(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			r.walk(v.Index(i))
		}
	}
}

// stmts turns x++ and x-- into x += 1 and x -= 1, whose sign a mutant can change.
func (r *rewriter) stmts(list []ast.Stmt) {
	for i, s := range list {
		n, ok := s.(*ast.IncDecStmt)
		if !ok {
			continue
		}
		tok, to := token.ADD_ASSIGN, "--"
		if n.Tok == token.DEC {
			tok, to = token.SUB_ASSIGN, "++"
		}
		one := &ast.BasicLit{Kind: token.INT, Value: "1"}
		a := &ast.AssignStmt{Lhs: []ast.Expr{n.X}, Tok: tok, Rhs: []ast.Expr{
			&ast.CallExpr{Fun: &ast.IndexExpr{X: ast.NewIdent("mutSign"), Index: ast.NewIdent(r.spell(r.info.Types[n.X].Type))},
				Args: []ast.Expr{r.add(n.Pos(), "plusminus", r.text(n), to), one}}}}
		list[i], r.done[a] = a, true
	}
}

func (r *rewriter) numeric(e ast.Expr) bool {
	t := r.info.Types[e].Type
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsNumeric != 0 && b.Info()&types.IsComplex == 0
}

// spell writes a type as any file of the package can use it.
func (r *rewriter) spell(t types.Type) string {
	if t == nil {
		return "int"
	}
	if s := t.String(); s == "time.Duration" {
		return "mutDuration"
	}
	return types.TypeString(t, func(*types.Package) string { return "" })
}

// expr returns the expression with its own mutants and those of its parts.
func (r *rewriter) expr(e ast.Expr) ast.Expr {
	tv := r.info.Types[e]
	if tv.IsType() {
		return e
	}
	if tv.Value != nil {
		return r.constant(e, tv)
	}
	if kv, ok := e.(*ast.KeyValueExpr); ok {
		kv.Value = r.expr(kv.Value) // keys are fields and indices
		return kv
	}
	from, at := r.text(e), e.Pos()
	if c, ok := e.(*ast.CallExpr); ok {
		if id, ok := c.Fun.(*ast.Ident); ok && id.Name == "make" {
			return e // lengths are followed by writes, and capacities change no result
		}
		r.walk(reflect.ValueOf(c).Elem())
		return r.minMax(c, from, at)
	}
	b, ok := e.(*ast.BinaryExpr)
	if !ok {
		r.walk(reflect.ValueOf(e).Elem())
		return e
	}
	numeric, comparable := r.numeric(b), r.ordered(b.X) && r.ordered(b.Y)
	b.X, b.Y = r.expr(b.X), r.expr(b.Y)
	switch b.Op {
	case token.EQL, token.NEQ:
		to := map[token.Token]string{token.EQL: "!=", token.NEQ: "=="}[b.Op]
		return call("mutNot", r.add(at, "comparison", from, to), b)
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		if !comparable {
			return b
		}
		fn, x, y, edge := "mutLess", b.X, b.Y, "<="
		switch b.Op {
		case token.LEQ:
			fn, edge = "mutLessEq", "<"
		case token.GTR:
			x, y, edge = y, x, ">="
		case token.GEQ:
			fn, x, y, edge = "mutLessEq", y, x, ">"
		}
		return call(fn, r.add(at, "comparison", from, edge, "not"), x, y)
	case token.ADD, token.SUB:
		if !numeric {
			return b
		}
		if b.Op == token.ADD {
			return call("mutPlus", r.add(at, "plusminus", from, "-"), b.X, b.Y)
		}
		return call("mutMinus", r.add(at, "plusminus", from, "+"), b.X, b.Y)
	}
	return b
}

func (r *rewriter) ordered(e ast.Expr) bool {
	t := r.info.Types[e].Type
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsOrdered != 0
}

// minMax swaps min and max, the built-in ones and package math's.
func (r *rewriter) minMax(c *ast.CallExpr, from string, at token.Pos) ast.Expr {
	name := ""
	switch f := c.Fun.(type) {
	case *ast.Ident:
		if _, ok := r.info.Uses[f].(*types.Builtin); ok {
			name = f.Name
		}
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok && x.Name == "math" {
			name = strings.ToLower(f.Sel.Name)
		}
	}
	switch name {
	case "min":
		return call("mutMin", append([]ast.Expr{r.add(at, "minmax", from, "max")}, c.Args...)...)
	case "max":
		return call("mutMax", append([]ast.Expr{r.add(at, "minmax", from, "min")}, c.Args...)...)
	}
	return c
}

// constant wraps a number: one more, one less; for a time.Duration, a second. Names of an
// enumeration do not count as numbers.
func (r *rewriter) constant(e ast.Expr, tv types.TypeAndValue) ast.Expr {
	b, ok := tv.Type.Underlying().(*types.Basic)
	if !ok || b.Info()&types.IsNumeric == 0 || b.Info()&types.IsUntyped != 0 || b.Info()&types.IsComplex != 0 {
		return e
	}
	if tv.Value.Kind() != constant.Int && tv.Value.Kind() != constant.Float {
		return e
	}
	if n, ok := tv.Type.(*types.Named); ok {
		if n.String() != "time.Duration" {
			return e
		}
		from := r.text(e)
		return call("mutSpan", r.add(e.Pos(), "constant", from, "+1s", "-1s"), e)
	}
	if b.Kind() == types.Byte ||
		b.Kind() == types.Rune && tv.Value.Kind() == constant.Int && strings.HasPrefix(r.text(e), "'") {
		return e // a character
	}
	from := r.text(e)
	return &ast.CallExpr{Fun: &ast.IndexExpr{X: ast.NewIdent("mutConst"), Index: ast.NewIdent(r.spell(tv.Type))},
		Args: []ast.Expr{r.add(e.Pos(), "constant", from, "+1", "-1"), e}}
}
