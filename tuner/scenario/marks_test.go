package scenario

import (
	"strings"
	"testing"
)

func TestByteOrderMarksAreNoMistake(t *testing.T) {
	wide := "\xff\xfe"
	for _, r := range `{"id": "c"}` + "\r\n" {
		wide += string([]byte{byte(r), 0})
	}
	for name, text := range map[string]string{
		"one scenario":                       "\ufeff{\"id\": \"c\"}",
		"one a line, joined files":           "\ufeff{\"id\": \"c\"}\n\ufeff{\"id\": \"c\"}\n",
		"pretty-printed":                     "\ufeff{\n  \"id\": \"c\"\n}\n",
		"UTF-16, as a Windows shell's > has": wide,
	} {
		n := 0
		err := Split(strings.NewReader(text), func(data []byte) error {
			n++
			if got := ReadID(data); got != "c" {
				t.Errorf("%s: id %v of %q, want c", name, got, data)
			}
			return nil
		})
		if err != nil || n == 0 {
			t.Errorf("%s: Split = %d scenarios, %v", name, n, err)
		}
	}
	script := "\ufeffhpa max=20 from=4 cpu=50%\ncpu 75\ndesired 6\n"
	if got, err := ParseScript("a.hpa", []byte(script), nil); err != nil || len(got.Tests) != 1 {
		t.Errorf("ParseScript with a byte order mark: %v", err)
	}
}
