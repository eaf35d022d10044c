// Package failure classifies errors: bad input, a recording that is not sufficient
// evidence, or a failure of the work itself. The command maps them to exit codes.
package failure

import (
	"errors"
	"fmt"
)

// Kind is what an error is about. The zero Kind is Work.
type Kind int

// The kinds of error, each with an exit code of its own.
const (
	Work     Kind = iota // it could not be done: a disk, a network, a cluster
	Input                // the request is wrong: a flag, an argument, a file
	Evidence             // the recording does not support the request
)

// An Error is an error of a kind. Err is never nil.
type Error struct {
	Kind Kind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// As gives an error a kind, unless it has one already. nil stays nil.
func As(kind Kind, err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &Error{kind, err}
}

// Of returns the kind that err, or one that it wraps, was given; else Work.
func Of(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Work
}

// Inputf is fmt.Errorf of kind Input.
func Inputf(format string, args ...any) error { return &Error{Input, fmt.Errorf(format, args...)} }

// Evidencef is fmt.Errorf of kind Evidence.
func Evidencef(format string, args ...any) error {
	return &Error{Evidence, fmt.Errorf(format, args...)}
}
