package hpa

import (
	"fmt"
	"testing"
)

// Every word reads back as the value that prints it, and values beyond the last one print the
// last word.
func TestWordsReadBack(t *testing.T) {
	check := func(kind string, words []string, print func(uint8) string, parse func(string) (uint8, bool)) {
		t.Helper()
		for i, word := range words {
			if got := print(uint8(i)); got != word {
				t.Errorf("%s(%d) = %q, want %q", kind, i, got, word)
			}
			if parse == nil {
				continue
			}
			if got, ok := parse(word); got != uint8(i) || !ok {
				t.Errorf("Parse%s(%q) = %d %v, want %d", kind, word, got, ok, i)
			}
		}
		for _, i := range []int{len(words), 200} {
			if got, last := print(uint8(i)), words[len(words)-1]; got != last {
				t.Errorf("%s(%d) = %q, want %q as of the last", kind, i, got, last)
			}
		}
		if parse == nil {
			return
		}
		if got, ok := parse("nonsense"); got != 0 || ok {
			t.Errorf("Parse%s(nonsense) = %d %v, want 0 false", kind, got, ok)
		}
	}
	check("Select", selectNames[:], func(i uint8) string { return Select(i).String() }, func(s string) (uint8, bool) { v, ok := ParseSelect(s); return uint8(v), ok })
	check("Source", append(sourceNames[:], "Unknown"), func(i uint8) string { return Source(i).String() }, nil)
	check("TargetType", targetNames[:], func(i uint8) string { return TargetType(i).String() }, func(s string) (uint8, bool) { v, ok := ParseTargetType(s); return uint8(v), ok })
	check("Status", statusNames[:], func(i uint8) string { return Status(i).String() }, func(s string) (uint8, bool) { v, ok := ParseStatus(s); return uint8(v), ok })
	check("Phase", phaseNames[:], func(i uint8) string { return Phase(i).String() }, func(s string) (uint8, bool) { v, ok := ParsePhase(s); return uint8(v), ok })
	check("Ready", readyNames[:], func(i uint8) string { return Ready(i).String() }, func(s string) (uint8, bool) { v, ok := ParseReady(s); return uint8(v), ok })
	check("ConditionType", conditionNames[:], func(i uint8) string { return ConditionType(i).String() }, func(s string) (uint8, bool) {
		v, ok := ParseConditionType(s)
		return uint8(v), ok || s == "" // "" is no type, and prints None
	})
	check("Reason", reasonNames[:], func(i uint8) string { return Reason(i).String() }, nil)

	for i, s := range sourceNames {
		if got, ok := ParseSource(s); got != Source(i) || !ok {
			t.Errorf("ParseSource(%q) = %v %v", s, got, ok)
		}
	}
	if got, ok := ParseSource("nonsense"); got != 0 || ok {
		t.Errorf("ParseSource(nonsense) = %v %v, want 0 false", got, ok)
	}
	if got, ok := ParseSelect(""); got != Max || !ok {
		t.Errorf("an absent selectPolicy reads as %v %v, want Max", got, ok)
	}
	if _, ok := ParseConditionType(""); ok {
		t.Error(`"" reads as a condition's type`)
	}
	if got := fmt.Sprint(PodsPolicy, PercentPolicy); got != "Pods Percent" {
		t.Errorf("policies print as %q", got)
	}
}

func TestOneEventIsNoWarning(t *testing.T) {
	for r := NoReason; r <= BelowMinReplicas; r++ {
		e, want := Event{Reason: r}, "Warning"
		if r == SuccessfulRescale {
			want = "Normal"
		}
		if e.Type() != want {
			t.Errorf("%v is %s, want %s", r, e.Type(), want)
		}
	}
}

func TestSelectorsReadBack(t *testing.T) {
	for _, text := range []string{"", "a=b", "a=b,c=d", "a=b,c in (d,e),!f", "x notin (y,z),w", "k in (a,b),l in (c,d),m=n"} {
		labels, expressions := ParseSelectorText(text)
		if got := SelectorText(labels, expressions); len(got) != len(text) || fmt.Sprint(ParseSelectorText(got)) != fmt.Sprint(labels, expressions) {
			t.Errorf("%q reads as %v and %v, which prints %q", text, labels, expressions, got)
		}
	}
	for _, c := range []struct {
		text string
		want int
	}{{"", 0}, {" ", 0}, {"a", 1}, {"a,b", 2}, {"a in (b,c)", 1}, {"a in (b,c),d", 2}, {"a in (b),c in (d,e),f", 3}} {
		if got := splitSelector(c.text); len(got) != c.want {
			t.Errorf("splitSelector(%q) = %q, want %d parts", c.text, got, c.want)
		}
	}
}
