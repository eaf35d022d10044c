package failure

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestKinds(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		err      error
		want     Kind
	}{
		{"an error that nobody classed is of the work", fs.ErrNotExist, Work},
		{"no error is of the work", As(Input, nil), Work},
		{"what was asked for", Inputf("--speed 0: %w", fs.ErrInvalid), Input},
		{"what was recorded", Evidencef("no reconcile"), Evidence},
		{"a classed error keeps its kind when it is wrapped", fmt.Errorf("run a: %w", Inputf("x")), Input},
		{"and when it is classed again", As(Evidence, fmt.Errorf("run a: %w", Inputf("x"))), Input},
		{"a plain error takes the kind given", As(Evidence, fs.ErrNotExist), Evidence},
	} {
		if got := Of(tt.err); got != tt.want {
			t.Errorf("%s: Of(%v) = %d, want %d", tt.sentence, tt.err, got, tt.want)
		}
	}
	if As(Input, nil) != nil {
		t.Error("As(Input, nil) is not nil")
	}
	if err := Inputf("--speed 0: %w", fs.ErrInvalid); !errors.Is(err, fs.ErrInvalid) || err.Error() != "--speed 0: invalid argument" {
		t.Errorf("Inputf = %q: it must keep its chain and its words", err)
	}
}
