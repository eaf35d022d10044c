// Package deps holds the import rule, as a test. It has no other code.
package deps
