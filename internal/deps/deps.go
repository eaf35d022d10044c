// Package deps holds the import rule of the house, as a test. It has no code.
package deps
